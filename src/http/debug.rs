//! `GET /debug/actors`: the engine at this moment, for its operator.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::Site;
use super::orders::{Outcome, send};
use super::problem::Problem;
use super::query::Query;
use super::site::by;

const TOP: usize = 20;
const TOP_MAX: usize = 500;

/// The busiest orders, and how full everything is
///
/// Mailboxes by order, live actors by shard, restarts, queues, the newest commits with sizes and times. Counters are
/// those since the engine started; two readings make a rate. A shard that does not answer within a second is missing.
#[utoipa::path(
    get, path = "/debug/actors", tag = "system",
    params(("limit" = Option<usize>, Query, description = "How many orders, 1 to 500; 20 where it is not said", minimum = 1, maximum = 500)),
    responses((status = 200, description = "The engine at this moment; times in ms", body = serde_json::Value))
)]
pub async fn actors(req: HttpRequest, site: Data<Site>) -> Outcome {
    let mut query = Query::read(req.query_string());
    let read = |text: &str| text.parse().ok().filter(|n| (1..=TOP_MAX).contains(n));
    let top = query.take_as("limit", "must be a whole number from 1 to 500", read).unwrap_or(TOP);
    query.finish().or(())?;
    let engine = site.engine()?;
    let now = by(site.deadline(), async { Ok(engine.now_with(top).await) }).await?;
    let text = serde_json::to_string(&now).map_err(|_| Problem::internal())?;
    Ok(send(HttpResponse::Ok(), text))
}
