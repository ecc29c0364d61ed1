//! Secrets in the parameters of tasks: sealed before they become a fact, opened only where an activity is called.
//!
//! What is a secret is told by its name: every text under `password`, `token`, `secret` or `credentials`, at any depth.
//! A sealed text is bound to its task: it opens under no other. No secret and no key is ever logged.

mod key;
mod sealing;

pub use key::{KeyError, KeySource};
pub use sealing::{Secrets, SecretsError};

use serde_json::Value;

use crate::model::SEALED;
pub use crate::model::{scrub, scrubbed};

/// The names under which everything is a secret.
pub const NAMES: [&str; 4] = ["password", "token", "secret", "credentials"];

/// Whether what a field of this name holds is secret.
pub fn is_secret(name: &str) -> bool {
    NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Calls `found` on each value that is no list and no object and lies under the name of a secret.
pub fn each_secret<E>(value: &mut Value, found: &mut impl FnMut(&mut Value) -> Result<(), E>) -> Result<(), E> {
    walk(value, false, found)
}

fn walk<E>(value: &mut Value, within: bool, found: &mut impl FnMut(&mut Value) -> Result<(), E>) -> Result<(), E> {
    match value {
        Value::Array(list) => list.iter_mut().try_for_each(|item| walk(item, within, found)),
        Value::Object(fields) => {
            fields.iter_mut().try_for_each(|(name, item)| walk(item, within || is_secret(name), found))
        }
        Value::Null => Ok(()),
        leaf if within => found(leaf),
        _ => Ok(()),
    }
}

/// Where a value has what must not be sent: a secret that is no text, or a text that looks like a sealed one. JSON
/// Pointers and sentences.
pub fn faults(value: &Value) -> Vec<(String, &'static str)> {
    let mut faults = Vec::new();
    look(value, false, &mut String::new(), &mut faults);
    faults
}

fn look(value: &Value, within: bool, at: &mut String, faults: &mut Vec<(String, &'static str)>) {
    let length = at.len();
    match value {
        Value::Null => {}
        Value::String(text) if text.contains(SEALED) => faults.push((at.clone(), "looks like a sealed secret")),
        Value::String(_) => {}
        Value::Bool(_) | Value::Number(_) if within => {
            faults.push((at.clone(), "is secret by its name, and must be a text"))
        }
        Value::Bool(_) | Value::Number(_) => {}
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                look(item, within, at, faults);
                at.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                look(item, within || is_secret(name), at, faults);
                at.truncate(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_found_by_name_at_any_depth() {
        let mut value = json!({
            "user": "me", "Password": "a", "list": [{"token": "b"}], "credentials": {"username": "c", "more": ["d"]},
            "tokens": "plain", "secret": null,
        });
        let mut found = Vec::new();
        each_secret(&mut value, &mut |leaf| {
            found.push(leaf.as_str().unwrap().to_owned());
            Ok::<(), ()>(())
        })
        .unwrap();
        found.sort();
        assert_eq!(found, ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_cannot_be_kept_secret_is_a_fault() {
        let value = json!({"pin": 1, "credentials": {"pin": 1, "a/b": true}, "x": ["sealed:v1:y"]});
        let pointers: Vec<String> = faults(&value).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/credentials/a~1b", "/credentials/pin", "/x/0"]);
    }

    #[test]
    fn a_secret_that_an_answer_repeats_is_scrubbed() {
        let opened = ["hunter2".to_owned(), "ab".to_owned(), String::new()];
        let mut value = json!({"echo": "you said hunter2!", "pair": ["ab", "abc"], "n": 1});
        scrub(&mut value, &opened);
        assert_eq!(value, json!({"echo": "you said ***!", "pair": ["***", "abc"], "n": 1}));
    }
}
