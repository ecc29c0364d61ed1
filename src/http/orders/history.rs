//! `GET /orders/{order_id}/history`: every transition, oldest first. The same for any workflow.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::{Outcome, order_id, send};
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::OrderHistory;
use crate::http::site::by;
use crate::model::{WorkflowId, redacted};
use crate::runtime::EngineError;
use crate::store::StoredFact;
use crate::workflows::{order, task};

pub const LIMIT: usize = 1_000;
pub const LIMIT_MAX: usize = 10_000;

/// A page of a history, under the name its id goes by.
#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<&'a str>,
    events: Vec<StoredFact>,
    next_after: Option<u64>,
}

/// The history of an order
#[utoipa::path(
    get, path = "/orders/{order_id}/history", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("after" = Option<u64>, Query, description = "Only events with a greater seq", maximum = 9_223_372_036_854_775_807_i64, example = 0),
        ("limit" = Option<u32>, Query, description = "1 to 10000, 1000 by default", minimum = 1, maximum = 10_000, example = 100),
    ),
    responses((status = 200, description = "Events, oldest first", body = OrderHistory))
)]
pub async fn history(req: HttpRequest, site: Data<Site>) -> Outcome {
    let order_id = order_id(&req)?;
    page(&req, &site, &order_id.workflow(), Some(order::KIND)).await
}

/// Sends a page of the history of any workflow.
/// `group`: the group of kinds it must belong to, and the name its id goes by; `None`: any.
pub async fn page(req: &HttpRequest, site: &Site, id: &WorkflowId, group: Option<&str>) -> Outcome {
    let mut query = Query::read(req.query_string());
    let after = query.take_as("after", "must be a whole number from 0", |text| {
        text.parse::<u64>().ok().filter(|seq| i64::try_from(*seq).is_ok())
    });
    let limit = query.take_as("limit", "must be a whole number from 1 to 10000", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    });
    query.finish().or(())?;
    let (after, limit) = (after.unwrap_or(0), limit.unwrap_or(LIMIT));
    let wanted = id.clone();
    // One more than asked for tells whether there is a next page.
    let engine = site.engine()?;
    Visit::of(req).check(site, id, site.deadline()).await?;
    let kinds = group.map(|group| engine.kinds_of(group));
    let read = engine.read(move |queries| {
        if let Some(kinds) = kinds {
            let kind = queries.workflow(&wanted)?.map(|row| row.kind);
            if !kind.is_some_and(|kind| kinds.contains(&kind.as_str())) {
                return Ok(None);
            }
        }
        queries.history(&wanted, after, limit + 1)
    });
    let facts = by(site.deadline(), read).await?;
    let mut events = facts.ok_or(EngineError::NotFound)?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next_after = if more { events.last().map(|fact| fact.seq) } else { None };
    let named = |wanted| (group == wanted).then_some(id.as_str());
    let (order_id, task_id, workflow_id) = (named(Some(order::KIND)), named(Some(task::GROUP)), named(None));
    let json = serde_json::to_string(&Page { order_id, task_id, workflow_id, events, next_after });
    let json = json.map_err(|_| Problem::internal())?;
    Ok(send(HttpResponse::Ok(), redacted(&json).into_owned()))
}
