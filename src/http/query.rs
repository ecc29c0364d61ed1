//! The query string, read strictly: parameters are taken by name, and what is left over is a fault.

use super::json::{At, Faults};

/// The parameters of a request that nobody has taken yet.
pub struct Query {
    left: Vec<(String, String)>,
    pub faults: Faults,
}

impl Query {
    /// Decodes a query string; what cannot be decoded is a fault.
    pub fn read(raw: &str) -> Self {
        let mut query = Self { left: Vec::new(), faults: Faults::default() };
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) if !name.contains('\0') && !value.contains('\0') => {
                    query.left.push((name, value));
                }
                _ => query.fault(name, "is not percent-encoded UTF-8 without U+0000"),
            }
        }
        query
    }

    /// Takes a parameter, if it is there; a second one of the name stays, and becomes a fault.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let index = self.left.iter().position(|(n, _)| n == name)?;
        Some(self.left.remove(index).1)
    }

    /// Takes all parameters whose name begins so, without that beginning.
    pub fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let (taken, left) = std::mem::take(&mut self.left).into_iter().partition(|(n, _)| n.starts_with(prefix));
        self.left = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(n, v)| (n[prefix.len()..].to_owned(), v)).collect()
    }

    /// Takes a parameter and reads it; one that cannot be read is a fault.
    pub fn take_as<T>(&mut self, name: &str, must: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.take(name)?;
        let value = read(&text);
        if value.is_none() {
            self.fault(name, must);
        }
        value
    }

    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        let query = At::ROOT.key("query");
        self.faults.add(&query.key(name), message);
    }

    /// The faults, what nobody took among them.
    pub fn finish(mut self) -> Faults {
        for (name, _) in std::mem::take(&mut self.left) {
            self.fault(&name, "is unknown or given twice");
        }
        self.faults
    }
}

/// A text as it can stand for a value in a query.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-:".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Undoes percent-encoding; `None` where an escape is broken or the outcome is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_taken() {
        let mut query = Query::read("payment_id=a%2Bb+c&metadata.x=1&metadata.y=&flag");
        assert_eq!(query.take("payment_id").as_deref(), Some("a+b c"));
        assert_eq!(query.take_prefixed("metadata."), [("x".into(), "1".into()), ("y".into(), String::new())]);
        assert_eq!(query.take("flag").as_deref(), Some(""));
        assert!(query.finish().or(()).is_ok());
    }

    #[test]
    fn leftovers_repetitions_and_broken_escapes_are_faults() {
        let mut query = Query::read("a=1&a=2&b=1&c=%zz&d=%ff&e=%00&f=%4");
        assert!(query.take("a").is_some());
        let pointers: Vec<String> = query.finish().or(()).unwrap_err().into_iter().map(|f| f.pointer).collect();
        assert_eq!(pointers, ["/query/c", "/query/d", "/query/e", "/query/f", "/query/a", "/query/b"]);
    }
}
