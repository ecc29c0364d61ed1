//! Strict JSON: what a request body is read with.
//!
//! Stricter than a serde type can be: a key that occurs twice is refused at any depth, numbers keep the text they were
//! written with (money never passes through a float), and a reader walks the whole tree and reports every fault at once.

mod parse;
mod reader;

use std::borrow::Cow;

pub use parse::{JsonError, parse};
pub use reader::{At, Fault, Faults, check_texts, object, text, value, whole_number};

/// A parsed body; borrows from its text wherever nothing was escaped.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In the order of writing; no key occurs twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Json<'_> {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Writes it in a form that does not depend on the order of keys, blanks or escapes.
    pub fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => write_text(text, out),
            Self::List(list) => {
                out.push('[');
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                let sorted = entries.iter().map(|(key, item)| (key.as_ref(), item));
                write_sorted(sorted, out, |_, item, out| item.write_canonical(out));
            }
        }
    }
}

/// Writes an object with its keys sorted, each value by `write`.
pub fn write_sorted<'k, T>(
    entries: impl Iterator<Item = (&'k str, T)>,
    out: &mut String,
    mut write: impl FnMut(&str, T, &mut String),
) {
    let mut sorted: Vec<(&str, T)> = entries.collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
    out.push('{');
    for (index, (key, item)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write(key, item, out);
    }
    out.push('}');
}

/// Writes a JSON text: quoted, with the two characters escaped that must be, and control characters.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        parse(text.as_bytes()).unwrap().write_canonical(&mut out);
        out
    }

    #[test]
    fn the_canonical_form_forgets_order_blanks_and_escapes_but_not_how_a_number_was_written() {
        assert_eq!(canonical(r#" { "b" : [1, 2.50], "a" : "A\n" } "#), r#"{"a":"A\u000a","b":[1,2.50]}"#);
        assert_eq!(canonical(r#"{"a":{"y":null,"x":true}}"#), canonical(r#"{"a":{"x":true,"y":null}}"#));
        assert_ne!(canonical("1.0"), canonical("1.00"));
        assert_ne!(canonical("1"), canonical("\"1\""));
    }
}
