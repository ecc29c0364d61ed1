//! Walking a tree while collecting faults: a client learns everything that is wrong with its request at once.

use std::fmt;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Json;

/// So many faults are told; a body can hold more than anyone reads.
const FAULTS_MAX: usize = 100;
/// How much of a client's key is repeated in a pointer.
const TOKEN_CHARS_MAX: usize = 128;

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"pointer": "/items/0/quantity", "message": "must be a whole number, is a text"}))]
pub struct Fault {
    /// A JSON Pointer into the body; query parameters lie under `/query`, parts of the path under `/path`.
    pub pointer: String,
    /// A sentence for people.
    pub message: String,
}

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, at: &At<'_>, message: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault { pointer: at.to_string(), message: message.into() });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value`, if there is no fault.
    ///
    /// # Errors
    /// The faults.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// A place in a tree; becomes a JSON Pointer only when a fault is found there.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    parent: Option<&'a At<'a>>,
    token: Token<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub const ROOT: At<'static> = At { parent: None, token: Token::Root };

    pub fn key(&'a self, key: &'a str) -> At<'a> {
        At { parent: Some(self), token: Token::Key(key) }
    }

    pub fn index(&'a self, index: usize) -> At<'a> {
        At { parent: Some(self), token: Token::Index(index) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.token {
            Token::Root => Ok(()),
            Token::Index(index) => write!(f, "/{index}"),
            Token::Key(key) => {
                let short: String = key.chars().take(TOKEN_CHARS_MAX).collect();
                write!(f, "/{}", short.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}

/// The entries of what must be an object.
pub fn object<'j, 'a>(
    json: &'j Json<'a>,
    at: &At<'_>,
    faults: &mut Faults,
) -> Option<&'j [(std::borrow::Cow<'a, str>, Json<'a>)]> {
    match json {
        Json::Object(entries) => Some(entries),
        other => {
            faults.add(at, format!("must be an object, is {}", other.kind()));
            None
        }
    }
}

/// What must be a text of at most so many characters, which is what `maxLength` counts.
pub fn text<'j>(json: &'j Json<'_>, at: &At<'_>, chars_max: usize, faults: &mut Faults) -> Option<&'j str> {
    match json {
        Json::Text(text) if text.len() > chars_max && text.chars().count() > chars_max => {
            faults.add(at, format!("must have at most {chars_max} characters, has {}", text.chars().count()));
            None
        }
        Json::Text(text) => Some(text),
        other => {
            faults.add(at, format!("must be a text, is {}", other.kind()));
            None
        }
    }
}

/// A whole number, however it is written: to JSON, and to its schemas, `20`, `20.0` and `2e1` are one number.
pub fn whole_number(number: &str) -> Option<i64> {
    number.parse().ok().or_else(|| {
        let exact = if number.contains(['e', 'E']) {
            Decimal::from_scientific(number).ok()
        } else {
            Decimal::from_str_exact(number).ok()
        };
        exact.filter(Decimal::is_integer).and_then(|whole| i64::try_from(whole).ok())
    })
}

/// Any JSON as a value that can be stored; its numbers must fit.
pub fn value(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(number) => match serde_json::from_str(number) {
            Ok(Value::Number(number)) => Value::Number(number),
            _ => {
                faults.add(at, "the number is too large");
                Value::Null
            }
        },
        Json::Text(text) => Value::String(text.to_string()),
        Json::List(list) => list.iter().enumerate().map(|(i, item)| value(item, &at.index(i), faults)).collect(),
        Json::Object(entries) => {
            Value::Object(entries.iter().map(|(k, item)| (k.to_string(), value(item, &at.key(k), faults))).collect())
        }
    }
}

/// Finds NUL characters, which neither SQL texts nor C programs can carry.
pub fn check_texts(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) {
    const MESSAGE: &str = "must not contain the character U+0000";
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
        Json::Text(text) => {
            if text.contains('\0') {
                faults.add(at, MESSAGE);
            }
        }
        Json::List(list) => list.iter().enumerate().for_each(|(i, item)| check_texts(item, &at.index(i), faults)),
        Json::Object(entries) => {
            for (key, item) in entries {
                let at = at.key(key);
                if key.contains('\0') {
                    faults.add(&at, MESSAGE);
                }
                check_texts(item, &at, faults);
            }
        }
    }
}
