//! The form of a sealed secret, so that it can be told from any other text wherever it stands.

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_secrets_are_not_shown_wherever_they_stand() {
        assert_eq!(redacted(r#"{"a":"plain"}"#), r#"{"a":"plain"}"#);
        let text = format!(r#"{{"a":"{SEALED}0a1b.Zm-9_v","b":["x {SEALED}1.2 y"]}}"#);
        assert_eq!(redacted(&text), r#"{"a":"***","b":["x *** y"]}"#);
    }
}
