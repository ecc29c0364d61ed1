//! `POST /orders/{order_id}/start`

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::{Outcome, order_id, send, start_request, submit};
use crate::http::access::Visit;
use crate::http::fingerprint::idempotency_key;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::{StartBody, StatusDocument};
use crate::http::{Site, body, trace};
use crate::runtime::{Action, Command};
use crate::workflows::order::KIND;

/// Start an order
///
/// The same start again is answered 200 with the current status; another start of the same id is 409 `order_exists`.
/// Without a `payment_id` it is `pay-` and the order id; without an `amount` it is what the items cost.
#[utoipa::path(
    post, path = "/orders/{order_id}/start", tag = "orders",
    params(
        ("order_id" = String, Path, description = "1 to 128 characters out of A-Z a-z 0-9 . _ : ~ -", example = "o-1"),
        ("payment_id" = Option<String>, Query, description = "In place of the body's; if both are given they must be equal", example = "pay-1"),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context: kept with the order and passed on to its activities"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: the same key and request get the first answer again"),
    ),
    request_body(content = StartBody, description = "May be missing"),
    responses(
        (status = 202, description = "Started; it is on disk", body = StatusDocument, headers(("Location" = String, description = "Where its status is"))),
        (status = 200, description = "It was started so already", body = StatusDocument),
    )
)]
pub async fn start(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let order_id = order_id(&req)?;
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    site.admit_new()?;
    let body = body::json(&bytes)?;
    let query = Query::read(req.query_string());
    let mut start = start_request::read(&order_id, query, body.as_ref(), &site.options.order)?;
    let idempotency = idempotency_key(&req, &["start", order_id.as_str(), &start.fingerprint])?;
    start.trace = trace::of(req.headers());
    let input = serde_json::to_value(&start).map_err(|_| Problem::internal())?;
    let action = Action::Start { kind: KIND, input, fingerprint: start.fingerprint };
    let by = Visit::of(&req).caller(202);
    let command = Command { id: order_id.workflow(), group: KIND, action, idempotency, by };
    let (mut response, answer) = submit(&site, command, deadline).await?;
    if answer.changed {
        response.insert_header((header::LOCATION, location(&order_id)));
    }
    Ok::<HttpResponse, _>(send(response, answer.document))
}

fn location(order_id: &crate::model::OrderId) -> String {
    format!("/orders/{order_id}/status")
}
