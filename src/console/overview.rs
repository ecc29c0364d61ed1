//! The overview: how many orders are where, how fast they end, how long they take.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::charts::{Band, bands, line, rate};
use super::doc::Doc;
use super::latency::percentile;
use super::layout::Shell;
use super::list::{Listing, read};
use super::list_view::grouped;
use super::needs::of_state;
use super::recovered::notice;
use super::samples::{ENDS, REFUNDS, Sample};
use super::span::{since, span};
use super::{reply, words};
use crate::http::Site;
use crate::http::orders::STATES;
use crate::http::problem::Problem;
use crate::model::Timestamp;
use crate::store::OrderFilter;

/// Of so many of the newest orders it is said how long they took.
const LATEST: usize = 200;

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = overview(&site).await;
    reply::or_problem(&req, outcome)
}

async fn overview(site: &Site) -> Result<HttpResponse, Problem> {
    let engine = site.engine()?;
    let after = *engine.last_event().borrow();
    let latest = read(site, &engine, OrderFilter { limit: LATEST, ..OrderFilter::default() }).await?;
    let reviews = of_state(site, None, "in_review", false, 50).await?;
    let samples = site.console.coarse();
    let main = html! {
        (notice(&site.engine()?))
        div.head { h1 { "Overview" } }
        (tiles(&latest))
        (oldest_review(&reviews))
        div.charts { (courses(&samples)) }
        p.what { "A sample every minute, of the last day; every 5 seconds while the process is young. Kept in memory, so it begins anew with the process. "
            "Percentiles over time are estimated from the buckets of a histogram." }
        (took(&latest.orders))
    };
    let stream = Some(format!("/console/live?after={after}"));
    let shell = Shell { title: "Overview", section: "/console/overview", stream, after, every_s: 10 };
    Ok(reply::page(StatusCode::OK, shell.render(&main)))
}

fn tiles(listing: &Listing) -> Markup {
    html! {
        ul.tiles { @for state in STATES {
            @let n = listing.counts.get(state).copied().unwrap_or_default();
            li data-none[n == 0] { a class=(format!("st-{state}")) href=(format!("/?state={state}")) {
                b { (grouped(n)) } span { (words::state(state)) }
            } }
        } }
    }
}

fn oldest_review(reviews: &Listing) -> Markup {
    let oldest = reviews.orders.iter().find(|doc| doc.waits_for_person());
    html! {
        p.lead { @match oldest {
            Some(doc) => {
                "The oldest review waits for "
                (since(doc.review.opened_at.unwrap_or(doc.created_at), reviews.now)) ": "
                a href=(format!("/console/orders/{}", doc.order_id)) { code { (doc.order_id) } }
            }
            None => "No review waits for a person.",
        } }
    }
}

fn courses(samples: &[Sample]) -> Markup {
    let times: Vec<Timestamp> = samples.iter().map(|s| s.at).collect();
    let later = times.get(1..).unwrap_or_default();
    let open = STATES.iter().filter(|state| !ENDS.contains(state));
    let of = |state: &str| samples.iter().map(|s| s.count(state) as f64).collect::<Vec<f64>>();
    let open: Vec<Band> =
        open.map(|state| Band { name: words::state(state), class: format!("st-{state}"), values: of(state) }).collect();
    let made: Vec<f64> = samples.iter().map(|s| s.metric(REFUNDS)).collect();
    let refunds: Vec<f64> = rate(&times, &made).iter().map(|n| n * 60.0).collect();
    let all: Vec<f64> = samples.iter().map(|s| s.counts.values().sum::<i64>() as f64).collect();
    let started: Vec<f64> = rate(&times, &all).iter().map(|n| n * 60.0).collect();
    let a_minute = |state: &str| rate(&times, &of(state)).iter().map(|n| n * 60.0).collect::<Vec<f64>>();
    html! {
        (bands("Open orders by state", &times, &open))
        (line("Started", "a minute", later, &started))
        (line("Completed", "a minute", later, &a_minute("completed")))
        (line("Refunds", "a minute", later, &refunds))
        (took_line("Start to carrier, p50", 0.5, samples, later))
        (took_line("Start to carrier, p95", 0.95, samples, later))
        (line("Cancelled", "a minute", later, &a_minute("cancelled")))
        (line("Failed", "a minute", later, &a_minute("failed")))
        (line("Out of time", "a minute", later, &a_minute("timed_out")))
    }
}

/// A percentile over time. Where nothing completed, the one before stands.
fn took_line(title: &str, share: f64, samples: &[Sample], later: &[Timestamp]) -> Markup {
    let mut last = 0.0;
    let pairs = samples.windows(2).map(|pair| percentile(&pair[0].took, &pair[1].took, share));
    let values: Vec<f64> = pairs
        .map(|found| {
            last = found.unwrap_or(last);
            last
        })
        .collect();
    line(title, "s", later, &values)
}

/// How long the newest took, in percentiles.
fn took(orders: &[Doc]) -> Markup {
    let ended = orders.iter().filter(|doc| doc.state == "completed");
    let mut all: Vec<u64> = ended.filter_map(|doc| Some(doc.ended_at?.ms_since(doc.created_at))).collect();
    all.sort_unstable();
    let at = |percent: usize| all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied();
    html! {
        section.part {
            h2 { "From start to carrier" }
            @if all.is_empty() { p.what { "None of the newest orders has completed yet." } }
            @else {
                p.what { "Of the newest " (all.len()) " completed orders, their reviews included." }
                dl.facts { @for percent in [50, 90, 95, 99] {
                    div { dt { "p" (percent) } dd.num { (at(percent).map(span).unwrap_or_default()) } }
                } }
            }
        }
    }
}
