//! An order's state in words for people: what it waits for, where it is, what happens next.

use maud::{Markup, html};

use super::doc::{Doc, Failure, Waiting};
use super::span::{since, until};
use crate::model::Timestamp;

/// What kind of waiting it is: a person's turn looks different from a machine's, on every page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Something is under way.
    Working,
    /// A timer runs.
    Timer,
    /// A person must act.
    Human,
    /// Somebody outside does not answer; it is tried again.
    Retrying,
    Paused,
    /// It went well.
    Done,
    /// It ended otherwise.
    Ended,
}

impl Mood {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Timer => "timer",
            Self::Human => "human",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Ended => "ended",
        }
    }
}

/// `in review`
pub fn state(name: &str) -> String {
    name.replace('_', " ")
}

/// Who does an activity.
pub fn who(activity: &str) -> &str {
    match activity {
        "receive_order" => "intake",
        "validate_order" => "validation",
        "charge_payment" => "payment service",
        "refund_payment" => "refund",
        "prepare_package" => "warehouse",
        "dispatch_carrier" => "carrier",
        other => other,
    }
}

/// What an activity does, while it is under way.
fn doing(activity: &str) -> &str {
    match activity {
        "receive_order" => "taking the order in",
        "validate_order" => "checking the order",
        "charge_payment" => "charging the card",
        "refund_payment" => "refunding",
        "prepare_package" => "packing",
        "dispatch_carrier" => "handing over to the carrier",
        other => other,
    }
}

/// What became of an attempt, after the name of who was asked.
pub fn fate(kind: &str) -> &str {
    match kind {
        "timeout" => "timed out",
        "unreachable" => "unreachable",
        "refused" => "refused",
        "rate_limited" => "asked to slow down",
        "unknown_outcome" => "gave no clear answer",
        "validation" => "found it invalid",
        "panic" => "crashed",
        _ => "failed",
    }
}

/// `carrier timed out`
pub fn failure(error: &Failure) -> String {
    format!("{} {}", who(&error.activity), fate(&error.kind))
}

pub struct Wait {
    pub mood: Mood,
    pub text: Markup,
}

/// What an order waits for, in a few words.
pub fn wait(doc: &Doc, now: Timestamp) -> Wait {
    let say = |mood, text| Wait { mood, text };
    let waiting = &doc.live.waiting_for;
    if doc.terminal {
        return ended(doc);
    }
    if doc.paused {
        let at = waiting.iter().find(|w| w.name == "resume").and_then(|w| w.since);
        return say(Mood::Paused, html! { "paused" @if let Some(at) = at { ", " (since(at, now)) } });
    }
    if doc.state == "stuck" {
        return say(Mood::Human, html! { "stuck after crashes: needs a retry or a cancel" });
    }
    if doc.waits_for_person() {
        let deadline = waiting.iter().find(|w| w.kind == "timer").and_then(|w| w.until);
        return say(
            Mood::Human,
            html! {
                "approval"
                @if let Some(at) = doc.review.opened_at { ", " (since(at, now)) }
                @if let Some(at) = deadline { ", ends in " (until(at, now)) }
            },
        );
    }
    match waiting.first() {
        Some(w) if w.kind == "timer" => timer(doc, w, now),
        Some(w) if w.kind == "activity" || w.attempt.is_some() => activity(doc, w, now),
        Some(w) if w.kind == "child" => say(Mood::Working, html! { "its shipment" }),
        Some(w) => say(Mood::Timer, html! { (state(&w.name)) }),
        None => say(Mood::Working, html! { "going on" }),
    }
}

fn ended(doc: &Doc) -> Wait {
    let reason = doc.reason.as_deref().unwrap_or_default();
    match doc.state.as_str() {
        "completed" => {
            let carrier = doc.shipping.as_ref().and_then(|s| s.carrier_ref.as_deref());
            Wait {
                mood: Mood::Done,
                text: html! { "with the carrier" @if let Some(c) = carrier { ", " code { (c) } } },
            }
        }
        "failed" => {
            let why =
                doc.last_error.as_ref().map_or_else(|| reason.to_owned(), |e| format!("{}: {reason}", failure(e)));
            Wait { mood: Mood::Ended, text: html! { (why) } }
        }
        _ => Wait { mood: Mood::Ended, text: html! { (reason) } },
    }
}

fn timer(doc: &Doc, w: &Waiting, now: Timestamp) -> Wait {
    let left = w.until.map(|at| until(at, now));
    if w.name == "shipping_retry" {
        let after = doc.last_error.as_ref().map(failure);
        let text = html! {
            @if let Some(after) = after { (after) ", " }
            "new shipment"
            @if let Some(left) = left { " in " (left) }
        };
        return Wait { mood: Mood::Retrying, text };
    }
    let what = if w.name == "review" { "review ends by itself" } else { w.name.as_str() };
    Wait { mood: Mood::Timer, text: html! { (what) @if let Some(left) = left { " in " (left) } } }
}

fn activity(doc: &Doc, w: &Waiting, now: Timestamp) -> Wait {
    let name = match (w.kind.as_str(), &doc.shipping) {
        ("child", Some(s)) if s.state == "dispatching" => "dispatch_carrier",
        ("child", _) => "prepare_package",
        _ => w.name.as_str(),
    };
    let attempt = w.attempt.unwrap_or(1);
    match (&w.last_error, w.until) {
        (Some(error), Some(next)) => {
            let text = html! { (failure(error)) ", attempt " (attempt) ", next in " (until(next, now)) };
            Wait { mood: Mood::Retrying, text }
        }
        (Some(error), None) => {
            Wait { mood: Mood::Retrying, text: html! { (failure(error)) ", attempt " (attempt) " under way" } }
        }
        (None, _) => {
            let late = w.since.filter(|at| now.ms_since(*at) > 1_000);
            let text = html! { (doing(name)) @if let Some(at) = late { ", " (since(at, now)) } };
            Wait { mood: Mood::Working, text }
        }
    }
}

/// What is true of the money, in a clause.
pub fn money(doc: &Doc) -> String {
    let money = doc.money();
    match doc.payment.status.as_str() {
        "charged" => format!("{money} is charged"),
        "refunded" => format!("{money} was charged and is refunded"),
        "unknown" => format!("whether {money} was charged is being found out"),
        "failed" => format!("{money} was not charged"),
        _ if doc.terminal => "nothing was charged".to_owned(),
        _ => "nothing is charged yet".to_owned(),
    }
}

/// Where it is and what happens next, in sentences.
pub fn headline(doc: &Doc, now: Timestamp) -> Markup {
    let money = doc.money();
    let paid = money_sentence(doc);
    let then_ship = "Then the parcel is packed and handed to the carrier.";
    html! {
        @match doc.state.as_str() {
            _ if doc.paused => {
                "Paused: nothing new starts and its clocks stand still, until somebody resumes it. " (paid)
            }
            "received" => { "The order is taken in and checked. Then comes the review. " (paid) }
            "validated" => { "The order is sound; the review opens. " (paid) }
            "in_review" if doc.review.mode == "manual" => {
                "It waits for a person to approve it. After that " (money) " is charged. " (then_ship)
            }
            "in_review" => { "In review; it ends by itself. After that " (money) " is charged. " (then_ship) }
            "charging" => { (money) " is being charged. " (then_ship) }
            "shipping" => (shipping(doc, now)),
            "compensating" => {
                "On the way back"
                @if let Some(reason) = &doc.reason { " (" (reason) ")" }
                ": it ends as soon as nothing is left to refund or to find out. " (paid)
            }
            "completed" => { "Done: the carrier has the parcel. " (paid) }
            "cancelled" => { "Cancelled. " (paid) }
            "failed" => { "Failed: " (doc.reason.as_deref().unwrap_or("no reason is known")) ". " (paid)
                " An operator may retry it from the step that failed." }
            "timed_out" => { "Out of time: " (doc.reason.as_deref().unwrap_or("the deadline was reached")) ". " (paid) }
            "stuck" => {
                "Parked, because working on it crashed again and again. It is not lost: retry it or cancel it. " (paid)
            }
            other => { "The order is " (state(other)) ". " (paid) }
        }
    }
}

fn shipping(doc: &Doc, now: Timestamp) -> Markup {
    let paid = money_sentence(doc);
    match doc.shipping.as_ref() {
        Some(s) if s.state == "dispatching" => html! {
            "The parcel is being handed to the carrier; neither address nor order can be changed any more. " (paid)
        },
        Some(s) if s.state == "failed" => {
            let next = doc.live.waiting_for.iter().find_map(|w| w.until);
            html! {
                "Shipment " (s.attempt) " failed"
                @if let Some(at) = next { "; the next one starts in " (until(at, now)) }
                ". " (paid)
            }
        }
        Some(s) => {
            html! { "The parcel is being packed (shipment " (s.attempt) "); then the carrier takes it. " (paid) }
        }
        None => html! { "The shipment begins. " (paid) },
    }
}

fn money_sentence(doc: &Doc) -> String {
    let clause = money(doc);
    let mut chars = clause.chars();
    chars.next().map(|first| first.to_uppercase().to_string() + chars.as_str() + ".").unwrap_or_default()
}
