//! `GET /workflows/{id}` and its history: any workflow, children of orders included (`o-1/shipping/1`).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use super::Site;
use super::orders::{Outcome, history, status};
use super::problem::Problem;
use super::schema::{WorkflowHistory, WorkflowRecord};
use crate::model::{OrderId, WorkflowId};

const ID_BYTES_MAX: usize = 512;

/// The durable record of a workflow
#[utoipa::path(
    get, path = "/workflows/{id}", operation_id = "workflow", tag = "workflows",
    params(
        ("id" = String, Path, description = "May contain slashes", example = "o-1/shipping/1"),
        ("seq" = Option<u64>, Query, description = "From 1; without it the newest", minimum = 1, maximum = 9_223_372_036_854_775_807_i64),
    ),
    responses((status = 200, description = "The record, as its kind writes it", body = WorkflowRecord))
)]
pub async fn record(req: HttpRequest, site: Data<Site>) -> Outcome {
    let id = workflow_id(&req)?;
    status::record(&req, &site, &id, None).await.map_err(renamed)
}

/// The history of a workflow
#[utoipa::path(
    get, path = "/workflows/{id}/history", operation_id = "workflow_history", tag = "workflows",
    params(
        ("id" = String, Path, description = "May contain slashes", example = "o-1/shipping/1"),
        ("after" = Option<u64>, Query, description = "Only events with a greater seq", maximum = 9_223_372_036_854_775_807_i64, example = 0),
        ("limit" = Option<u32>, Query, description = "1 to 10000, 1000 by default", minimum = 1, maximum = 10_000, example = 100),
    ),
    responses((status = 200, description = "Events, oldest first", body = WorkflowHistory))
)]
pub async fn history(req: HttpRequest, site: Data<Site>) -> Outcome {
    let id = workflow_id(&req)?;
    history::page(&req, &site, &id, None).await.map_err(renamed)
}

/// The id of the path; each of its parts has the form of an order id.
fn workflow_id(req: &HttpRequest) -> Result<WorkflowId, Problem> {
    let raw = req.match_info().get("id").unwrap_or_default();
    // The router leaves an encoded slash as it is, for it parts no segments; here it may as well part them.
    let text = raw.replace("%2F", "/").replace("%2f", "/");
    parse_id(&text).ok_or_else(|| {
        let why = "a workflow's id is an order's id, or one such as o-1/shipping/1";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_workflow_id", why)
    })
}

/// Reads the id of any workflow; each of its parts has the form of an order id.
pub fn parse_id(text: &str) -> Option<WorkflowId> {
    let fits = text.len() <= ID_BYTES_MAX && text.split('/').all(|part| OrderId::parse(part).is_ok());
    fits.then(|| WorkflowId::new(text))
}

fn renamed(problem: Problem) -> Problem {
    match problem.code.as_ref() {
        "order_not_found" => {
            Problem { code: "workflow_not_found".into(), detail: "there is no workflow of this id".into(), ..problem }
        }
        _ => problem,
    }
}
