//! Lengths of time and instants in few words. `static/console.js` writes them the same way.

use maud::{Markup, html};

use crate::model::Timestamp;

/// `120 ms`, `4.2 s`, `12 min`, `3 h 5 min`, `9 d 4 h`.
pub fn span(ms: u64) -> String {
    let (s, min, h, d) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", s, ms % 1_000 / 100),
        10_000..90_000 => format!("{s} s"),
        90_000..3_600_000 => format!("{min} min"),
        3_600_000..86_400_000 => two(h, "h", min % 60, "min"),
        _ => two(d, "d", h % 24, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {small_unit}") }
}

/// `2026-11-21 07:47:49`, in UTC.
pub fn instant(at: Timestamp) -> String {
    at.to_string().get(..19).unwrap_or_default().replace('T', " ")
}

/// `07:47:49.123`, in UTC.
pub fn clock(at: Timestamp) -> String {
    at.to_string().get(11..23).unwrap_or_default().to_owned()
}

/// How long ago; counts up on the page.
pub fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) data-since title=(format!("{} UTC", instant(at))) { (span(now.ms_since(at))) } }
}

/// How long until; counts down on the page.
pub fn until(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) data-until title=(format!("{} UTC", instant(at))) { (span(at.ms_since(now))) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_plain() {
        let spans: Vec<String> =
            [7, 1_050, 59_000, 90_000, 3_600_000, 11_100_000, 86_400_000, 795_600_000].into_iter().map(span).collect();
        assert_eq!(spans, ["7 ms", "1.0 s", "59 s", "1 min", "1 h", "3 h 5 min", "1 d", "9 d 5 h"]);
        assert_eq!(instant(Timestamp(1_700_000_000_007)), "2023-11-14 22:13:20");
        assert_eq!(clock(Timestamp(1_700_000_000_007)), "22:13:20.007");
    }
}
