//! Hashes of requests, to tell a repetition from another request; and the client's key for its request.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use sha2::{Digest, Sha256};

use super::access::Visit;
use super::problem::Problem;
use crate::runtime::IdempotencyKey;

const HEADER: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;

/// SHA-256 of the parts, as hexadecimal digits. The parts are kept apart.
pub fn hash(parts: &[&str]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hasher = Sha256::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update([0]);
        }
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

/// The `Idempotency-Key` of a POST, if it has one. `what`: the request in canonical form.
pub fn idempotency_key(req: &HttpRequest, what: &[&str]) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = req.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let fits = (1..=KEY_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(bytes) {
        Ok(key) if fits && values.next().is_none() => {
            // Each owner's keys are its own: nobody gets the answer that was given to another.
            let key = match Visit::of(req).owner() {
                Some(owner) => format!("{owner}\u{1f}{key}"),
                None => key.to_owned(),
            };
            Ok(Some(IdempotencyKey { key, fingerprint: hash(what) }))
        }
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_idempotency_key",
            "Idempotency-Key must be given once and have 1 to 255 visible ASCII characters",
        )),
    }
}
