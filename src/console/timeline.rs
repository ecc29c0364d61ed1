//! An order's life as a picture: its states as bands, attempts as marks, waits hatched, deadline and now as lines.
//!
//! Time is drawn long where much happens and short where nothing does (the logarithm of each gap), so that a
//! review of two days and a charge of 80 ms are both seen; the lengths are written beside.

use maud::{Markup, html};

use super::doc::Doc;
use super::facts::{Fact, Tone};
use super::order::Shipment;
use super::span::{clock, span};
use super::words::{self, who};
use crate::model::Timestamp;
use crate::runtime::Life;

const LABELS: f64 = 112.0;
const WIDTH: f64 = 1052.0;
const TOP: f64 = 30.0;
const LANE: f64 = 22.0;
/// Marks of one sort beyond so many are left out, the oldest first: more cannot be told apart.
const MARKS_MAX: usize = 150;

struct Attempt {
    activity: String,
    attempt: u64,
    start: Timestamp,
    end: Option<Timestamp>,
    /// What went wrong.
    failed: Option<String>,
    retry_at: Option<Timestamp>,
}

/// Where instants lie on the picture.
struct Scale(Vec<(Timestamp, f64)>);

impl Scale {
    fn new(mut instants: Vec<Timestamp>) -> Self {
        instants.sort_unstable();
        instants.dedup();
        let mut places: Vec<(Timestamp, f64)> = Vec::with_capacity(instants.len());
        for at in instants {
            let place = places.last().map_or(0.0, |(last, x)| x + (1.0 + at.ms_since(*last) as f64 / 40.0).ln());
            places.push((at, place));
        }
        let whole = places.last().map_or(1.0, |(_, x)| x.max(0.1));
        places.iter_mut().for_each(|(_, x)| *x = LABELS + *x / whole * WIDTH);
        Self(places)
    }

    fn x(&self, at: Timestamp) -> f64 {
        match self.0.binary_search_by_key(&at, |(known, _)| *known) {
            Ok(index) => self.0[index].1,
            Err(0) => LABELS,
            Err(index) => self.0[index - 1].1,
        }
    }
}

pub fn timeline(doc: &Doc, life: &Life, shipments: &[Shipment], now: Timestamp) -> Markup {
    let facts: Vec<Fact> = life.facts.iter().chain(shipments.iter().flat_map(|s| &s.facts)).map(Fact::of).collect();
    let mut attempts = attempts(&facts);
    let attempts_n = attempts.len();
    attempts.drain(..attempts_n.saturating_sub(MARKS_MAX));
    let end = doc.ended_at.unwrap_or(now);
    let deadline = doc.deadline_at.filter(|_| !doc.terminal);
    let mut instants: Vec<Timestamp> = facts.iter().map(|f| f.at).chain([end]).chain(deadline).collect();
    instants.extend(attempts.iter().filter_map(|a| a.retry_at).filter(|at| *at > now));
    let scale = Scale::new(instants);
    let mut lanes: Vec<&str> = Vec::new();
    for attempt in &attempts {
        if !lanes.contains(&attempt.activity.as_str()) {
            lanes.push(&attempt.activity);
        }
    }
    let height = TOP + 32.0 + LANE * lanes.len() as f64 + 22.0;
    let floor = height - 20.0;
    let words = words::state(&doc.state);
    let label = format!(
        "Timeline: {} states and {attempts_n} attempts in {}, now {words}",
        life.passages.len(),
        span(end.ms_since(doc.created_at))
    );
    html! {
        div.timeline tabindex="0" role="group" aria-label="Timeline, may scroll sideways" {
            svg viewBox=(format!("0 0 {:.0} {height:.0}", LABELS + WIDTH + 16.0)) role="img" aria-label=(label) {
                defs { pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatch x1="0" y1="0" x2="0" y2="6" {}
                } }
                (ticks(life, &scale, end, floor))
                text.lane x="0" y=(TOP + 17.0) { "state" }
                (states(doc, life, &scale, end))
                @for (n, lane) in lanes.iter().enumerate() {
                    @let y = TOP + 32.0 + LANE * n as f64;
                    text.lane x="0" y=(y + 14.0) { (who(lane)) }
                    line.rule x1=(LABELS) x2=(LABELS + WIDTH) y1=(y + LANE - 2.0) y2=(y + LANE - 2.0) {}
                    @for attempt in attempts.iter().filter(|a| a.activity == **lane) { (mark(attempt, &scale, y, now)) }
                }
                (flags(&facts, &scale))
                @if !doc.terminal { (upright("now", "now", scale.x(now), floor)) }
                @if let Some(at) = deadline { (upright("deadline", "deadline", scale.x(at), floor)) }
            }
        }
    }
}

fn upright(class: &str, name: &str, x: f64, floor: f64) -> Markup {
    // Near the right edge the word stands to the left of its line.
    let right = x > LABELS + WIDTH - 60.0;
    html! {
        line.upright.(class) x1=(f(x)) x2=(f(x)) y1="14" y2=(f(floor)) {}
        text.upright.(class) x=(f(if right { x - 4.0 } else { x + 4.0 })) y=(if class == "now" { "11" } else { "23" })
            text-anchor=(if right { "end" } else { "start" }) { (name) }
    }
}

fn f(value: f64) -> String {
    format!("{value:.1}")
}

fn ticks(life: &Life, scale: &Scale, end: Timestamp, floor: f64) -> Markup {
    let began = life.facts.first().map_or(end, |fact| fact.at);
    let mut last = f64::MIN;
    let mut ticks = Vec::new();
    for at in life.passages.iter().map(|p| p.at).chain([end]) {
        let x = scale.x(at);
        if x - last > 70.0 && x < LABELS + WIDTH - 30.0 || at == began {
            ticks.push((x, at));
            last = x;
        }
    }
    html! { @for (x, at) in ticks {
        line.tick x1=(f(x)) x2=(f(x)) y1=(TOP) y2=(f(floor)) {}
        text.tick x=(f(x)) y=(f(floor + 14.0)) { @if at == began { (&clock(at)[..8]) } @else { "+" (span(at.ms_since(began))) } }
    } }
}

fn states(doc: &Doc, life: &Life, scale: &Scale, end: Timestamp) -> Markup {
    html! {
        @for (index, passage) in life.passages.iter().enumerate().rev().take(MARKS_MAX) {
            @let until = life.passages.get(index + 1).map_or(end, |next| next.at);
            @let (x, width) = (scale.x(passage.at), (scale.x(until) - scale.x(passage.at)).max(3.0));
            @let name = words::state(passage.state);
            @let lasted = span(until.ms_since(passage.at));
            @let is_end = doc.terminal && index + 1 == life.passages.len();
            g {
                title { (name) @if !is_end { ", " (lasted) } }
                rect.state.(format!("st-{}", passage.state)) x=(f(x)) y=(TOP) width=(f(width)) height="24" rx="2" {}
                @if passage.state == "in_review" && doc.review.mode == "manual" {
                    rect x=(f(x)) y=(TOP) width=(f(width)) height="24" fill="url(#hatch)" {}
                }
                @if width > name.len() as f64 * 7.0 + 14.0 {
                    text.state x=(f(x + 6.0)) y=(TOP + 16.0) { (name)
                        @if !is_end && width > (name.len() + lasted.len()) as f64 * 6.6 + 26.0 { tspan.lasted { "  " (lasted) } }
                    }
                }
            }
        }
    }
}

fn mark(attempt: &Attempt, scale: &Scale, y: f64, now: Timestamp) -> Markup {
    let end = attempt.end.unwrap_or(now);
    let (x, width) = (scale.x(attempt.start), (scale.x(end) - scale.x(attempt.start)).max(3.0));
    let class = match (&attempt.failed, attempt.end) {
        (Some(_), _) => "bad",
        (None, Some(_)) => "good",
        (None, None) => "open",
    };
    let what =
        attempt.failed.clone().unwrap_or_else(|| if attempt.end.is_some() { "done" } else { "under way" }.into());
    html! {
        g {
            title { (who(&attempt.activity)) ", attempt " (attempt.attempt) ", " (span(end.ms_since(attempt.start))) ": " (what) }
            rect.attempt.(class) x=(f(x)) y=(y + 3.0) width=(f(width)) height="13" rx="2" {}
            @if class == "bad" { path.cross d=(format!("M{:.1} {:.1}l5 5m0 -5l-5 5", x + width / 2.0 - 2.5, y + 7.0)) {} }
        }
        @if let Some(at) = attempt.retry_at {
            @let gap = scale.x(at) - scale.x(end);
            @if gap > 0.5 {
                g { title { "waits " (span(at.ms_since(end))) " before the next attempt" }
                    rect.backoff x=(f(x + width)) y=(y + 6.0) width=(f(gap)) height="7" fill="url(#hatch)" {} }
            }
        }
    }
}

/// What people did, and what happened to the whole order.
fn flags(facts: &[Fact], scale: &Scale) -> Markup {
    let wanted = |f: &&Fact| f.tone == Tone::Human || matches!(f.kind.as_str(), "DeadlineReached" | "Stuck");
    html! { @for fact in facts.iter().rev().filter(wanted).take(MARKS_MAX) {
        @let x = scale.x(fact.at);
        g { title { (clock(fact.at)) ": " (fact.text) }
            path.flag d=(format!("M{x:.1} {:.1}v-9l7 3l-7 3", TOP)) {} }
    } }
}

fn attempts(facts: &[Fact]) -> Vec<Attempt> {
    let mut all: Vec<Attempt> = Vec::new();
    for fact in facts {
        let (activity, attempt) = (fact.text_of("activity"), fact.number_of("attempt"));
        let open = |a: &&mut Attempt| a.activity == activity && a.attempt == attempt && a.end.is_none();
        match fact.kind.as_str() {
            "ActivityScheduled" => all.push(Attempt {
                activity: activity.to_owned(),
                attempt,
                start: fact.at,
                end: None,
                failed: None,
                retry_at: None,
            }),
            "ActivityCompleted" | "ActivityFailed" => {
                if let Some(begun) = all.iter_mut().rev().find(open) {
                    begun.end = Some(fact.at);
                    if fact.kind == "ActivityFailed" {
                        begun.failed =
                            Some(format!("{}: {}", words::fate(fact.text_of("kind")), fact.text_of("message")));
                        begun.retry_at = fact.time_of("retry_at");
                    }
                }
            }
            _ => {}
        }
    }
    // A wait ends when the next attempt begins, whatever was planned.
    for index in 0..all.len() {
        let next = all[index + 1..].iter().find(|a| a.activity == all[index].activity).map(|a| a.start);
        if let (Some(_), Some(next)) = (all[index].retry_at, next) {
            all[index].retry_at = Some(next);
        }
    }
    all
}
