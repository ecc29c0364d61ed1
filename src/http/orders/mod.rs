//! The orders: one file for each thing that can be asked of them.

pub mod address;
pub mod history;
pub mod list;
pub mod operate;
pub mod signals;
pub mod start;
pub mod start_request;
pub mod status;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use tokio::time::Instant;

use super::Site;
use super::access::Audited;
use super::json::{At, Faults};
use super::problem::Problem;
use super::site::by;
use crate::model::OrderId;
use crate::runtime::{Answer, Command};
pub use crate::workflows::order::STATES;

pub type Outcome = Result<HttpResponse, Problem>;

/// The order id of the path, which the router has decoded.
pub fn order_id(req: &HttpRequest) -> Result<OrderId, Problem> {
    OrderId::parse(req.match_info().get("order_id").unwrap_or_default()).map_err(|why| {
        let mut faults = Faults::default();
        let path = At::ROOT;
        faults.add(&path.key("path").key("order_id"), why.to_string());
        let errors = faults.or(()).err().unwrap_or_default();
        let detail = format!("the order id {why}");
        Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_order_id", detail) }
    })
}

/// Hands a command to the engine: 202 where it changed something, 200 where it was so already.
pub async fn submit(
    site: &Site,
    command: Command,
    deadline: Instant,
) -> Result<(HttpResponseBuilder, Answer), Problem> {
    let answer = by(deadline, site.engine()?.submit(command)).await?;
    let status = if answer.changed { StatusCode::ACCEPTED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    if answer.audited {
        response.extensions_mut().insert(Audited);
    }
    Ok((response, answer))
}

/// Sends JSON text as it is.
pub fn send(mut response: HttpResponseBuilder, json: String) -> HttpResponse {
    response.content_type("application/json").body(json)
}
