//! `GET /audit`: who asked for what, and what came of it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Site;
use super::orders::{Outcome, send};
use super::problem::Problem;
use super::query::Query;
use super::schema::AuditPage;
use super::site::by;
use crate::model::OrderId;
use crate::store::AuditFilter;

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Who did what
///
/// Every call that asked for a change, whatever came of it; one that brought about a transition is stored in the same
/// commit as that. Not entered: calls without a valid key, and beyond a key's rate.
#[utoipa::path(
    get, path = "/audit", tag = "access",
    params(
        ("after" = Option<u64>, Query, description = "Only entries with a greater id", maximum = 9_223_372_036_854_775_807_i64, example = 0),
        ("limit" = Option<u32>, Query, description = "1 to 1000, 100 by default", minimum = 1, maximum = 1_000, example = 100),
        ("order_id" = Option<String>, Query, description = "Only entries of this order", example = "o-1"),
    ),
    responses((status = 200, description = "Entries, oldest first", body = AuditPage))
)]
pub async fn audit(req: HttpRequest, site: Data<Site>) -> Outcome {
    let mut query = Query::read(req.query_string());
    let after = query.take_as("after", "must be a whole number from 0", |text| {
        text.parse::<u64>().ok().filter(|id| i64::try_from(*id).is_ok())
    });
    let limit = query.take_as("limit", "must be a whole number from 1 to 1000", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    });
    let order = query.take_as("order_id", "must be the id of an order", |text| OrderId::parse(text).ok());
    query.finish().or(())?;
    let limit = limit.unwrap_or(LIMIT);
    let order = order.map(|id| id.as_str().to_owned());
    // One more than asked for tells whether there is a next page.
    let filter = AuditFilter { order, after: after.unwrap_or(0), limit: limit + 1, newest_first: false };
    let mut entries = by(site.deadline(), site.engine()?.read(move |queries| queries.audit(&filter))).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_after = if more { entries.last().map(|entry| entry.id) } else { None };
    let page = serde_json::to_string(&json!({ "entries": entries, "next_after": next_after }));
    Ok(send(HttpResponse::Ok(), page.map_err(|_| Problem::internal())?))
}
