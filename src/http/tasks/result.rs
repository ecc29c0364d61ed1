//! `GET /api/tasks/{task_id}/result`: the rows a task has found, one JSON text a line.
//!
//! Read from SQL a page at a time, and only when the page before has left for the client: however many rows there are, a
//! stream costs one page. Where the database fails in the middle the stream breaks off, so that what came is not taken for
//! all of it.

use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream::{StreamExt, once, unfold};
use tokio::sync::OwnedSemaphorePermit;

use super::{of_tasks, task_id};
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::orders::Outcome;
use crate::http::query::{Query, encode};
use crate::http::site::by;
use crate::model::{ResultRow, WorkflowId, redacted};
use crate::runtime::{Engine, EngineError};
use crate::workflows::task::GROUP;

/// Rows in one read of a stream, and the most a client can ask for at once.
const PAGE: usize = 64;
const LIMIT_MAX: usize = 1_000;
const AFTER_CHARS_MAX: usize = 1_024;
/// The name of the last row of a page, where there are more, as it can stand in a query.
const NEXT: &str = "ordain-next-after";

/// What a task has found
///
/// Rows of JSON, one a line (NDJSON), ordered by their names, streamed. An import has one for each invoice it has fetched,
/// also while it runs; a type whose result is small has it in its status, and none here. With `limit` a page is answered
/// whole, and the header `Ordain-Next-After` is what `after` must be for the next one, as it can stand
/// in a query.
#[utoipa::path(
    get, path = "/api/tasks/{task_id}/result", tag = "tasks", operation_id = "task_result",
    params(
        ("task_id" = String, Path),
        ("after" = Option<String>, Query, description = "Only rows whose name is greater", max_length = 1_024, example = "acme:2024-01:0020"),
        ("limit" = Option<u32>, Query, description = "1 to 1000 rows; all of them by default", minimum = 1, maximum = 1_000, example = 100),
    ),
    responses((
        status = 200, description = "One JSON text a line", body = String, content_type = "application/x-ndjson",
        headers(("Ordain-Next-After" = String, description = "With `limit`, where there are more rows")),
    ))
)]
pub async fn result(req: HttpRequest, site: Data<Site>) -> Outcome {
    let id = task_id(&req)?;
    let mut query = Query::read(req.query_string());
    let after = query.take_as("after", "must have at most 1024 characters", |text| {
        (text.chars().count() <= AFTER_CHARS_MAX).then(|| text.to_owned())
    });
    let limit = query.take_as("limit", "must be a whole number from 1 to 1000", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    });
    query.finish().or(())?;
    let (engine, deadline) = (site.engine()?, site.deadline());
    Visit::of(&req).check(&site, &id, deadline).await.map_err(of_tasks)?;
    by(deadline, engine.status_of(Some(GROUP), &id, None)).await.map_err(of_tasks)?;
    let mut rows = Rows { engine, id, after: after.unwrap_or_default(), _place: None };
    if let Some(limit) = limit {
        let page = by(deadline, rows.read(limit, true)).await.map_err(of_tasks)?;
        let mut response = head();
        if page.more {
            response.insert_header((NEXT, encode(&rows.after)));
        }
        return Ok(response.body(page.text));
    }
    rows._place = Some(site.stream_place()?);
    if req.method() == Method::HEAD {
        return Ok(head().finish());
    }
    let first = by(deadline, rows.read(PAGE, false)).await.map_err(of_tasks)?;
    let state = first.more.then_some(rows);
    let others = unfold(state, |state| async move {
        let mut rows = state?;
        match rows.read(PAGE, false).await {
            Ok(page) => Some((Ok(page.text), page.more.then_some(rows))),
            Err(error) => {
                tracing::warn!(%error, task_id = %rows.id, "rows of a result could not be read; the stream is broken off");
                Some((Err(error), None))
            }
        }
    });
    Ok(head().streaming(once(std::future::ready(Ok(first.text))).chain(others)))
}

fn head() -> HttpResponseBuilder {
    let mut head = HttpResponse::Ok();
    head.content_type("application/x-ndjson").insert_header((header::CACHE_CONTROL, "no-store"));
    head
}

/// A place in the rows of a task.
struct Rows {
    engine: Engine,
    id: WorkflowId,
    after: String,
    _place: Option<OwnedSemaphorePermit>,
}

/// Some rows as text.
struct Page {
    text: Bytes,
    /// There may be more.
    more: bool,
}

impl Rows {
    /// The next rows. `exact`: whether it is found out for certain that there are more.
    async fn read(&mut self, limit: usize, exact: bool) -> Result<Page, EngineError> {
        let (id, after) = (self.id.clone(), self.after.clone());
        let asked = limit + usize::from(exact);
        // Written out on the reader's thread: an arbiter has more to do.
        let read = self.engine.read(move |queries| {
            let mut rows = queries.results(&id, &after, asked)?.unwrap_or_default();
            let more = rows.len() == asked;
            rows.truncate(limit);
            let text = write(&rows);
            Ok((text, rows.pop().map(|row| row.name), more))
        });
        let (text, last, more) = read.await?;
        self.after = last.unwrap_or_default();
        Ok(Page { text: Bytes::from(text), more })
    }
}

fn write(rows: &[ResultRow]) -> String {
    let mut text = String::with_capacity(rows.iter().map(|row| row.body.len() + 1).sum());
    for row in rows {
        text.push_str(&redacted(&row.body));
        text.push('\n');
    }
    text
}
