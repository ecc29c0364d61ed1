//! From bytes to a tree, in one pass, refusing all that RFC 8259 leaves open.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Json;

/// How deep lists and objects may nest.
pub const DEPTH_MAX: usize = 64;
/// Up to so many keys a repeated one is looked for by comparing; beyond it with a set.
const FEW_KEYS: usize = 16;

/// Why a text is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("the body is not UTF-8 from byte {0} on")]
    Utf8(usize),
    #[error("the body is empty where JSON is expected")]
    Empty,
    #[error("the JSON ends at byte {0}, in the middle of a value")]
    End(usize),
    #[error("unexpected {found:?} at byte {at}, expected {expected}")]
    Unexpected { found: char, at: usize, expected: &'static str },
    #[error("text behind the end of the JSON at byte {0}")]
    Trailing(usize),
    #[error("the key {key:?} occurs twice in the object that ends at byte {at}")]
    DuplicateKey { key: String, at: usize },
    #[error("nested deeper than {DEPTH_MAX} levels at byte {0}")]
    TooDeep(usize),
    #[error("a number is malformed at byte {0}")]
    Number(usize),
    #[error("an escape sequence is malformed at byte {0}")]
    Escape(usize),
    #[error("half of a surrogate pair stands alone at byte {0}")]
    LoneSurrogate(usize),
    #[error("an unescaped control character in a text at byte {0}")]
    Control(usize),
}

type Parsed<T> = Result<T, JsonError>;

/// Reads one JSON value and nothing behind it.
///
/// # Errors
/// [`JsonError`], naming the byte.
pub fn parse(body: &[u8]) -> Parsed<Json<'_>> {
    let text = std::str::from_utf8(body).map_err(|e| JsonError::Utf8(e.valid_up_to()))?;
    let mut parser = Parser { text, at: 0 };
    parser.blanks();
    if parser.peek().is_none() {
        return Err(JsonError::Empty);
    }
    let json = parser.value(0)?;
    parser.blanks();
    if parser.at < text.len() { Err(JsonError::Trailing(parser.at)) } else { Ok(json) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The text between two places that lie on character boundaries.
    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn unexpected(&self, expected: &'static str) -> JsonError {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => JsonError::Unexpected { found, at: self.at, expected },
            None => JsonError::End(self.at),
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Json<'a>> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, json: Json<'a>) -> Parsed<Json<'a>> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("true, false or null"));
        }
        self.at += word.len();
        Ok(json)
    }

    fn enter(&mut self, depth: usize) -> Parsed<()> {
        if depth >= DEPTH_MAX {
            return Err(JsonError::TooDeep(self.at));
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Parsed<Json<'a>> {
        self.enter(depth)?;
        let mut list = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.unexpected("`,` or `]`")),
            }
            self.blanks();
        }
        self.at += 1;
        Ok(Json::List(list))
    }

    fn object(&mut self, depth: usize) -> Parsed<Json<'a>> {
        self.enter(depth)?;
        let mut entries = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(entries));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key"));
            }
            let key = self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.blanks();
            entries.push((key, self.value(depth + 1)?));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
            self.blanks();
        }
        if let Some(key) = repeated(&entries) {
            return Err(JsonError::DuplicateKey { key: key.chars().take(64).collect(), at: self.at });
        }
        self.at += 1;
        Ok(Json::Object(entries))
    }

    fn number(&mut self) -> Parsed<Json<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.peek() {
            // `01`, `1x` and `1.2.3` are no numbers followed by something: they are no numbers.
            Some(b) if b.is_ascii_alphanumeric() || b == b'.' => Err(JsonError::Number(self.at)),
            _ => Ok(Json::Number(self.slice(start, self.at))),
        }
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(JsonError::Number(start)) } else { Ok(()) }
    }

    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.at += 1;
        let mut start = self.at;
        let mut unescaped = String::new();
        loop {
            match self.peek() {
                None => return Err(JsonError::End(self.at)),
                Some(b'"') => break,
                Some(b'\\') => {
                    unescaped.push_str(self.slice(start, self.at));
                    unescaped.push(self.escape()?);
                    start = self.at;
                }
                Some(0..=0x1f) => return Err(JsonError::Control(self.at)),
                Some(_) => self.at += 1,
            }
        }
        let rest = self.slice(start, self.at);
        self.at += 1;
        if unescaped.is_empty() {
            return Ok(Cow::Borrowed(rest));
        }
        unescaped.push_str(rest);
        Ok(Cow::Owned(unescaped))
    }

    fn escape(&mut self) -> Parsed<char> {
        let at = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(at),
            _ => return Err(JsonError::Escape(at)),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self, at: usize) -> Parsed<char> {
        let first = self.hex4(at)?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(JsonError::Escape(at));
        }
        let paired = first < 0xdc00 && self.text.as_bytes()[self.at..].starts_with(b"\\u");
        if !paired {
            return Err(JsonError::LoneSurrogate(at));
        }
        self.at += 1;
        let second = self.hex4(at)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(JsonError::LoneSurrogate(at));
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(JsonError::Escape(at))
    }

    /// Four hexadecimal digits behind the `u` it stands on.
    fn hex4(&mut self, at: usize) -> Parsed<u32> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).ok_or(JsonError::Escape(at))?;
        let mut code = 0;
        for digit in digits {
            code = code * 16 + char::from(*digit).to_digit(16).ok_or(JsonError::Escape(at))?;
        }
        self.at += 5;
        Ok(code)
    }
}

fn repeated<'e>(entries: &'e [(Cow<'_, str>, Json<'_>)]) -> Option<&'e str> {
    if entries.len() <= FEW_KEYS {
        let twice = |(i, (key, _)): &(usize, &(Cow<'_, str>, Json<'_>))| entries[..*i].iter().any(|(k, _)| k == key);
        return entries.iter().enumerate().find(twice).map(|(_, (key, _))| key.as_ref());
    }
    let mut seen = HashSet::with_capacity(entries.len());
    entries.iter().map(|(key, _)| key.as_ref()).find(|key| !seen.insert(*key))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
