//! `POST /jobs/{job_id}/cancel`

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};

use super::{job_id, of_jobs};
use crate::http::orders::Outcome;
use crate::http::schema::{CancelBody, JobDocument};
use crate::http::{Site, cancel};
use crate::workflows::job::KIND;

/// Cancel a job
#[utoipa::path(
    post, path = "/jobs/{job_id}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("job_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = CancelBody, description = "May be missing"),
    responses(
        (status = 202, description = "Cancelled; it is on disk", body = JobDocument),
        (status = 200, description = "It was cancelled already", body = JobDocument),
        (status = 409, description = "`job_not_cancellable`"),
    )
)]
pub async fn cancel(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let id = job_id(&req)?;
    cancel::run(req, &site, payload, id, KIND).await.map_err(of_jobs)
}
