//! What is asked of the server itself: is it alive, is it ready, how much is there, where is what.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tokio::time::Instant;

use super::Site;
use super::access::Visit;
use super::orders::{Outcome, STATES, send};
use super::problem::Problem;
use super::query::Query;
use super::schema::{Health, Root, Stats};
use super::site::by;
use crate::workflows::{job, order, task};
use crate::{console, runtime};

/// How long the database may take to answer a readiness probe.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, description = "It is", body = Health)))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#)
}

/// Is recovery done, and does the database answer?
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, description = "Ready", body = Health)))]
pub async fn readyz(site: Data<Site>) -> Outcome {
    let engine = site.engine()?;
    if !engine.is_ready() {
        return Err(Problem::unavailable("not_ready", "recovery is not done yet, or the server is shutting down"));
    }
    if !engine.stores() {
        return Err(Problem::unavailable("database_unavailable", "the database does not take what is written"));
    }
    by(Instant::now() + PING_TIMEOUT, engine.read(|queries| queries.ping())).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ready"}"#))
}

/// Metrics as Prometheus text
#[utoipa::path(
    get, path = "/metrics", tag = "system",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain; version=0.0.4"))
)]
pub async fn metrics(site: Data<Site>) -> HttpResponse {
    match site.engine() {
        Ok(engine) => engine.refresh_metrics().await,
        // Another process has the actors.
        Err(_) => runtime::no_engine_metrics(),
    }
    let text = site.options.metrics.as_ref().map(|render| render()).unwrap_or_default();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

/// How many orders, jobs and tasks there are in each state
#[utoipa::path(
    get, path = "/stats", tag = "system",
    responses((status = 200, description = "Exactly what counting the rows gives", body = Stats))
)]
pub async fn stats(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    let engine = site.engine()?;
    let owner = Visit::of(&req).owner().cloned();
    let read = engine.read(move |queries| match &owner {
        Some(owner) => queries.stats_of(owner),
        None => queries.stats(),
    });
    let mut kinds = by(site.deadline(), read).await?;
    let mut orders: BTreeMap<String, i64> = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
    orders.extend(kinds.remove(order::KIND).unwrap_or_default());
    let mut jobs: BTreeMap<String, i64> = job::STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
    jobs.extend(kinds.remove(job::KIND).unwrap_or_default());
    let mut tasks: BTreeMap<String, i64> = task::STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
    for kind in engine.kinds_of(task::GROUP) {
        for (state, n) in kinds.remove(kind).unwrap_or_default() {
            *tasks.entry(state).or_default() += n;
        }
    }
    Ok(send(HttpResponse::Ok(), json!({"orders": orders, "jobs": jobs, "tasks": tasks}).to_string()))
}

/// The retry policies in force, and the kinds of workflow
#[utoipa::path(
    get, path = "/policies", tag = "system",
    responses((status = 200, description = "Times in ms", body = serde_json::Value))
)]
pub async fn policies(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    Ok(send(HttpResponse::Ok(), site.engine()?.describe().to_string()))
}

const LINKS: [(&str, &str); 13] = [
    ("docs", "/docs/"),
    ("openapi", "/openapi.json"),
    ("orders", "/orders"),
    ("events", "/events"),
    ("jobs", "/jobs"),
    ("tasks", "/api/tasks"),
    ("queues", "/api/queues"),
    ("stats", "/stats"),
    ("keys", "/keys"),
    ("audit", "/audit"),
    ("metrics", "/metrics"),
    ("health", "/healthz"),
    ("ready", "/readyz"),
];

/// What is here
///
/// A browser gets the web console, everyone else JSON.
#[utoipa::path(
    get, path = "/", tag = "system",
    responses((status = 200, description = "Name, version, links", content((Root = "application/json"), (String = "text/html"))))
)]
pub async fn root(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let accept = req.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return console::front(req, site).await;
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "accept"));
    let links: BTreeMap<&str, &str> = LINKS.into_iter().collect();
    let json = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"), "links": links});
    send(response, json.to_string())
}
