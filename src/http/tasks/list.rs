//! `GET /api/tasks`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::access::Visit;
use crate::http::orders::{Outcome, send};
use crate::http::query::Query;
use crate::http::schema::{KindListParams, TaskList};
use crate::http::site::by;
use crate::http::{Site, seek};
use crate::store::KindFilter;
use crate::workflows::task::STATES;

/// List tasks
///
/// Newest first. Sees every write that was answered before.
#[utoipa::path(
    get, path = "/api/tasks", tag = "tasks", operation_id = "list_tasks",
    params(
        KindListParams,
        ("task_type" = Option<String>, Query, description = "Only tasks of this type", example = "checksum_text"),
    ),
    responses((status = 200, description = "A page of tasks", body = TaskList))
)]
pub async fn list(req: HttpRequest, site: Data<Site>) -> Outcome {
    let mut query = Query::read(req.query_string());
    let types = &site.options.tasks;
    let one = query.take_as("task_type", "must be a task type", |name| types.get(name).map(|entry| entry.name));
    let kinds = match one {
        Some(name) => vec![name],
        None => types.iter().map(|entry| entry.name).collect(),
    };
    let filter = seek::filter(query, kinds, &STATES)?;
    let filter = KindFilter { owner: Visit::of(&req).owner().cloned(), ..filter };
    let engine = site.engine()?;
    let writer = engine.clone();
    let read = engine.read(move |queries| Ok(seek::write(&writer, &queries.of_kinds(&filter)?, "tasks")));
    let json = by(site.deadline(), read).await??;
    Ok(send(HttpResponse::Ok(), json))
}
