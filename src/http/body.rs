//! Reading a request's body: bounded in size and time, and JSON or nothing.

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::json::{At, Faults, Json, check_texts, parse};
use super::problem::Problem;

/// Reads the whole body. At most the limit and one chunk are in memory, however much is sent.
pub async fn read(req: &HttpRequest, payload: Payload, limit: usize, deadline: Instant) -> Result<Bytes, Problem> {
    let headers = req.headers();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    match announced {
        None if !headers.contains_key(header::TRANSFER_ENCODING) => return Ok(Bytes::new()),
        Some(0_u64) => return Ok(Bytes::new()),
        Some(length) if length > limit as u64 => return Err(too_large(limit)),
        _ => check_type(req)?,
    }
    read_any(payload, limit, deadline).await
}

/// Reads the whole body, whatever its type.
pub async fn read_any(payload: Payload, limit: usize, deadline: Instant) -> Result<Bytes, Problem> {
    let collect = collect(payload, limit);
    match tokio::time::timeout_at(deadline, collect).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let late = Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive in time");
            Err(Problem { close: true, ..late })
        }
    }
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let mut whole = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| {
            let broken = Problem::new(StatusCode::BAD_REQUEST, "malformed_body", format!("the body is broken: {e}"));
            Problem { close: true, ..broken }
        })?;
        if whole.len() + joined.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        // Most bodies come in one chunk, which is then used as it is.
        if whole.is_empty() && joined.is_empty() {
            whole = chunk;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&whole);
                whole = Bytes::new();
            }
            joined.extend_from_slice(&chunk);
        }
    }
    Ok(if joined.is_empty() { whole } else { joined.freeze() })
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {limit} bytes");
    Problem { close: true, ..Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail) }
}

/// A body must be JSON by its Content-Type; one without a Content-Type is taken for JSON.
fn check_type(req: &HttpRequest) -> Result<(), Problem> {
    let unsupported = |why| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", why));
    let encoding = req.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return unsupported("bodies must not be compressed");
    }
    let Some(kind) = req.headers().get(header::CONTENT_TYPE) else { return Ok(()) };
    let mut parts = kind.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        return unsupported("the body must be application/json");
    }
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.eq_ignore_ascii_case("charset") && !value.trim_matches('"').eq_ignore_ascii_case("utf-8") {
            return unsupported("the body must be UTF-8");
        }
    }
    Ok(())
}

/// Parses a body that may be missing.
pub fn json(bytes: &Bytes) -> Result<Option<Json<'_>>, Problem> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let json = parse(bytes)?;
    let mut faults = Faults::default();
    check_texts(&json, &At::ROOT, &mut faults);
    faults.or(Some(json)).map_err(Problem::invalid)
}
