//! A body that must be an object, read field by field: whatever is wrong is a fault, whatever nobody takes as well.

use std::ops::RangeInclusive;

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use serde_json::Value;

use crate::http::body;
use crate::http::json::{At, Fault, Faults, Json, object, text, value, whole_number};
use crate::http::problem::Problem;

/// The fields that nobody has taken yet, and the faults so far.
pub struct Fields<'a> {
    left: Vec<(String, Json<'a>)>,
    /// The field of the body in which they stand, where it is not the body itself.
    within: Option<String>,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    /// Reads a body that must be there.
    ///
    /// # Errors
    /// 400 where it is not JSON or missing, 422 where it is not an object.
    pub fn of(bytes: &'a Bytes) -> Result<Self, Problem> {
        let missing = || Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "a body is needed: a JSON object");
        let json = body::json(bytes)?.ok_or_else(missing)?;
        let mut faults = Faults::default();
        let entries = object(&json, &At::ROOT, &mut faults).map(<[_]>::to_vec).unwrap_or_default();
        faults.or(())?;
        Ok(Self::new(entries, None))
    }

    fn new(entries: Vec<(std::borrow::Cow<'a, str>, Json<'a>)>, within: Option<String>) -> Self {
        let left = entries.into_iter().map(|(key, json)| (key.into_owned(), json)).collect();
        Self { left, within, faults: Vec::new() }
    }

    fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.left.iter().position(|(key, _)| key == name)?;
        Some(self.left.remove(index).1)
    }

    /// Runs `read` where the field stands.
    fn at<T>(&mut self, name: &str, read: impl FnOnce(&At<'_>, &mut Faults) -> T) -> T {
        let mut faults = Faults::default();
        let root = At::ROOT;
        let read = match &self.within {
            Some(parent) => read(&root.key(parent).key(name), &mut faults),
            None => read(&root.key(name), &mut faults),
        };
        self.faults.extend(faults.or(()).err().into_iter().flatten());
        read
    }

    /// A whole number in a range; null is as if it were missing.
    pub fn whole(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let json = self.take(name).filter(|json| *json != Json::Null)?;
        self.at(name, |at, faults| {
            let number = match &json {
                Json::Number(number) => {
                    whole_number(number).and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n))
                }
                _ => None,
            };
            if number.is_none() {
                faults.add(at, format!("must be a whole number from {} to {}", range.start(), range.end()));
            }
            number
        })
    }

    /// A number in a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let json = self.take(name).filter(|json| *json != Json::Null)?;
        self.at(name, |at, faults| {
            let number = match &json {
                Json::Number(number) => number.parse().ok().filter(|n| range.contains(n)),
                _ => None,
            };
            if number.is_none() {
                faults.add(at, format!("must be a number from {} to {}", range.start(), range.end()));
            }
            number
        })
    }

    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let json = self.take(name).filter(|json| *json != Json::Null)?;
        self.at(name, |at, faults| match &json {
            Json::Bool(flag) => Some(*flag),
            other => {
                faults.add(at, format!("must be true or false, is {}", other.kind()));
                None
            }
        })
    }

    /// A text that is not empty.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let json = self.take(name).filter(|json| *json != Json::Null)?;
        self.at(name, |at, faults| {
            let found = text(&json, at, chars_max, faults);
            if found == Some("") {
                faults.add(at, "must not be empty");
            }
            found.map(str::to_owned)
        })
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str, many: usize, chars_max: usize) -> Vec<String> {
        let Some(json) = self.take(name).filter(|json| *json != Json::Null) else { return Vec::new() };
        self.at(name, |at, faults| match &json {
            Json::List(list) if list.len() <= many => {
                let one = |(index, item)| text(item, &at.index(index), chars_max, faults).map(str::to_owned);
                list.iter().enumerate().filter_map(one).collect()
            }
            _ => {
                faults.add(at, format!("must be a list of at most {many} texts"));
                Vec::new()
            }
        })
    }

    /// Any JSON; `None` where the field is missing.
    pub fn any(&mut self, name: &str) -> Option<Value> {
        let json = self.take(name)?;
        Some(self.at(name, |at, faults| value(&json, at, faults)))
    }

    /// An object, or null: `Some(None)`.
    pub fn object_or_null(&mut self, name: &str) -> Option<Option<Fields<'a>>> {
        match self.take(name)? {
            Json::Null => Some(None),
            Json::Object(entries) => Some(Some(Fields::new(entries, Some(name.to_owned())))),
            other => {
                self.at(name, |at, faults| faults.add(at, format!("must be an object or null, is {}", other.kind())));
                None
            }
        }
    }

    /// The field was not given, or not as it must be; said where nothing was said of it yet.
    pub fn need(&mut self, name: &str) {
        let before = self.faults.len();
        self.at(name, |at, faults| faults.add(at, "is missing"));
        let Some(missing) = self.faults.last().cloned() else { return };
        if self.faults[..before].iter().any(|fault| fault.pointer.starts_with(&missing.pointer)) {
            self.faults.pop();
        }
    }

    pub fn fault(&mut self, name: &str, message: &str) {
        self.at(name, |at, faults| faults.add(at, message));
    }

    /// The faults of a part, and what nobody took of it.
    pub fn take_faults(&mut self, part: Fields<'_>) {
        self.faults.extend(part.finish().err().into_iter().flatten());
    }

    /// # Errors
    /// The faults, what nobody took among them.
    pub fn finish(mut self) -> Result<(), Vec<Fault>> {
        for (name, _) in std::mem::take(&mut self.left) {
            self.fault(&name, "is not a field of this request");
        }
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }
}
