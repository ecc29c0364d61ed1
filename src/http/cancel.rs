//! Cancelling a job or a task: the same request, a signal of the same name.

use actix_web::HttpRequest;
use actix_web::web::Payload;

use super::access::Visit;
use super::fingerprint::idempotency_key;
use super::orders::signals::cancel_payload;
use super::orders::{Outcome, send, submit};
use super::query::Query;
use super::{Site, body};
use crate::model::WorkflowId;
use crate::runtime::{Action, Command};

const SIGNAL: &str = "cancel";

/// Reads the request and cancels a workflow of a group.
pub async fn run(req: HttpRequest, site: &Site, payload: Payload, id: WorkflowId, group: &'static str) -> Outcome {
    let deadline = site.deadline();
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    Query::read(req.query_string()).finish().or(())?;
    let payload = cancel_payload(body::json(&bytes)?.as_ref())?;
    let idempotency = idempotency_key(&req, &[group, SIGNAL, id.as_str(), &payload.to_string()])?;
    let visit = Visit::of(&req);
    visit.because(payload["reason"].as_str());
    let by = visit.caller(202);
    let action = Action::Signal { name: SIGNAL.into(), payload };
    let (response, answer) = submit(site, Command { id, group, action, idempotency, by }, deadline).await?;
    Ok(send(response, answer.document))
}
