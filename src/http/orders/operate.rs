//! `POST /orders/{order_id}/retry`, `/pause`, `/resume`: an operator's hand.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};

use super::signals::nothing;
use super::{Outcome, order_id, send, submit};
use crate::http::access::Visit;
use crate::http::fingerprint::idempotency_key;
use crate::http::query::Query;
use crate::http::schema::{EmptyBody, StatusDocument};
use crate::http::{Site, body};
use crate::runtime::{Action, Command};
use crate::workflows::order::KIND;

/// Restart a failed or stuck order
///
/// From the step that failed; effects that are done are not done again.
#[utoipa::path(
    post, path = "/orders/{order_id}/retry", tag = "operations",
    params(("order_id" = String, Path, example = "o-1"), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = EmptyBody, description = "May be missing"),
    responses(
        (status = 202, description = "Restarted; it is on disk", body = StatusDocument),
        (status = 200, description = "It was so already", body = StatusDocument),
        (status = 409, description = "`order_not_retriable`"),
    )
)]
pub async fn retry(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    operate(req, site, payload, "retry", Action::Retry).await
}

/// Pause the order
///
/// No new activity starts, clocks stand still, signals are kept.
#[utoipa::path(
    post, path = "/orders/{order_id}/pause", tag = "operations",
    params(("order_id" = String, Path, example = "o-1"), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = EmptyBody, description = "May be missing"),
    responses(
        (status = 202, description = "Paused; it is on disk", body = StatusDocument),
        (status = 200, description = "It was paused already", body = StatusDocument),
        (status = 409, description = "`order_ended`"),
    )
)]
pub async fn pause(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    operate(req, site, payload, "pause", Action::Pause).await
}

/// Resume a paused order
#[utoipa::path(
    post, path = "/orders/{order_id}/resume", tag = "operations",
    params(("order_id" = String, Path, example = "o-1"), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = EmptyBody, description = "May be missing"),
    responses(
        (status = 202, description = "Resumed; it is on disk", body = StatusDocument),
        (status = 200, description = "It was not paused", body = StatusDocument),
        (status = 409, description = "`order_ended`"),
    )
)]
pub async fn resume(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    operate(req, site, payload, "resume", Action::Resume).await
}

async fn operate(req: HttpRequest, site: Data<Site>, payload: Payload, name: &str, action: Action) -> Outcome {
    let deadline = site.deadline();
    let order_id = order_id(&req)?;
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    Query::read(req.query_string()).finish().or(())?;
    nothing(body::json(&bytes)?.as_ref())?;
    let idempotency = idempotency_key(&req, &[name, order_id.as_str()])?;
    let by = Visit::of(&req).caller(202);
    let command = Command { id: order_id.workflow(), group: KIND, action, idempotency, by };
    let (response, answer) = submit(&site, command, deadline).await?;
    Ok(send(response, answer.document))
}
