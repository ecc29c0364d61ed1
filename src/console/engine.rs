//! Actors and journal: the machine behind the orders, as live charts.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::charts::{line, rate};
use super::facts::Fact;
use super::layout::Shell;
use super::list_view::grouped;
use super::reply;
use super::samples::Sample;
use super::span::{clock, instant, since};
use crate::http::Site;
use crate::http::problem::Problem;
use crate::http::site::by;
use crate::model::Timestamp;
use crate::store::{EventsOf, Queries, StoredEvent};

/// Events of the journal that are shown.
const TAIL: u64 = 40;

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = engine(&site).await;
    reply::or_problem(&req, outcome)
}

async fn engine(site: &Site) -> Result<HttpResponse, Problem> {
    let engine = site.engine()?;
    let after = *engine.last_event().borrow();
    let tail = move |queries: &dyn Queries| queries.events(&EventsOf::All, after.saturating_sub(TAIL), TAIL as usize);
    let tail = by(site.deadline(), engine.read(tail)).await?;
    let samples = site.console.fine();
    let boot = by(site.deadline(), async { Ok(site.console.boot().await) }).await?;
    let now = engine.now();
    let times: Vec<Timestamp> = samples.iter().map(|s| s.at).collect();
    let later = times.get(1..).unwrap_or_default();
    let of = |name: &str| samples.iter().map(|s| s.metric(name)).collect::<Vec<f64>>();
    let events: Vec<f64> = samples.iter().map(|s| s.event as f64).collect();
    let last = |name: &str| samples.last().map_or(0.0, |s| s.metric(name));
    let commit_ms: Vec<f64> = mean(&samples, "ordain_journal_commit_seconds").iter().map(|s| s * 1_000.0).collect();
    let main = html! {
        div.head { h1 { "Actors and journal" } }
        dl.facts {
            div { dt { "This process" } dd { "up " (since(boot.since, now)) br; small { "since " (instant(boot.since)) " UTC" } } }
            div { dt { "Orders it took over" } dd { (grouped(boot.open)) } }
            div { dt { "Last event" } dd.num { (grouped(i64::try_from(after).unwrap_or(i64::MAX))) } }
            div { dt { "Actors rebuilt after a panic" } dd.num { (last("ordain_actors_restarted_total")) } }
            div { dt { "Orders parked as stuck" } dd.num { (last("ordain_actors_stuck_total")) } }
            div { dt { "Deepest mailbox so far" } dd.num { (last("ordain_mailbox_high_water")) } }
            div { dt { "Broken invariants" } dd.num { (last("ordain_invariant_violations_total")) } }
        }
        div.charts {
            (line("Events", "/s", later, &rate(&times, &events)))
            (line("Commits", "/s", later, &rate(&times, &of("ordain_journal_commit_seconds_count"))))
            (line("Commit time, mean", "ms", later, &commit_ms))
            (line("Transitions in a commit, mean", "", later, &mean(&samples, "ordain_journal_batch_transitions")))
            (line("Live actors", "", &times, &of("ordain_actors_live")))
            (line("Passivated", "/s", later, &rate(&times, &of("ordain_actors_passivated_total"))))
            (line("Calls under way", "", &times, &of("ordain_queue_running")))
            (line("Calls that wait", "", &times, &of("ordain_queue_backlog")))
        }
        p.what { "A sample every 5 seconds, of the last quarter of an hour; kept in memory, so it begins anew with the process." }
        (journal(&tail))
    };
    let stream = Some(format!("/console/live?after={after}"));
    let shell = Shell { title: "Actors and journal", section: "/console/engine", stream, after, every_s: 5 };
    Ok(reply::page(StatusCode::OK, shell.render(&main)))
}

/// The end of the journal, newest first.
fn journal(tail: &[StoredEvent]) -> Markup {
    html! {
        section.part {
            div.bar { h2 { "The end of the journal" } span.what { "all of it: " code { "curl -N …/events" } } }
            @if tail.is_empty() { p.what { "Nothing has happened yet." } }
            @else {
                ol.factlist.journal { @for event in tail.iter().rev().take(TAIL as usize) {
                    @let fact = Fact::new(event.seq, event.at, &event.fact);
                    li class=(format!("fact tone-{}", fact.tone.as_str())) id=(format!("e{}", event.id)) {
                        span.seq { (event.id) }
                        time datetime=(event.at) { (clock(event.at)) }
                        a.id href=(format!("/console/orders/{}", event.order_id.root())) { (event.order_id) }
                        span.say { (fact.text) }
                        code.kind { (fact.kind) }
                    }
                } }
            }
        }
    }
}

/// The mean of a histogram between neighbouring samples.
fn mean(samples: &[Sample], name: &str) -> Vec<f64> {
    let (sum, count) = (format!("{name}_sum"), format!("{name}_count"));
    let grown = |pair: &[Sample], of: &str| pair[1].metric(of) - pair[0].metric(of);
    let pairs = samples.windows(2).map(|pair| (grown(pair, &sum), grown(pair, &count)));
    pairs.map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
}
