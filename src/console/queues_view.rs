//! How the task queues look.

use maud::{Markup, html};

use super::list_view::grouped;
use super::order::Notice;
use super::queues::holders;
use super::span::{span, until};
use super::words;
use crate::model::Timestamp;
use crate::runtime::{HeldLease, QueueChange, QueueView, RateLimit};

/// The page of a queue. Its name is anything.
pub fn path(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let coded =
        name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    format!("/console/queues/{}", coded.collect::<String>())
}

pub fn list(queues: &[QueueView], now: Timestamp) -> Markup {
    let (running, backlog) =
        queues.iter().fold((0, 0), |(running, backlog), q| (running + q.running, backlog + q.backlog));
    html! {
        div.head { h1 { "Queues" } p.what { (count(running)) " under way, " (count(backlog)) " waiting" } }
        table.orders.list.queues {
            colgroup { @for column in ["queue", "qnow", "running", "backlog", "oldest", "rate", "outside"] { col.(format!("c-{column}")); } }
            thead { tr {
                th scope="col" { "Queue" } th scope="col" { "Now" } th scope="col" { "Under way" } th scope="col" { "Waiting" }
                th scope="col" { "Oldest wait" } th scope="col" { "Rate limit" } th scope="col" { "Outside workers" }
            } }
            tbody { @for queue in queues { (row(queue, now)) } }
        }
        p.what { "A call of an activity waits in a queue until there is a slot for it. Open a queue to pause it or to change its limits." }
    }
}

fn count(n: usize) -> String {
    grouped(i64::try_from(n).unwrap_or(i64::MAX))
}

fn row(queue: &QueueView, now: Timestamp) -> Markup {
    html! {
        tr id=(format!("q:{}", queue.name)) {
            td.id { a href=(path(&queue.name)) { (queue.name) } }
            td.qnow { (pill(queue, now)) @if let Some(at) = held(queue, now) { " " small { (until(at, now)) " left" } } }
            td.running { (load(queue)) }
            td.num data-label="waiting" { @if queue.backlog == 0 { span.none { "0" } } @else { b { (count(queue.backlog)) } } }
            td.num data-label="oldest" { @if queue.backlog == 0 { span.none { "–" } } @else { (span(queue.oldest_wait_ms)) } }
            td.num data-label="rate" { (rate(queue.rate_limit)) }
            td.num data-label="outside" { @if queue.workers + queue.leased == 0 { span.none { "none" } }
                @else { (queue.workers) @if queue.leased > 0 { ", hold " (queue.leased) } } }
        }
    }
}

/// Until when it is held back by what the other side asked for.
fn held(queue: &QueueView, now: Timestamp) -> Option<Timestamp> {
    queue.backoff_until.filter(|at| *at > now)
}

fn pill(queue: &QueueView, now: Timestamp) -> Markup {
    let (class, word) = match queue {
        queue if queue.paused => ("paused", "paused"),
        queue if held(queue, now).is_some() => ("backoff", "backs off"),
        queue if queue.running > 0 => ("running", "working"),
        queue if queue.backlog > 0 => ("running", "waiting"),
        _ => ("idle", "idle"),
    };
    html! { span class=(format!("pill st-{class}")) { (word) } }
}

/// How full it is.
fn load(queue: &QueueView) -> Markup {
    html! {
        span.bar-of.st-running {
            @if queue.concurrency > 0 {
                progress max=(queue.concurrency) value=(queue.running.min(queue.concurrency)) aria-label="Slots in use" {}
            }
            span.num { (count(queue.running)) " of " (count(queue.concurrency)) }
        }
    }
}

fn rate(limit: Option<RateLimit>) -> Markup {
    html! { @match limit { Some(limit) => { (limit.per_second) "/s" }, None => span.none { "none" } } }
}

pub fn sheet(queue: &QueueView, notice: Option<&Notice>, now: Timestamp) -> Markup {
    html! {
        @match notice {
            Some(Notice::Done(text)) => p.notice role="status" { (text) },
            Some(Notice::Refused(why)) => p.notice.bad role="alert" { "Refused: " (why) "." },
            None => {}
        }
        div.order-head {
            p.crumbs { a href="/console/queues" { "Queues" } " / " }
            h1 { (queue.name) }
            p.status { (pill(queue, now)) (load(queue)) span.what { (count(queue.backlog)) " waiting" } }
            p.lead { (lead(queue, now)) }
        }
        section.acts aria-label="What you can do" { (pause(queue)) }
        div.cards { (limits(queue)) (present(queue, now)) (outside(queue)) }
        @if let Some(leases) = queue.leases.as_ref().filter(|leases| !leases.is_empty()) { (held_by(leases, now)) }
    }
}

fn lead(queue: &QueueView, now: Timestamp) -> Markup {
    html! {
        @if queue.paused { "Paused: nothing new starts; what runs may end, and what comes waits." }
        @else if let Some(at) = held(queue, now) {
            "The other side asked to be left alone: nothing starts for " (until(at, now)) ", then all of it goes on together."
        } @else if queue.concurrency == 0 && queue.workers == 0 && queue.backlog > 0 {
            "Only outside workers take from this queue, and none was heard of lately: " (count(queue.backlog)) " calls wait for one."
        } @else if queue.backlog > 0 {
            "The oldest of " (count(queue.backlog)) " calls has waited " (span(queue.oldest_wait_ms)) "."
        } @else { "Nothing waits: a call starts as soon as it comes." }
    }
}

fn pause(queue: &QueueView) -> Markup {
    let (value, label) = if queue.paused { ("no", "Resume the queue") } else { ("yes", "Pause the queue") };
    let change = QueueChange { paused: Some(!queue.paused), ..QueueChange::default() };
    html! {
        form.act method="post" action=(path(&queue.name)) {
            input type="hidden" name="paused" value=(value);
            button.danger[!queue.paused].primary[queue.paused] aria-describedby="will-pause" { (label) }
            span.will #will-pause { (sentences(queue, &change).join(" ")) }
        }
    }
}

fn limits(queue: &QueueView) -> Markup {
    let limit = queue.rate_limit;
    html! {
        section.card {
            h2 { "Limits" }
            form.limits method="post" action=(path(&queue.name)) {
                label { "Calls at once"
                    input type="number" name="concurrency" required min="0" max="100000" step="1" value=(queue.concurrency); }
                label { "Starts a second" small { " (empty: no limit)" }
                    input type="text" inputmode="decimal" name="per_second" value=[limit.map(|limit| limit.per_second)]
                        maxlength="12" autocomplete="off"; }
                label { "At once after a rest" small { " (empty: a second's worth)" }
                    input type="number" name="burst" min="1" max="1000000" step="1" value=[limit.map(|limit| limit.burst)]; }
                button { "Look at the change…" }
            }
            p.what { "First it is said what it will do." }
        }
    }
}

fn present(queue: &QueueView, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { "At this moment" }
            p.big { (count(queue.running)) " " small { "under way" } }
            dl {
                div { dt { "Waiting" } dd.num { (count(queue.backlog)) } }
                div { dt { "Oldest wait" } dd.num { @if queue.backlog == 0 { "–" } @else { (span(queue.oldest_wait_ms)) } } }
                div { dt { "Slots now" } dd { (queue.slots) small { " of " (queue.min) " to " (queue.max) ", as the backlog asks" } } }
                div { dt { "Rate limit" } dd { (rate(queue.rate_limit)) @if let Some(limit) = queue.rate_limit {
                    small { ", " (limit.burst) " at once" } } } }
                div { dt { "Held back" } dd { @match held(queue, now) {
                    Some(at) => { "for " (until(at, now)) }, None => span.none { "no" } } } }
                div { dt { "One 429 holds" } dd { @if queue.shared_backoff { "the whole queue" } @else { "its own call" } } }
            }
        }
    }
}

fn outside(queue: &QueueView) -> Markup {
    let names = holders(queue);
    html! {
        section.card {
            h2 { "Outside workers" }
            p.big { (queue.workers) " " small { "heard of in 30 s" } }
            dl { div { dt { "Calls they hold" } dd.num { (queue.leased) } } }
            @if !names.is_empty() { p.what { @for (index, name) in names.iter().take(8).enumerate() {
                @if index > 0 { ", " } code { (name) } } @if names.len() > 8 { " and " (names.len() - 8) " others" } } }
            @if queue.workers == 0 && queue.leased == 0 { p.what { "Any language can take from it: "
                code { "POST /api/queues/" (queue.name) "/poll" } } }
        }
    }
}

fn held_by(leases: &[HeldLease], now: Timestamp) -> Markup {
    html! {
        section.part {
            h2 { "What outside workers hold " span.n { (leases.len()) } }
            table.orders.results {
                thead { tr { th scope="col" { "Worker" } th scope="col" { "Call" } th scope="col" { "Of" }
                    th scope="col" { "Attempt" } th scope="col" { "Lease" } th scope="col" { "Last word" } } }
                tbody { @for lease in leases { tr {
                    td.id { (lease.worker_id) }
                    td { (words::state(&lease.activity)) }
                    td.id { a href=(format!("/console/orders/{}", lease.workflow_id.root())) { (lease.workflow_id) } }
                    td.num data-label="attempt" { (lease.attempt) }
                    td.num data-label="lease" { (until(lease.deadline_at, now)) " left" }
                    td { @match &lease.progress { Some(said) => code { (super::history::cut(&said.to_string(), 200)) },
                        None => span.none { "none yet" } } }
                } } }
            }
        }
    }
}

/// What a change will do, before it is made.
pub fn sentences(queue: &QueueView, change: &QueueChange) -> Vec<String> {
    let mut said = Vec::new();
    let inside = queue.running.saturating_sub(queue.leased);
    match change.paused {
        Some(true) if queue.running > 0 => {
            said.push(format!("nothing new starts; the {} under way end, what comes waits", count(queue.running)));
        }
        Some(true) => said.push("nothing new starts; what comes waits".to_owned()),
        Some(false) if queue.backlog > 0 => said.push(format!("the {} that wait may start", count(queue.backlog))),
        Some(false) => said.push("calls start again".to_owned()),
        None => {}
    }
    match change.concurrency {
        Some(0) => {
            said.push("Nothing is done here any more: only outside workers take from it.".to_owned());
            if inside > 0 {
                said.push(format!("The {} under way end.", count(inside)));
            }
        }
        Some(n) => {
            said.push(format!("At most {} calls run at once instead of {}.", count(n), count(queue.concurrency)));
            if inside > n {
                said.push(format!(
                    "{} are under way: they end, and nothing new starts until fewer than {} run.",
                    count(inside),
                    count(n)
                ));
            } else if n > queue.concurrency && queue.backlog > 0 {
                let may = queue.backlog.min(n - inside);
                said.push(if may == queue.backlog {
                    format!("All {} that wait may start.", count(may))
                } else {
                    format!("{} of the {} that wait may start.", count(may), count(queue.backlog))
                });
            }
        }
        None => {}
    }
    match change.rate_limit {
        Some(Some(limit)) => {
            said.push(format!(
                "At most {} calls start a second, and after a rest {} at once.",
                limit.per_second, limit.burst
            ));
            let later = queue.backlog.saturating_sub(limit.burst as usize);
            if later > 0 {
                let needs = span((later as f64 / limit.per_second * 1_000.0) as u64);
                said.push(format!("The {} that wait need at least {needs}.", count(queue.backlog)));
            }
        }
        Some(None) => said.push("Calls start as fast as there are slots: the rate limit is taken away.".to_owned()),
        None => {}
    }
    said
}

pub fn preview(queue: &QueueView, change: &QueueChange, now: Timestamp) -> Markup {
    let said = sentences(queue, change);
    let here = path(&queue.name);
    html! {
        div.order-head {
            p.crumbs { a href="/console/queues" { "Queues" } " / " a href=(here) { (queue.name) } }
            h1 { @if said.is_empty() { "Nothing would change" } @else { "Change the limits of " (queue.name) "?" } }
            p.status { (pill(queue, now)) (load(queue)) span.what { (count(queue.backlog)) " waiting" } }
        }
        @if said.is_empty() { p.empty { "The limits are as you gave them already. " a href=(here) { "Back to the queue" } } }
        @else {
            ul.will-do { @for sentence in &said { li { (sentence) } } }
            p.what { "It is on disk before it is answered, and stands above the configuration from then on, also after a restart." }
            form.confirm method="post" action=(here) {
                input type="hidden" name="sure" value="yes";
                @if let Some(n) = change.concurrency { input type="hidden" name="concurrency" value=(n); }
                @if let Some(rate) = change.rate_limit {
                    input type="hidden" name="per_second" value=(rate.map(|rate| rate.per_second.to_string()).unwrap_or_default());
                    input type="hidden" name="burst" value=(rate.map(|rate| rate.burst.to_string()).unwrap_or_default());
                }
                button.primary { "Change the limits" }
                a.button href=(here) { "Leave them as they are" }
            }
        }
    }
}
