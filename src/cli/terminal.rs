//! What a terminal is told: colours, its width, times as people say them. A file or a pipe gets plain text.

use std::io::IsTerminal;

use comfy_table::Color;

use crate::model::Timestamp;

/// Whether to colour: on a terminal that can, unless NO_COLOR is set.
pub fn colours() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !dumb
}

/// A text in a colour, where there are colours.
pub fn paint(text: &str, colour: Color) -> String {
    let code = match colour {
        Color::Green => 32,
        Color::Red => 31,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        _ => 36,
    };
    if colours() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// The columns of the terminal; `None` where there is none, or one that does not know.
pub fn width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from).filter(|columns| *columns > 0)
}

/// A text that cannot move the cursor or change the colours, whoever wrote it.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// The beginning of a text, in so many characters.
pub fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars.saturating_sub(1)).collect();
    short.push('…');
    short
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// An instant as people say it: `3 s ago`, `in 2 min`.
pub fn relative(at: Timestamp) -> String {
    distance(now().0.saturating_sub(at.0))
}

fn distance(ms: i64) -> String {
    let s = ms.unsigned_abs() / 1_000;
    let length = match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    };
    if ms < 0 { format!("in {length}") } else { format!("{length} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        for (ms, words) in [
            (3_999, "3 s ago"),
            (0, "0 s ago"),
            (-119_000, "in 119 s"),
            (120_000, "2 min ago"),
            (7_200_000, "2 h ago"),
            (172_800_000, "2 days ago"),
        ] {
            assert_eq!(distance(ms), words);
        }
    }

    #[test]
    fn texts_are_cut_by_characters_and_cannot_steer_a_terminal() {
        assert_eq!((cut("äöü", 3).as_str(), cut("äöüß", 3).as_str(), cut("ab", 0).as_str()), ("äöü", "äö…", "…"));
        assert_eq!(clean("a\u{1b}[31m\nb\u{9b}"), "a\\u{1b}[31m\\u{a}b\\u{9b}");
    }
}
