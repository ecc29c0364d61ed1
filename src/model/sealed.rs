//! The form of a sealed secret, so that it can be told from any other text wherever it stands.

use std::borrow::Cow;

use serde_json::Value;

/// How every sealed secret begins.
pub const SEALED: &str = "sealed:v1:";
/// What is shown in its place.
pub const REDACTED: &str = "***";

/// JSON text, or any other, with every sealed secret in it replaced by [`REDACTED`].
pub fn redacted(text: &str) -> Cow<'_, str> {
    let Some((before, rest)) = text.split_once(SEALED) else { return Cow::Borrowed(text) };
    let mut shown = before.to_owned();
    for part in rest.split(SEALED) {
        shown.push_str(REDACTED);
        shown.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c)));
    }
    Cow::Owned(shown)
}

/// Replaces texts that were secrets wherever they turn up again: an answer may repeat what it was sent. Short ones are
/// only replaced where they stand alone, for their letters stand everywhere.
pub fn scrub(value: &mut Value, opened: &[String]) {
    match value {
        // What is sealed shows nothing, and must open again as it is.
        Value::String(text) if text.starts_with(SEALED) => {}
        Value::String(text) => *text = scrubbed(text, opened),
        Value::Array(list) => list.iter_mut().for_each(|item| scrub(item, opened)),
        Value::Object(fields) => fields.values_mut().for_each(|item| scrub(item, opened)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// How many bytes at the end of a text are the beginning of a secret, and enough of it to be no chance.
fn cut_off(text: &str, secret: &str) -> Option<usize> {
    const TELLING: usize = 8;
    (TELLING..secret.len()).rev().find(|n| secret.get(..*n).is_some_and(|beginning| text.ends_with(beginning)))
}

/// The same for one text.
pub fn scrubbed(text: &str, opened: &[String]) -> String {
    const SHORT: usize = 4;
    let mut text = text.to_owned();
    for secret in opened.iter().filter(|secret| !secret.is_empty()) {
        if text == *secret {
            REDACTED.clone_into(&mut text);
        } else if secret.chars().count() >= SHORT && text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), REDACTED);
        }
        // Long words are cut, maybe in the middle of a secret.
        if let Some(end) = cut_off(&text, secret) {
            text.truncate(text.len() - end);
            text.push_str(REDACTED);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_cut_off_at_the_end_of_a_text_is_scrubbed() {
        let opened = ["hunter2-and-more".to_owned()];
        assert_eq!(scrubbed("it was hunter2-an", &opened), "it was ***");
        assert_eq!(scrubbed("a hunter", &opened), "a hunter");
        assert_eq!(scrubbed("ü", &["ü-ü-ü-ü-ü-ü".to_owned()]), "ü");
    }

    #[test]
    fn sealed_secrets_are_not_shown_wherever_they_stand() {
        assert_eq!(redacted(r#"{"a":"plain"}"#), r#"{"a":"plain"}"#);
        let text = format!(r#"{{"a":"{SEALED}0a1b.Zm-9_v","b":["x {SEALED}1.2 y"]}}"#);
        assert_eq!(redacted(&text), r#"{"a":"***","b":["x *** y"]}"#);
    }
}
