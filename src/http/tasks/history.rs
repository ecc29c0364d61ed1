//! `GET /api/tasks/{task_id}/history`

use actix_web::HttpRequest;
use actix_web::web::Data;

use super::{of_tasks, task_id};
use crate::http::Site;
use crate::http::orders::{Outcome, history};
use crate::http::schema::TaskHistory;
use crate::workflows::task::GROUP;

/// The history of a task
///
/// Secrets are shown as `***`.
#[utoipa::path(
    get, path = "/api/tasks/{task_id}/history", tag = "tasks", operation_id = "task_history",
    params(
        ("task_id" = String, Path),
        ("after" = Option<u64>, Query, description = "Only events with a greater seq", maximum = 9_223_372_036_854_775_807_i64, example = 0),
        ("limit" = Option<u32>, Query, description = "1 to 10000, 1000 by default", minimum = 1, maximum = 10_000, example = 100),
    ),
    responses((status = 200, description = "Events, oldest first", body = TaskHistory))
)]
pub async fn history(req: HttpRequest, site: Data<Site>) -> Outcome {
    let id = task_id(&req)?;
    history::page(&req, &site, &id, Some(GROUP)).await.map_err(of_tasks)
}
