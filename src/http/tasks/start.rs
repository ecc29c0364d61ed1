//! `POST /api/tasks/start`

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{of_tasks, start_request};
use crate::http::access::Visit;
use crate::http::fingerprint::{hash, idempotency_key};
use crate::http::orders::{Outcome, send, submit};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::{TaskBody, TaskStarted};
use crate::http::{Site, body};
use crate::model::WorkflowId;
use crate::runtime::{Action, Command};
use crate::secrets::{Secrets, SecretsError, each_secret};
use crate::workflows::task::GROUP;

/// What is answered, out of the task's document.
#[derive(Deserialize, Serialize)]
struct Started {
    task_id: String,
    task_type: String,
    status: String,
    status_url: String,
}

/// Start a task
///
/// Texts under `password`, `token`, `secret` and `credentials` are sealed before anything is stored, and never shown. The
/// same start of the same `task_id` again is answered 200; another is 409 `task_exists`.
#[utoipa::path(
    post, path = "/api/tasks/start", tag = "tasks", operation_id = "start_task",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: the same key and request get the first answer again")),
    request_body = TaskBody,
    responses(
        (status = 202, description = "Started; it is on disk", body = TaskStarted, headers(("Location" = String, description = "Where its status is"))),
        (status = 200, description = "It was started so already", body = TaskStarted),
        (status = 422, description = "`unknown_task_type`, or every fault of the parameters; nothing was started"),
    )
)]
pub async fn start(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    site.admit_new()?;
    let body = body::json(&bytes)?;
    Query::read(req.query_string()).finish().or(())?;
    let sent = start_request::read(&site.options.tasks, body.as_ref())?;
    // A standby has no business with secrets.
    site.engine()?;
    let id = match &sent.task_id {
        Some(id) => id.workflow(),
        None => WorkflowId::new(format!("task-{}", uuid::Uuid::now_v7())),
    };
    let mut params = sent.params;
    let fingerprint = seal(&site.options.secrets, &id, &mut params, &sent.canonical).await?;
    let asked_id = sent.task_id.as_ref().map_or("", |id| id.as_str());
    let idempotency = idempotency_key(&req, &["task", asked_id, &fingerprint])?;
    let input = json!({ "task_id": id, "params": params, "fingerprint": fingerprint });
    let action = Action::Start { kind: sent.entry.name, input, fingerprint };
    let by = Visit::of(&req).caller_for(&id, 202);
    let command = Command { id, group: GROUP, action, idempotency, by };
    let (mut response, answer) = submit(&site, command, deadline).await.map_err(of_tasks)?;
    let started: Started = serde_json::from_str(&answer.document).map_err(|_| Problem::internal())?;
    response.insert_header((header::LOCATION, started.status_url.clone()));
    let json = serde_json::to_string(&started).map_err(|_| Problem::internal())?;
    Ok::<HttpResponse, _>(send(response, json))
}

/// Seals the secrets of the parameters. The fingerprint of the request: keyed where it has secrets, so that nobody who
/// reads it can find one by trying.
async fn seal(secrets: &Secrets, id: &WorkflowId, params: &mut Value, canonical: &str) -> Result<String, Problem> {
    let mut has_secrets = false;
    let _never: Result<(), std::convert::Infallible> = each_secret(params, &mut |_| {
        has_secrets = true;
        Ok(())
    });
    if !has_secrets {
        return Ok(hash(&[canonical]));
    }
    ready(secrets).await?;
    secrets.seal(id.as_str(), params).map_err(|error| unavailable(&error))?;
    secrets.fingerprint(canonical).map_err(|error| unavailable(&error))
}

/// Sees to it that there is a key.
pub async fn ready(secrets: &Secrets) -> Result<(), Problem> {
    if !secrets.is_ready() {
        // The first secret of this process: its key is read, or made, away from the threads that serve.
        let keys = secrets.clone();
        let ensured = tokio::task::spawn_blocking(move || keys.ensure()).await.map_err(|_| Problem::internal())?;
        ensured.map_err(|error| unavailable(&error.into()))?;
    }
    Ok(())
}

pub fn unavailable(error: &SecretsError) -> Problem {
    // The text names files: for the log, not for clients.
    tracing::error!(%error, "a task's secrets cannot be sealed");
    Problem::unavailable("secrets_unavailable", "there is no key to seal the task's secrets with")
}
