//! `GET /jobs`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::access::Visit;
use crate::http::orders::{Outcome, send};
use crate::http::query::Query;
use crate::http::schema::{JobList, KindListParams};
use crate::http::site::by;
use crate::http::{Site, seek};
use crate::store::KindFilter;
use crate::workflows::job::{KIND, STATES};

/// List jobs
///
/// Newest first. Sees every write that was answered before.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "list_jobs", params(KindListParams),
    responses((status = 200, description = "A page of jobs", body = JobList))
)]
pub async fn list(req: HttpRequest, site: Data<Site>) -> Outcome {
    let filter = seek::filter(Query::read(req.query_string()), vec![KIND], &STATES)?;
    let filter = KindFilter { owner: Visit::of(&req).owner().cloned(), ..filter };
    let engine = site.engine()?;
    let writer = engine.clone();
    let read = engine.read(move |queries| Ok(seek::write(&writer, &queries.of_kinds(&filter)?, "jobs")));
    let json = by(site.deadline(), read).await??;
    Ok(send(HttpResponse::Ok(), json))
}
