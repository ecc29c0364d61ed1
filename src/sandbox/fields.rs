//! Reading a body field by field: every fault is told at once.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Payload};
use tokio::time::{Duration, Instant};

use crate::http::body;
use crate::http::json::{At, Faults, Json, object, text};
use crate::http::problem::Problem;

/// The largest body.
const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest id or name.
pub const TEXT_BYTES_MAX: usize = 256;

/// Reads the whole body.
pub async fn bytes(req: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    body::read(req, payload, BODY_BYTES_MAX, Instant::now() + BODY_TIMEOUT).await
}

/// The fields of a body that nobody has taken yet.
pub struct Fields<'j, 'a> {
    left: Vec<(&'j str, &'j Json<'a>)>,
    pub faults: Faults,
}

impl<'j, 'a> Fields<'j, 'a> {
    pub fn of(json: &'j Json<'a>) -> Self {
        let mut faults = Faults::default();
        let entries: &[(Cow<'a, str>, Json<'a>)] = object(json, &At::ROOT, &mut faults).unwrap_or_default();
        Self { left: entries.iter().map(|(name, value)| (name.as_ref(), value)).collect(), faults }
    }

    /// Takes a field; null is as good as missing.
    pub fn take(&mut self, name: &str) -> Option<&'j Json<'a>> {
        let index = self.left.iter().position(|(known, _)| *known == name)?;
        let (_, value) = self.left.swap_remove(index);
        (*value != Json::Null).then_some(value)
    }

    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        let root = At::ROOT;
        self.faults.add(&root.key(name), message);
    }

    /// A text that is not empty.
    pub fn text(&mut self, name: &str) -> Option<&'j str> {
        let json = self.take(name)?;
        let root = At::ROOT;
        let found = text(json, &root.key(name), TEXT_BYTES_MAX, &mut self.faults)?;
        if found.is_empty() {
            self.fault(name, "must not be empty");
        }
        Some(found)
    }

    /// A text that must be there; empty where it is not, and a fault.
    pub fn needed(&mut self, name: &str) -> &'j str {
        if self.left.iter().any(|(known, value)| *known == name && **value != Json::Null) {
            return self.text(name).unwrap_or_default();
        }
        self.fault(name, "is missing");
        ""
    }

    /// One of the words a reader knows; it must be there.
    pub fn word<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Option<T>, known: &str) -> Option<T> {
        let text = self.needed(name);
        let value = read(text);
        if value.is_none() && !text.is_empty() {
            self.fault(name, format!("must be one of {known}"));
        }
        value
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = match self.take(name)? {
            Json::Number(number) => number.parse().ok().filter(|n| range.contains(n)),
            _ => None,
        };
        if number.is_none() {
            self.fault(name, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// The faults, what nobody took among them.
    pub fn finish(mut self) -> Faults {
        for (name, _) in std::mem::take(&mut self.left) {
            self.fault(name, "is unknown");
        }
        self.faults
    }
}
