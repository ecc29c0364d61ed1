//! `POST /api/tasks/{task_id}/cancel`

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};

use super::{of_tasks, task_id};
use crate::http::orders::Outcome;
use crate::http::schema::{CancelBody, TaskDocument};
use crate::http::{Site, cancel};
use crate::workflows::task::GROUP;

/// Cancel a task
///
/// What an activity is doing at this moment may still come about; nothing follows from it.
#[utoipa::path(
    post, path = "/api/tasks/{task_id}/cancel", tag = "tasks", operation_id = "cancel_task",
    params(("task_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = CancelBody, description = "May be missing"),
    responses(
        (status = 202, description = "Cancelled; it is on disk", body = TaskDocument),
        (status = 200, description = "It was cancelled already", body = TaskDocument),
        (status = 409, description = "`task_not_cancellable`"),
    )
)]
pub async fn cancel(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let id = task_id(&req)?;
    cancel::run(req, &site, payload, id, GROUP).await.map_err(of_tasks)
}
