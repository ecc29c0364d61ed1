//! How jobs and tasks look.

use maud::{Markup, html};

use super::history::{WIDE, cut, pages};
use super::list_view::grouped;
use super::order::Notice;
use super::span::{instant, since, span};
use super::words;
use super::work::{Listing, Place, STATES, Sheet};
use super::work_doc::{Progress, Work};
use crate::model::Timestamp;

/// What is shown of a result or an input; the API has all of it.
const SHOWN_BYTES_MAX: usize = 8 * 1024;

pub fn list(place: &Place, listing: &Listing) -> Markup {
    html! {
        div.head { h1 { "Jobs and tasks" } (types(place, listing)) }
        (chips(place, listing))
        @if listing.rows.is_empty() {
            p.empty { "No job or task fits. "
                @if place.filter.states.is_empty() && place.chosen.is_none() { "They are started by the API: " code { "POST /jobs" } ", " code { "POST /api/tasks/start" } "." }
                @else { a href="/console/work" { "Show all" } }
            }
        } @else {
            table.orders.list.works {
                colgroup { @for column in ["work", "type", "wstate", "progress", "tries", "age", "took"] { col.(format!("c-{column}")); } }
                thead { tr {
                    th scope="col" { "Id" } th scope="col" { "Type" } th scope="col" { "State" }
                    th scope="col" { "Progress" } th scope="col" { "Attempts" } th scope="col" { "Age" } th scope="col" { "Took" }
                } }
                tbody { @for work in &listing.rows { (row(work, listing.now)) } }
            }
        }
        nav.pages aria-label="Pages" {
            @if place.filter.before.is_some() { a href=(place.link("cursor", None)) rel="first" { "First page" } }
            @if let Some(next) = &listing.next { a href=(place.link("cursor", Some(next))) rel="next" { "Next page" } }
        }
    }
}

fn types(place: &Place, listing: &Listing) -> Markup {
    html! {
        nav.chips.types aria-label="Filter by type" {
            a href=(place.link("type", None)) aria-current=[place.chosen.is_none().then_some("true")] { "all types" }
            @for (name, n) in &listing.types {
                a href=(place.link("type", Some(name))) data-none[*n == 0]
                    aria-current=[(place.chosen == Some(*name)).then_some("true")] { (name) b { (grouped(*n)) } }
            }
        }
    }
}

fn chips(place: &Place, listing: &Listing) -> Markup {
    let chosen = |state: &str| place.filter.states.iter().any(|s| s == state);
    html! {
        nav.chips aria-label="Filter by state" {
            a href=(place.link("state", None)) aria-current=[place.filter.states.is_empty().then_some("true")] {
                "all" b { (grouped(listing.counts.values().sum())) }
            }
            @for state in STATES {
                @let n = listing.counts.get(state).copied().unwrap_or_default();
                a class=(format!("st-{state}")) data-none[n == 0] href=(place.link("state", Some(state)))
                    aria-current=[chosen(state).then_some("true")] { (state) b { (grouped(n)) } }
            }
        }
    }
}

fn row(work: &Work, now: Timestamp) -> Markup {
    html! {
        tr id=(format!("w:{}", work.id)) data-seq=(format!("{}{}", work.state, work.progress.done)) {
            td.id { a href=(format!("/console/work/{}", work.id)) { (work.id) } }
            td.type { (work.task_type) }
            td.where_ { (pill(&work.state)) }
            td.progress { (progress(&work.progress, &work.state))
                span.what { @match &work.error {
                    Some(error) if work.state == "failed" => span.refused { (words::failure(error)) ": " (error.message) },
                    _ if work.completed_at.is_none() => (work.progress.message),
                    _ => {}
                } }
            }
            td.num data-label="attempts" { (work.attempts_in_all()) }
            td.num data-label="age" { (since(work.created_at, now)) }
            td.num data-label="took" { @match work.completed_at {
                Some(at) => (span(at.ms_since(work.created_at))), None => span.none { "–" } } }
        }
    }
}

fn pill(state: &str) -> Markup {
    html! { span class=(format!("pill st-{state}")) { (state) } }
}

/// A bar, and the numbers behind it.
fn progress(progress: &Progress, state: &str) -> Markup {
    let done = progress.done.min(progress.total.unwrap_or(u64::MAX));
    html! {
        span.bar-of.(format!("st-{state}")) {
            @match progress.total {
                Some(total) if total > 0 => {
                    progress max=(total) value=(done) aria-label="Progress" {}
                    span.num { (grouped(done as i64)) " of " (grouped(total as i64)) }
                }
                _ => span.num { (grouped(progress.done as i64)) " done" },
            }
        }
    }
}

pub fn sheet(sheet: &Sheet, notice: Option<&Notice>, from: Option<u64>) -> Markup {
    let (work, now) = (&sheet.work, sheet.now);
    let json = if work.is_job() {
        format!("/workflows/{}/history", work.id)
    } else {
        format!("/api/tasks/{}/history", work.id)
    };
    html! {
        @match notice {
            Some(Notice::Done(text)) => p.notice role="status" { (text) },
            Some(Notice::Refused(why)) => p.notice.bad role="alert" { "Refused: " (why) "." },
            None => {}
        }
        div.order-head {
            p.crumbs { a href="/console/work" { "Jobs and tasks" } " / "
                a href=(format!("/console/work?type={}", work.task_type)) { (work.task_type) } }
            h1 { (work.id) }
            p.status { (pill(&work.state)) (progress(&work.progress, &work.state)) @if work.completed_at.is_none() { span.what { (work.progress.message) } } }
            p.lead { (lead(work, now)) }
        }
        @if work.completed_at.is_none() { (cancel(work)) }
        div.cards { (given(sheet)) (outcome(work)) (facts(work, now)) }
        (pages(&format!("/console/work/{}", work.id), &json, &sheet.life, &[], from))
    }
}

/// Where it is and what happens next, in a sentence.
fn lead(work: &Work, now: Timestamp) -> Markup {
    let took = work.completed_at.map(|at| span(at.ms_since(work.created_at))).unwrap_or_default();
    html! {
        @match work.state.as_str() {
            "completed" => { "Done after " (took) "." }
            "cancelled" => { "Cancelled after " (took) "; what was done by then stays done." }
            "failed" => { @match &work.error {
                Some(error) => { (words::failure(error)) @if error.attempt > 0 { " at attempt " (error.attempt) } ": " (error.message) "." }
                None => "Failed.",
            } }
            "stuck" => "Parked, because working on it crashed again and again. It is not lost: it can be cancelled.",
            _ => { "Under way for " (since(work.created_at, now)) "." }
        }
    }
}

fn cancel(work: &Work) -> Markup {
    let will = match (work.is_job(), work.progress.total) {
        (true, _) => "stops it; what the call under way brings is thrown away".to_owned(),
        (false, Some(total)) => {
            format!(
                "stops it; {} of {total} are done and stay done, nothing follows the call under way",
                work.progress.done
            )
        }
        (false, None) => {
            format!("stops it; the {} done stay done, nothing follows the call under way", work.progress.done)
        }
    };
    html! {
        section.acts aria-label="What you can do" {
            form.act method="post" action=(format!("/console/work/{}/cancel", work.id)) {
                label.sr for="reason" { "Reason" }
                input #reason name="reason" maxlength="1000" placeholder="Reason (optional)" autocomplete="off";
                button.danger aria-describedby="will-cancel" { "Cancel " @if work.is_job() { "job" } @else { "task" } }
                span.will #will-cancel { (will) }
            }
        }
    }
}

/// Its parameters: plain ones line by line, the others as they are.
fn given(sheet: &Sheet) -> Markup {
    let numbers = sheet.input["numbers"].as_array();
    html! {
        section.card {
            h2 { "What it was given" }
            @match (&sheet.input, numbers) {
                (_, Some(numbers)) => {
                    p.big { (grouped(numbers.len() as i64)) " " small { "numbers" } }
                    p.what { @for (index, number) in numbers.iter().take(40).enumerate() {
                        @if index > 0 { ", " } (number.as_str().map_or_else(|| number.to_string(), str::to_owned)) }
                        @if numbers.len() > 40 { " …" } }
                    @if sheet.input["fail_first_attempt"] == true { p.what { "Its first attempt fails on purpose." } }
                }
                (serde_json::Value::Object(fields), None) => {
                    dl { @for (name, value) in fields { div { dt { (words::state(name)) } dd { @match value {
                        serde_json::Value::String(text) if text == "***" => span.none { "*** " small { "secret" } },
                        serde_json::Value::String(text) => (cut(text, 400)),
                        other => code { (cut(&other.to_string(), 400)) },
                    } } } } }
                }
                _ => p.what { "More than a page holds; the first fact of its history has it." },
            }
        }
    }
}

fn outcome(work: &Work) -> Markup {
    html! {
        section.card {
            h2 { "Result" }
            @match (work.result(), &work.error) {
                (Some(result), _) if result.len() <= 60 && !result.contains('\n') => p.big { code { (result) } },
                (Some(result), _) => pre tabindex="0" { (cut(&result, SHOWN_BYTES_MAX)) },
                (None, Some(error)) => {
                    p.refused { (words::failure(error)) }
                    p.what { (error.message) }
                }
                (None, None) if work.completed_at.is_some() => p.big.none { "none" },
                (None, None) => p.big.none { "none yet" },
            }
        }
    }
}

fn facts(work: &Work, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { "Attempts and record" }
            p.big { (work.attempts_in_all()) " " small { @if work.attempts_in_all() == 1 { "attempt" } @else { "attempts" } } }
            dl {
                @for (activity, n) in work.attempts.iter().take(WIDE) { div { dt { (words::who(activity)) } dd.num { (n) } } }
                @if work.attempts.len() > WIDE { div { dt { "others" } dd.num { (work.attempts.len() - WIDE) } } }
                div { dt { "Began" } dd { (instant(work.created_at)) " UTC, " (since(work.created_at, now)) " ago" } }
                @if let Some(at) = work.completed_at { div { dt { "Ended" } dd { (instant(at)) " UTC" } } }
                div { dt { "Run" } dd { code { (work.run_id) } } }
            }
        }
    }
}
