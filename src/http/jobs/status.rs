//! `GET /jobs/{job_id}`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{job_id, of_jobs};
use crate::http::access::Visit;
use crate::http::orders::{Outcome, send};
use crate::http::query::Query;
use crate::http::schema::JobDocument;
use crate::http::site::by;
use crate::http::{Site, seek};
use crate::runtime::Until;
use crate::workflows::job::KIND;

/// The status of a job
///
/// With `wait` the answer is held until the job has ended or the time is over.
#[utoipa::path(
    get, path = "/jobs/{job_id}", tag = "jobs", operation_id = "job",
    params(
        ("job_id" = String, Path, example = "job-0193e3a4-7a6c-7cc0-8000-3b1f5d7e9a42"),
        ("wait" = Option<f64>, Query, description = "Seconds to hold the answer, 0 to 60", minimum = 0, maximum = 60, example = 10),
    ),
    responses((status = 200, description = "The job", body = JobDocument))
)]
pub async fn status(req: HttpRequest, site: Data<Site>) -> Outcome {
    let id = job_id(&req)?;
    let mut query = Query::read(req.query_string());
    let wait = seek::wait(&mut query);
    query.finish().or(())?;
    let deadline = site.deadline() + wait.unwrap_or_default();
    let hold = wait.map(|wait| (Until::Terminal, wait));
    Visit::of(&req).check(&site, &id, deadline).await.map_err(of_jobs)?;
    let engine = site.engine()?;
    let document = by(deadline, engine.status_of(Some(KIND), &id, hold)).await.map_err(of_jobs)?;
    Ok(send(HttpResponse::Ok(), document))
}
