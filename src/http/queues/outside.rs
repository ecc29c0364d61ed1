//! The door for workers outside, in any language: poll for an attempt, tell how it ended, say that it goes on.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::read::Fields;
use super::{name, secrecy, unknown_queue};
use crate::http::access::{Audited, Visit};
use crate::http::orders::{Outcome, send};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::queue_schema::{
    CompleteBody, FailBody, HeartbeatAnswer, HeartbeatBody, LeasedDocument, PollBody, Taken,
};
use crate::http::site::by;
use crate::http::{Site, body};
use crate::model::{Failure, FailureKind, RetryClass};
use crate::runtime::{LeasedCall, PollRequest, Report, WAIT_MS_MAX};

const WORKER_CHARS_MAX: usize = 128;
const ACTIVITIES_MAX: usize = 64;
const ACTIVITY_CHARS_MAX: usize = 128;
/// What is kept of a worker's words, in characters.
const MESSAGE_CHARS_MAX: usize = 4_096;
/// The longest progress, as JSON, in bytes.
const PROGRESS_BYTES_MAX: usize = 4_096;
/// The longest wait a worker may ask for: an hour.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// Take an attempt to make
///
/// Held until there is one or the time is over. Pause, rate limit and backoff of the queue hold for outside workers too;
/// its concurrency does not: each worker brings its own.
#[utoipa::path(
    post, path = "/api/queues/{queue}/poll", operation_id = "poll", tag = "queues",
    params(("queue" = String, Path, example = "shipping")),
    request_body = PollBody,
    responses(
        (status = 200, description = "Make it, and tell how it ended", body = LeasedDocument),
        (status = 204, description = "Nothing to do"),
        (status = 404, description = "`queue_not_found`"),
    )
)]
pub async fn poll(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = read(&req, &site, payload, deadline).await?;
    let mut fields = Fields::of(&bytes)?;
    let worker = fields.text("worker_id", WORKER_CHARS_MAX);
    if worker.is_none() {
        fields.need("worker_id");
    }
    let seconds = fields.number("wait_seconds", 0.0..=WAIT_MS_MAX as f64 / 1e3);
    let activities = fields.texts("activities", ACTIVITIES_MAX, ACTIVITY_CHARS_MAX);
    fields.finish()?;
    let wait_ms = (seconds.unwrap_or(0.0) * 1e3) as u64;
    let request = PollRequest { worker: worker.unwrap_or_default(), activities, wait_ms };
    let deadline = deadline + Duration::from_millis(wait_ms);
    let leased = by(deadline, site.engine()?.poll(name(&req), request)).await.map_err(unknown_queue)?;
    Ok(match leased {
        None => unaudited(HttpResponse::NoContent()).finish(),
        Some(mut leased) => {
            // The worker does what an activity of our own would: with the secrets themselves. Where their key is lost
            // it gets them sealed, and will fail over them.
            let owner = leased.workflow_id.root().to_owned();
            let _sealed = site.options.secrets.open(&owner, &mut leased.input);
            send(unaudited(HttpResponse::Ok()), document(name(&req), &leased))
        }
    })
}

fn document(queue: &str, leased: &LeasedCall) -> String {
    let document = json!({
        "token": leased.token, "queue": queue, "activity": leased.activity, "workflow_id": leased.workflow_id,
        "run_id": leased.run_id, "attempt": leased.attempt, "input": leased.input,
        "idempotency_key": leased.idempotency_key, "deadline_at": leased.deadline_at,
        "timeout_ms": leased.timeout_ms, "recovered": leased.recovered, "traceparent": leased.trace,
    });
    document.to_string()
}

/// An attempt is done
///
/// When this is answered the result is on disk. Sent again with the same body it is answered the same.
#[utoipa::path(
    post, path = "/api/activities/{token}/complete", operation_id = "complete_activity", tag = "queues",
    params(("token" = String, Path, description = "From a poll")),
    request_body = CompleteBody,
    responses(
        (status = 200, description = "Taken", body = Taken),
        (status = 404, description = "`token_not_found`: not one of ours"),
        (status = 409, description = "`lease_lost`: timed out or superseded; the result is not applied"),
    )
)]
pub async fn complete(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = read(&req, &site, payload, deadline).await?;
    let mut fields = Fields::of(&bytes)?;
    let result = fields.any("result").unwrap_or_default();
    fields.finish()?;
    let text = result.to_string();
    let sealed = secrecy::report(&site, token(&req), Ok(result), &["complete", &text], deadline).await?;
    report(&req, &site, sealed, deadline).await
}

/// An attempt has failed
///
/// Whether it is made again follows from the kind and the activity's retry policy.
#[utoipa::path(
    post, path = "/api/activities/{token}/fail", operation_id = "fail_activity", tag = "queues",
    params(("token" = String, Path, description = "From a poll")),
    request_body = FailBody,
    responses(
        (status = 200, description = "Taken", body = Taken),
        (status = 404, description = "`token_not_found`: not one of ours"),
        (status = 409, description = "`lease_lost`: timed out or superseded"),
    )
)]
pub async fn fail(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = read(&req, &site, payload, deadline).await?;
    let mut fields = Fields::of(&bytes)?;
    let failure = failure(&mut fields);
    fields.finish()?;
    let failure = failure.unwrap_or_else(|| Failure::new(FailureKind::Error, ""));
    let wait = failure.retry_after_ms.map(|ms| ms.to_string()).unwrap_or_default();
    let text = failure.message.clone();
    let words = ["fail", failure.kind.as_str(), &text, &wait];
    let sealed = secrecy::report(&site, token(&req), Err(failure), &words, deadline).await?;
    report(&req, &site, sealed, deadline).await
}

fn failure(fields: &mut Fields<'_>) -> Option<Failure> {
    let message = fields.text("message", MESSAGE_CHARS_MAX);
    if message.is_none() {
        fields.need("message");
    }
    let word = fields.text("kind", 32);
    let kind = match word.as_deref() {
        None => Some(FailureKind::Error),
        Some(word) => serde_json::from_value(Value::from(word)).ok(),
    };
    let Some(kind) = kind else {
        fields.fault("kind", "is not a kind of failure");
        return None;
    };
    let retryable = fields.flag("retryable");
    let retry_after_ms = fields.whole("retry_after_ms", 0..=RETRY_AFTER_MS_MAX);
    let never: bool = kind.class() == RetryClass::Never;
    let kind = match retryable {
        Some(false) if !never => FailureKind::Refused,
        Some(true) if never => {
            fields.fault("retryable", "this kind is never tried again");
            return None;
        }
        _ => kind,
    };
    Some(Failure { kind, message: message?, retry_after_ms })
}

/// An attempt goes on
///
/// Its lease lasts on, up to the activity's timeout.
#[utoipa::path(
    post, path = "/api/activities/{token}/heartbeat", operation_id = "heartbeat_activity", tag = "queues",
    params(("token" = String, Path, description = "From a poll")),
    request_body = HeartbeatBody,
    responses(
        (status = 200, description = "Go on", body = HeartbeatAnswer),
        (status = 404, description = "`token_not_found`: not one of ours"),
        (status = 409, description = "`lease_lost`: timed out or superseded"),
    )
)]
pub async fn heartbeat(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = read(&req, &site, payload, deadline).await?;
    let mut fields = Fields::of(&bytes)?;
    let progress = fields.any("progress").filter(|progress| !progress.is_null());
    if progress.as_ref().is_some_and(|progress| progress.to_string().len() > PROGRESS_BYTES_MAX) {
        fields.fault("progress", "must have at most 4096 bytes");
    }
    fields.finish()?;
    let beaten = by(deadline, site.engine()?.heartbeat(token(&req), progress.map(secrecy::shown)))
        .await
        .map_err(unknown_token)?;
    let answer = json!({"cancel_requested": beaten.cancel_requested, "deadline_at": beaten.deadline_at});
    Ok(send(unaudited(HttpResponse::Ok()), answer.to_string()))
}

async fn read(req: &HttpRequest, site: &Site, payload: Payload, deadline: Instant) -> Result<Bytes, Problem> {
    let bytes = body::read(req, payload, site.options.body_limit_bytes, deadline).await?;
    Query::read(req.query_string()).finish().or(())?;
    Ok(bytes)
}

/// Asking for work and being alive change no workflow: of those calls, many a second, the audit has none.
fn unaudited(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.extensions_mut().insert(Audited);
    response
}

async fn report(req: &HttpRequest, site: &Site, report: Report, deadline: Instant) -> Outcome {
    let caller = Visit::of(req).caller(200);
    let audited = by(deadline, site.engine()?.report(token(req), report, caller)).await.map_err(unknown_token)?;
    let mut response = HttpResponse::Ok();
    if audited {
        response.extensions_mut().insert(Audited);
    }
    Ok(send(response, r#"{"status":"taken"}"#.to_owned()))
}

fn token(req: &HttpRequest) -> &str {
    req.match_info().get("token").unwrap_or_default()
}

pub(super) fn unknown_token(problem: Problem) -> Problem {
    match problem.code.as_ref() {
        "order_not_found" => Problem::new(StatusCode::NOT_FOUND, "token_not_found", "this is no token of this server"),
        _ => problem,
    }
}
