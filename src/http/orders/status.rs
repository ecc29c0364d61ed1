//! `GET /orders/{order_id}/status` and `/state`: the live document, and the durable record alone.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use tokio::time::Instant;

use super::{Outcome, STATES, order_id, send};
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::StatusDocument;
use crate::http::site::by;
use crate::model::WorkflowId;
use crate::runtime::Until;
use crate::workflows::order::KIND;

pub const WAIT_SECONDS_MAX: f64 = 60.0;

/// The status of an order
///
/// The durable record and the live actor side by side. With `wait` the answer is held until the order is in the
/// state asked for, or the time is over; it is the current status either way.
#[utoipa::path(
    get, path = "/orders/{order_id}/status", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("wait" = Option<f64>, Query, description = "Seconds to hold the answer, 0 to 60", minimum = 0, maximum = 60, example = 30),
        ("until" = Option<String>, Query, description = "`terminal` (default) or a state", example = "terminal"),
    ),
    responses((status = 200, description = "The status document", body = StatusDocument))
)]
pub async fn status(req: HttpRequest, site: Data<Site>) -> Outcome {
    let order_id = order_id(&req)?;
    let mut query = Query::read(req.query_string());
    let wait = query.take_as("wait", "must be a number of seconds from 0 to 60", |text| {
        text.parse::<f64>().ok().filter(|s| (0.0..=WAIT_SECONDS_MAX).contains(s)).map(Duration::from_secs_f64)
    });
    let until = query.take_as("until", "must be `terminal` or a state of an order", |text| match text {
        "terminal" => Some(Until::Terminal),
        state => STATES.contains(&state).then(|| Until::State(state.to_owned())),
    });
    query.finish().or(())?;
    let wait = wait.filter(|wait| !wait.is_zero());
    let deadline = site.deadline() + wait.unwrap_or_default();
    let hold = wait.map(|wait| (until.unwrap_or(Until::Terminal), wait));
    Visit::of(&req).check(&site, &order_id.workflow(), deadline).await?;
    let document = by(deadline, site.engine()?.status_of(Some(KIND), &order_id.workflow(), hold)).await?;
    Ok(send(HttpResponse::Ok(), document))
}

/// The durable record of an order
///
/// Read from SQL alone; with `seq`, as it was after that transition.
#[utoipa::path(
    get, path = "/orders/{order_id}/state", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("seq" = Option<u64>, Query, description = "From 1; without it the newest", minimum = 1, maximum = 9_223_372_036_854_775_807_i64, example = 3),
    ),
    responses((status = 200, description = "The record: the status document without `live`", body = StatusDocument))
)]
pub async fn state(req: HttpRequest, site: Data<Site>) -> Outcome {
    let id = order_id(&req)?.workflow();
    record(&req, &site, &id, Some(KIND)).await
}

/// Sends the record of a workflow of a group, or of any.
pub async fn record(req: &HttpRequest, site: &Site, id: &WorkflowId, group: Option<&str>) -> Outcome {
    let mut query = Query::read(req.query_string());
    let seq = query.take_as("seq", "must be a whole number from 1", |text| {
        text.parse().ok().filter(|seq| (1..=i64::MAX as u64).contains(seq))
    });
    query.finish().or(())?;
    let deadline: Instant = site.deadline();
    Visit::of(req).check(site, id, deadline).await?;
    let record = by(deadline, site.engine()?.record(group, id, seq)).await?;
    let json = serde_json::to_string(&record).map_err(|_| Problem::internal())?;
    Ok(send(HttpResponse::Ok(), json))
}
