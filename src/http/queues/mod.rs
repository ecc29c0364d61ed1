//! The task queues: what is in them and their limits; and the door for workers outside, in any language.

pub mod outside;
mod read;
mod secrecy;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use serde_json::json;

use super::orders::{Outcome, send};
use super::problem::Problem;
use super::query::Query;
use super::queue_schema::{QueueChangeBody, QueueDocument, Queues};
use super::site::by;
use super::{Site, body};
use crate::runtime::{CONCURRENCY_MAX, QueueChange, RateLimit};
use read::Fields;

/// The task queues
#[utoipa::path(
    get, path = "/api/queues", operation_id = "queues", tag = "queues",
    responses((status = 200, description = "By name", body = Queues))
)]
pub async fn list(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    let queues = by(site.deadline(), site.engine()?.queues()).await?;
    Ok(send(HttpResponse::Ok(), json!({ "queues": queues }).to_string()))
}

/// A task queue
#[utoipa::path(
    get, path = "/api/queues/{queue}", operation_id = "queue", tag = "queues",
    params(("queue" = String, Path, example = "shipping")),
    responses(
        (status = 200, description = "With what outside workers hold of it", body = QueueDocument),
        (status = 404, description = "`queue_not_found`"),
    )
)]
pub async fn show(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    let queue = by(site.deadline(), site.engine()?.queue(name(&req))).await.map_err(unknown_queue)?;
    Ok(send(HttpResponse::Ok(), json!(queue).to_string()))
}

/// Change the limits of a queue
///
/// What is not named stays as it is. It is on disk, and in force, when it is answered; it stands above the configuration
/// from then on, also after a restart.
#[utoipa::path(
    patch, path = "/api/queues/{queue}", operation_id = "change_queue", tag = "queues",
    params(("queue" = String, Path, example = "shipping")),
    request_body = QueueChangeBody,
    responses(
        (status = 200, description = "The queue as it is now", body = QueueDocument),
        (status = 404, description = "`queue_not_found`"),
    )
)]
pub async fn change(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    Query::read(req.query_string()).finish().or(())?;
    let mut fields = Fields::of(&bytes)?;
    let change = QueueChange {
        concurrency: fields.whole("concurrency", 0..=CONCURRENCY_MAX as u64).map(|n| n as usize),
        rate_limit: rate_limit(&mut fields),
        paused: fields.flag("paused"),
    };
    fields.finish()?;
    let queue = by(deadline, site.engine()?.change_queue(name(&req), change)).await.map_err(unknown_queue)?;
    Ok(send(HttpResponse::Ok(), json!(queue).to_string()))
}

fn rate_limit(fields: &mut Fields<'_>) -> Option<Option<RateLimit>> {
    let mut parts = match fields.object_or_null("rate_limit")? {
        Some(parts) => parts,
        None => return Some(None),
    };
    let per_second = parts.number("per_second", RateLimit::PER_SECOND);
    let burst = parts.whole("burst", u64::from(*RateLimit::BURST.start())..=u64::from(*RateLimit::BURST.end()));
    if per_second.is_none() {
        parts.need("per_second");
    }
    fields.take_faults(parts);
    let plain = RateLimit::per_second(per_second?);
    Some(Some(RateLimit { burst: burst.map_or(plain.burst, |n| n as u32), ..plain }))
}

fn name(req: &HttpRequest) -> &str {
    req.match_info().get("queue").unwrap_or_default()
}

pub fn unknown_queue(problem: Problem) -> Problem {
    match problem.code.as_ref() {
        "order_not_found" => Problem::new(StatusCode::NOT_FOUND, "queue_not_found", "there is no queue of this name"),
        _ => problem,
    }
}
