//! Reading an address: one line, or an object of the known fields. Its form only; its rules are the workflow's.

use std::collections::BTreeMap;

use crate::http::json::{At, Faults, Json, text};
use crate::model::Address;

/// Reads an address; `None` with a fault, or where it is null.
pub fn read(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Address> {
    match json {
        Json::Null => None,
        Json::Text(_) => line(json, at, faults),
        Json::Object(entries) => {
            let mut fields = BTreeMap::new();
            for (key, value) in entries {
                let at = at.key(key);
                if !Address::FIELDS.contains(&key.as_ref()) {
                    faults.add(&at, "is not a field of an address");
                } else if *value != Json::Null {
                    let value = text(value, &at, Address::VALUE_CHARS_MAX, faults);
                    fields.extend(value.map(|value| (key.to_string(), value.to_owned())));
                }
            }
            Some(Address::Fields(fields))
        }
        other => {
            faults.add(at, format!("must be one line or an object, is {}", other.kind()));
            None
        }
    }
}

/// Reads an address that must be one line.
pub fn line(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Address> {
    let line = text(json, at, Address::VALUE_CHARS_MAX, faults)?;
    if line.trim().is_empty() {
        faults.add(at, "must not be blank");
        return None;
    }
    Some(Address::Line(line.to_owned()))
}
