//! `GET /api/tasks/types`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::http::Site;
use crate::http::orders::{Outcome, send};
use crate::http::query::Query;
use crate::http::schema::TaskTypeList;

/// Which types of task there are
///
/// Each with the JSON Schema of its parameters.
#[utoipa::path(
    get, path = "/api/tasks/types", tag = "tasks", operation_id = "task_types",
    responses((status = 200, description = "By name", body = TaskTypeList))
)]
pub async fn types(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    let shown = site.options.tasks.iter().map(|entry| {
        json!({
            "name": entry.name, "description": entry.description, "queue": entry.queue, "params_schema": entry.schema,
        })
    });
    let types: Vec<_> = shown.collect();
    Ok(send(HttpResponse::Ok(), json!({ "types": types }).to_string()))
}
