//! Who did what to an order, and why: the audit of one order, in words.

use maud::{Markup, html};

use super::span::instant;
use crate::store::StoredAudit;

/// The last part of a route, and what it asks for.
const WORDS: [(&str, &str); 8] = [
    ("/start", "start"),
    ("/approve", "approval"),
    ("/cancel", "cancellation"),
    ("/update-address", "new address"),
    ("/address", "new address"),
    ("/retry", "retry"),
    ("/pause", "pause"),
    ("/resume", "end of the pause"),
];

fn what(entry: &StoredAudit) -> &str {
    WORDS.iter().find(|(end, _)| entry.route.ends_with(end)).map_or(entry.route.as_str(), |(_, words)| words)
}

/// What came of it, where it is worth a word.
fn outcome(status: u16) -> Option<(&'static str, bool)> {
    match status {
        200 => Some(("it was so already", false)),
        201..400 => None,
        403 => Some(("refused: the key does not allow it", true)),
        404 => Some(("refused: there was none", true)),
        409 => Some(("refused: its state forbids it", true)),
        422 => Some(("refused: invalid", true)),
        400..500 => Some(("refused", true)),
        _ => Some(("not answered", true)),
    }
}

/// The newest first.
pub fn who(audit: &[StoredAudit]) -> Markup {
    html! {
        @if !audit.is_empty() {
            section.part #who {
                h2 { "Who did what" }
                table.changes {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Why" } } }
                    tbody { @for entry in audit { tr {
                        td { time datetime=(entry.at) { (instant(entry.at)) } }
                        td { @match &entry.key_name { Some(name) => (name), None => span.none { "without a key" } }
                            @if let Some(remote) = &entry.remote { " " small { (remote) } } }
                        td { (what(entry))
                            @if let Some((words, bad)) = outcome(entry.status) { " " span.refused[bad] { "(" (words) ")" } } }
                        td { @match &entry.reason { Some(reason) => (reason), None => span.none { "–" } } }
                    } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn an_entry_is_told_in_words_and_its_texts_are_escaped() {
        let entry = StoredAudit {
            id: 1,
            at: Timestamp(0),
            method: "POST".to_owned(),
            route: "/orders/{order_id}/signals/cancel".to_owned(),
            order_id: Some("o-1".to_owned()),
            key_id: Some("key-1".to_owned()),
            key_name: Some("<anna>".to_owned()),
            status: 409,
            reason: Some("<b>".to_owned()),
            remote: None,
        };
        let text = who(&[entry]).into_string();
        for part in ["cancellation", "&lt;anna&gt;", "&lt;b&gt;", "refused: its state forbids it"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(who(&[]).into_string().is_empty());
    }
}
