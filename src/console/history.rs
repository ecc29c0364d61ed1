//! A history in groups: an order's by the state it was in, each shipment's by itself.

use maud::{Markup, html};

use super::facts::Fact;
use super::list_view::grouped;
use super::order::Shipment;
use super::span::{clock, instant, span};
use super::words;
use crate::model::Timestamp;
use crate::runtime::Life;

/// Facts that are shown at once; the rest is one link away. A page must not grow with a history.
const WINDOW: usize = 100;
/// Facts that are shown of a shipment, however many there are.
const SHIPMENT_MIN: usize = 20;

/// Rows of a small table that are shown.
pub const WIDE: usize = 12;
/// The longest raw JSON of one fact that stands in a page.
const RAW_BYTES_MAX: usize = 16 * 1024;

/// An order's history. `from`: the first fact to show; without it, the newest.
pub fn history(id: &str, life: &Life, shipments: &[Shipment], from: Option<u64>) -> Markup {
    pages(&format!("/console/orders/{id}"), &format!("/orders/{id}/history"), life, shipments, from)
}

/// A text that is not longer than a page can bear.
pub fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{} … ({} more bytes)", &text[..end], text.len() - end)
}

/// The history of anything: `path` is its page, `json` where all of it is.
pub fn pages(path: &str, json: &str, life: &Life, shipments: &[Shipment], from: Option<u64>) -> Markup {
    let last = life.facts.last().map_or(0, |fact| fact.seq);
    let window = WINDOW as u64;
    let first = from.unwrap_or_else(|| last.saturating_sub(window - 1)).clamp(1, last.max(1));
    let until = first + window - 1;
    let began = life.facts.first().map_or(Timestamp(0), |fact| fact.at);
    let page = |seq: u64| format!("{path}?from={seq}#history");
    let of_shipment = (WINDOW / shipments.len().max(1)).max(SHIPMENT_MIN);
    html! {
        section.part #history {
            div.bar {
                h2 { "History " span.n { (grouped(i64::try_from(last).unwrap_or(i64::MAX))) } }
                button.quiet type="button" data-raw hidden { "Raw JSON" }
                a href=(json) { "as JSON" }
            }
            nav.pages aria-label="Parts of the history" {
                @if first > 1 {
                    a href=(page(1)) { "First facts" }
                    a href=(page(first.saturating_sub(window).max(1))) rel="prev" { "Earlier facts" }
                }
                @if until < last {
                    a href=(page(until + 1)) rel="next" { "Later facts" }
                    a href=(format!("{path}#history")) { "Newest facts" }
                }
                @if first > 1 || until < last { span.what { (grouped(first as i64)) " to " (grouped(until.min(last) as i64)) } }
            }
            @for (index, passage) in life.passages.iter().enumerate() {
                @let end = life.passages.get(index + 1).map_or(last + 1, |next| next.seq);
                @let shown: Vec<Fact> = life.facts.iter()
                    .filter(|fact| (passage.seq.max(first)..end.min(until + 1)).contains(&fact.seq))
                    .map(Fact::of).collect();
                @let next = life.passages.get(index + 1).map(|next| next.at);
                @if !shown.is_empty() {
                    (group(&words::state(passage.state), &format!("st-{}", passage.state), passage.at, next, &shown, began))
                }
            }
            @for shipment in shipments {
                @let shown: Vec<Fact> = shipment.facts.iter().rev().take(of_shipment).rev().map(Fact::of).collect();
                @let at = shown.first().map_or(began, |fact| fact.at);
                @let ended = shown.last().filter(|fact| fact.kind.starts_with("Shipment")).map(|fact| fact.at);
                (group(&format!("shipment {}", shipment.round), "st-shipping", at, ended, &shown, began))
                @if shown.len() < shipment.facts.len() {
                    p.what { a href=(format!("/workflows/{}/history", shipment.id)) {
                        "All facts of shipment " (shipment.round) } " as JSON" }
                }
            }
        }
    }
}

fn group(name: &str, class: &str, at: Timestamp, end: Option<Timestamp>, facts: &[Fact], began: Timestamp) -> Markup {
    html! {
        details.group.many[facts.len() > 60] open {
            summary {
                span.pill.(class) { (name) }
                span.at { (instant(at)) }
                @if let Some(end) = end { span.lasted { (span(end.ms_since(at))) } }
                span.lasted { (facts.len()) @if facts.len() == 1 { " fact" } @else { " facts" } }
            }
            ol.factlist { @for fact in facts { (line(fact, began)) } }
        }
    }
}

fn line(fact: &Fact, began: Timestamp) -> Markup {
    let raw = serde_json::to_string_pretty(&fact.data).unwrap_or_default();
    html! {
        li class=(format!("fact tone-{}", fact.tone.as_str())) {
            details.raw {
                summary {
                    span.seq { (fact.seq) }
                    time datetime=(fact.at) title=(format!("{} UTC", instant(fact.at))) { (clock(fact.at)) }
                    span.after { "+" (span(fact.at.ms_since(began))) }
                    span.say { (fact.text) }
                    code.kind { (fact.kind) }
                }
                pre tabindex="0" { (cut(&raw, RAW_BYTES_MAX)) }
            }
        }
    }
}
