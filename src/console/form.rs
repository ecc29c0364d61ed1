//! Forms of the console: only from its own pages, bounded, read strictly.

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;
use tokio::time::Instant;

use crate::http::body;
use crate::http::origin::is_same_origin;
use crate::http::problem::Problem;
use crate::http::query::Query;

/// Reads a form that one of our own pages has sent. A browser says where a form comes from, and no page can make it
/// lie: so no other page can press a button here, and no token need be kept or survive a restart.
pub async fn read(req: &HttpRequest, payload: Payload, limit: usize, deadline: Instant) -> Result<Query, Problem> {
    if !is_same_origin(req.headers()) {
        return Err(Problem::cross_origin());
    }
    let kind = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        let why = "a form must be application/x-www-form-urlencoded";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", why));
    }
    let bytes = body::read_any(payload, limit, deadline).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "malformed_body", "the form is not UTF-8"))?;
    Ok(Query::read(text))
}
