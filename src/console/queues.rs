//! The task queues: what waits, what runs, what holds them back; and the plain forms that change their limits. A change
//! of numbers is shown in words first, and made when that is confirmed.

use std::collections::BTreeSet;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::layout::Shell;
use super::order::Notice;
use super::{form, queues_view, reply};
use crate::http::Site;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::queues::unknown_queue;
use crate::http::site::by;
use crate::model::Timestamp;
use crate::runtime::{CONCURRENCY_MAX, QueueChange, QueueView, RateLimit};

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = all(&req, &site).await;
    reply::or_problem(&req, outcome)
}

async fn all(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    Query::read(req.query_string()).finish().or(())?;
    let engine = site.engine()?;
    let after = *engine.last_event().borrow();
    let queues = by(site.deadline(), engine.queues()).await?;
    let main = queues_view::list(&queues, engine.now());
    let stream = Some(format!("/console/live?after={after}"));
    // A call that begins or waits is no event.
    let shell = Shell { title: "Queues", section: "/console/queues", stream, after, every_s: 2 };
    Ok(reply::page(StatusCode::OK, shell.render(&main)))
}

pub async fn one(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = read_request(&req, &site).await;
    reply::or_problem(&req, outcome)
}

async fn read_request(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let mut query = Query::read(req.query_string());
    let did = query.take("did").and_then(|did| DONE.iter().find(|(name, _)| *name == did));
    query.finish().or(())?;
    show(site, name(req), did.map(|(_, words)| Notice::Done(words)), StatusCode::OK).await
}

/// What is said after a change. It is durable, and in force, by then.
const DONE: [(&str, &str); 3] = [
    ("pause", "Paused. It is on disk, and stays so over a restart."),
    ("resume", "Resumed. It is on disk."),
    ("limits", "Changed, and in force. It is on disk, and stands above the configuration."),
];

fn name(req: &HttpRequest) -> &str {
    req.match_info().get("queue").unwrap_or_default()
}

async fn read(site: &Site, name: &str) -> Result<(QueueView, Timestamp), Problem> {
    let engine = site.engine()?;
    let queue = by(site.deadline(), engine.queue(name)).await.map_err(unknown_queue)?;
    Ok((queue, engine.now()))
}

async fn show(site: &Site, name: &str, notice: Option<Notice>, status: StatusCode) -> Result<HttpResponse, Problem> {
    let after = *site.engine()?.last_event().borrow();
    let (queue, now) = read(site, name).await?;
    let main = queues_view::sheet(&queue, notice.as_ref(), now);
    let stream = Some(format!("/console/live?after={after}"));
    let shell = Shell { title: name, section: "/console/queues", stream, after, every_s: 2 };
    Ok(reply::page(status, shell.render(&main)))
}

/// A form of a queue's page was sent.
pub async fn change(req: HttpRequest, site: Data<Site>, payload: Payload) -> HttpResponse {
    let outcome = do_it(&req, &site, payload).await;
    reply::or_problem(&req, outcome)
}

async fn do_it(req: &HttpRequest, site: &Site, payload: Payload) -> Result<HttpResponse, Problem> {
    let deadline = site.deadline();
    let mut form = form::read(req, payload, site.options.body_limit_bytes, deadline).await?;
    let name = name(req);
    let (queue, now) = read(site, name).await?;
    let sure = form.take("sure").is_some_and(|sure| sure == "yes");
    let change = wanted(&mut form, &queue);
    if let Err(faults) = form.finish().or(()) {
        let why: Vec<String> =
            faults.iter().map(|f| format!("{} {}", f.pointer.trim_start_matches("/query/"), f.message)).collect();
        let notice = Notice::Refused(why.join("; "));
        return show(site, name, Some(notice), StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    // A pause says beside its button what it does; numbers are looked at first.
    if change.paused.is_none() && !sure {
        let main = queues_view::preview(&queue, &change, now);
        let shell = Shell { title: name, section: "/console/queues", stream: None, after: 0, every_s: 0 };
        return Ok(reply::page(StatusCode::OK, shell.render(&main)));
    }
    let did = match change.paused {
        Some(true) => "pause",
        Some(false) => "resume",
        None => "limits",
    };
    by(deadline, site.engine()?.change_queue(name, change)).await.map_err(unknown_queue)?;
    let to = format!("{}?did={did}", queues_view::path(name));
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish())
}

/// What the form asks for, where it differs from what is.
fn wanted(form: &mut Query, queue: &QueueView) -> QueueChange {
    let paused = form.take_as("paused", "must be yes or no", |text| match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    });
    let whole = |text: &str| text.trim().parse().ok().filter(|n| *n <= CONCURRENCY_MAX);
    let concurrency = form.take_as("concurrency", "must be a whole number from 0 to 100000", whole);
    let per_second = form.take("per_second").map(|text| text.trim().to_owned());
    let burst = form.take("burst").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut rate = None;
    match per_second.as_deref() {
        None => {}
        Some("") => rate = Some(None),
        Some(text) => match text.parse::<f64>().ok().filter(|n| RateLimit::PER_SECOND.contains(n)) {
            Some(n) => rate = Some(Some(RateLimit::per_second(n))),
            None => form.fault("per_second", "must be a number from 0.001 to 1000000, or nothing"),
        },
    }
    if let Some(text) = burst {
        match (text.parse::<u32>().ok().filter(|n| RateLimit::BURST.contains(n)), &mut rate) {
            (Some(n), Some(Some(limit))) => limit.burst = n,
            // Without a rate there is nothing to be gathered.
            (Some(_), _) => {}
            (None, _) => form.fault("burst", "must be a whole number from 1 to 1000000, or nothing"),
        }
    }
    QueueChange {
        concurrency: concurrency.filter(|n| *n != queue.concurrency),
        rate_limit: rate.filter(|rate| *rate != queue.rate_limit),
        paused,
    }
}

/// Who holds something of a queue, by name.
pub fn holders(queue: &QueueView) -> BTreeSet<&str> {
    queue.leases.iter().flatten().map(|lease| lease.worker_id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> QueueView {
        let json = r#"{"name":"q","concurrency":8,"min":1,"max":8,"slots":1,"running":3,"leased":0,"backlog":12,
            "oldest_wait_ms":0,"rate_limit":null,"shared_backoff":false,"backoff_until":null,"paused":false,"workers":0}"#;
        serde_json::from_str(json).unwrap()
    }

    fn asked(form: &str) -> Result<QueueChange, Vec<String>> {
        let mut form = Query::read(form);
        let change = wanted(&mut form, &queue());
        match form.finish().or(()) {
            Ok(()) => Ok(change),
            Err(faults) => Err(faults.into_iter().map(|fault| fault.pointer).collect()),
        }
    }

    #[test]
    fn a_form_says_what_is_to_be_otherwise_and_its_faults_are_told() {
        assert_eq!(asked("concurrency=8&per_second=&burst="), Ok(QueueChange::default()));
        let change = asked("concurrency=2&per_second=5&burst=7").unwrap();
        assert_eq!(change.concurrency, Some(2));
        assert_eq!(change.rate_limit, Some(Some(RateLimit { per_second: 5.0, burst: 7 })));
        assert_eq!(asked("paused=yes").unwrap().paused, Some(true));
        for (form, fault) in [
            ("concurrency=-1", "/query/concurrency"),
            ("concurrency=100001", "/query/concurrency"),
            ("per_second=0", "/query/per_second"),
            ("per_second=NaN", "/query/per_second"),
            ("per_second=1&burst=0", "/query/burst"),
            ("paused=maybe", "/query/paused"),
            ("x=1", "/query/x"),
        ] {
            assert_eq!(asked(form), Err(vec![fault.to_owned()]), "{form}");
        }
    }

    #[test]
    fn what_a_change_will_do_is_said_in_sentences() {
        let say = |form: &str| queues_view::sentences(&queue(), &asked(form).unwrap()).join(" ");
        assert_eq!(
            say("concurrency=2"),
            "At most 2 calls run at once instead of 8. 3 are under way: they end, and nothing new starts until fewer than \
             2 run."
        );
        assert!(say("concurrency=0").starts_with("Nothing is done here any more: only outside workers take from it."));
        assert_eq!(
            say("concurrency=10"),
            "At most 10 calls run at once instead of 8. 7 of the 12 that wait may start."
        );
        assert_eq!(
            say("per_second=2"),
            "At most 2 calls start a second, and after a rest 2 at once. The 12 that wait need at least 5.0 s."
        );
    }
}
