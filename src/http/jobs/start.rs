//! `POST /jobs`

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::{of_jobs, start_request};
use crate::http::access::Visit;
use crate::http::fingerprint::idempotency_key;
use crate::http::orders::{Outcome, send, submit};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::{JobBody, JobStarted};
use crate::http::{Site, body};
use crate::model::WorkflowId;
use crate::runtime::{Action, Command};
use crate::workflows::job::KIND;

/// What is answered, out of the job's document.
#[derive(Deserialize, Serialize)]
struct Started {
    job_id: String,
    status: String,
}

/// Start a job
///
/// It sums its numbers: integers exactly, however large; with `fail_first_attempt` its first attempt fails on purpose
/// and the next one succeeds.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", operation_id = "start_job",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: the same key and request get the first answer again")),
    request_body = JobBody,
    responses((status = 202, description = "Started; it is on disk", body = JobStarted, headers(("Location" = String, description = "Where its status is")))),
)]
pub async fn start(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    site.admit_new()?;
    let body = body::json(&bytes)?;
    Query::read(req.query_string()).finish().or(())?;
    let id = WorkflowId::new(format!("job-{}", uuid::Uuid::now_v7()));
    let start = start_request::read(id.clone(), body.as_ref())?;
    let idempotency = idempotency_key(&req, &["job", &start.fingerprint])?;
    let input = serde_json::to_value(&start).map_err(|_| Problem::internal())?;
    let action = Action::Start { kind: KIND, input, fingerprint: start.fingerprint };
    let by = Visit::of(&req).caller_for(&id, 202);
    let command = Command { id, group: KIND, action, idempotency, by };
    let (mut response, answer) = submit(&site, command, deadline).await.map_err(of_jobs)?;
    let started: Started = serde_json::from_str(&answer.document).map_err(|_| Problem::internal())?;
    response.insert_header((header::LOCATION, format!("/jobs/{}", started.job_id)));
    let json = serde_json::to_string(&started).map_err(|_| Problem::internal())?;
    Ok::<HttpResponse, _>(send(response, json))
}
