//! `POST /orders/{order_id}/signals/…`: approve, cancel, update-address.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use serde_json::{Value, json};

use super::{Outcome, address, order_id, send, submit};
use crate::http::access::Visit;
use crate::http::fingerprint::idempotency_key;
use crate::http::json::{At, Fault, Faults, Json, object, text};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::{CancelBody, EmptyBody, StatusDocument, UpdateAddressBody};
use crate::http::{Site, body};
use crate::model::Address;
use crate::runtime::{Action, Command};
use crate::workflows::order::KIND;
use crate::workflows::order::signal;

pub const REASON_CHARS_MAX: usize = 1_024;

pub type Payloads = Result<Value, Vec<Fault>>;

/// Approve the review
///
/// Ends the review and goes on to the payment. Before the review opens it is kept and used.
#[utoipa::path(
    post, path = "/orders/{order_id}/signals/approve", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content = EmptyBody, description = "May be missing"),
    responses(
        (status = 202, description = "Approved; it is on disk", body = StatusDocument),
        (status = 200, description = "It was approved already", body = StatusDocument),
        (status = 409, description = "`review_not_open`, `order_ended`"),
    )
)]
pub async fn approve(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    signal(req, site, payload, signal::APPROVE, |body| nothing(body).map(|()| json!({}))).await
}

/// Cancel the order
///
/// Before dispatch only. What was charged is refunded.
#[utoipa::path(
    post, path = "/orders/{order_id}/signals/cancel", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content = CancelBody, description = "May be missing"),
    responses(
        (status = 202, description = "The cancellation is on disk and under way", body = StatusDocument),
        (status = 200, description = "It was cancelled already", body = StatusDocument),
        (status = 409, description = "`order_not_cancellable`"),
    )
)]
pub async fn cancel(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    signal(req, site, payload, signal::CANCEL, cancel_payload).await
}

/// Change the address
///
/// Before dispatch only.
#[utoipa::path(
    post, path = "/orders/{order_id}/signals/update-address", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = UpdateAddressBody,
    responses(
        (status = 202, description = "The new address is on disk", body = StatusDocument),
        (status = 200, description = "It was this address already", body = StatusDocument),
        (status = 409, description = "`address_locked`"),
    )
)]
pub async fn update_address(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    signal(req, site, payload, signal::UPDATE_ADDRESS, address_payload).await
}

async fn signal(
    req: HttpRequest,
    site: Data<Site>,
    payload: Payload,
    name: &'static str,
    read: impl FnOnce(Option<&Json<'_>>) -> Payloads,
) -> Outcome {
    let deadline = site.deadline();
    let order_id = order_id(&req)?;
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    Query::read(req.query_string()).finish().or(())?;
    if bytes.is_empty() && name == signal::UPDATE_ADDRESS {
        let missing = "a body with the address is needed";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_json", missing));
    }
    let payload = read(body::json(&bytes)?.as_ref())?;
    let idempotency = idempotency_key(&req, &[name, order_id.as_str(), &payload.to_string()])?;
    let visit = Visit::of(&req);
    visit.because(payload["reason"].as_str());
    let action = Action::Signal { name: name.into(), payload };
    let by = visit.caller(202);
    let command = Command { id: order_id.workflow(), group: KIND, action, idempotency, by };
    let (response, answer) = submit(&site, command, deadline).await?;
    Ok(send(response, answer.document))
}

/// Reads a body that may be missing or an empty object.
pub fn nothing(body: Option<&Json<'_>>) -> Result<(), Vec<Fault>> {
    let mut faults = Faults::default();
    let entries = body.and_then(|body| object(body, &At::ROOT, &mut faults)).unwrap_or_default();
    for (key, _) in entries {
        let root = At::ROOT;
        faults.add(&root.key(key), "is not a field of this request");
    }
    faults.or(())
}

/// Reads a cancellation: nothing, or a reason.
pub fn cancel_payload(body: Option<&Json<'_>>) -> Payloads {
    let mut faults = Faults::default();
    let mut reason = None;
    for (key, json) in body.and_then(|body| object(body, &At::ROOT, &mut faults)).unwrap_or_default() {
        let root = At::ROOT;
        let at = root.key(key);
        match (key.as_ref(), json) {
            ("reason", Json::Null) => {}
            ("reason", json) => reason = text(json, &at, REASON_CHARS_MAX, &mut faults),
            _ => faults.add(&at, "is not a field of a cancellation"),
        }
    }
    faults.or(match reason {
        Some(reason) => json!({"reason": reason}),
        None => json!({}),
    })
}

/// Reads the body of an address change.
pub fn address_payload(body: Option<&Json<'_>>) -> Payloads {
    let mut faults = Faults::default();
    let mut found: Option<Address> = None;
    let root = At::ROOT;
    for (key, json) in body.and_then(|body| object(body, &root, &mut faults)).unwrap_or_default() {
        let at = root.key(key);
        let address = match (key.as_ref(), json) {
            ("address" | "new_address", Json::Null) => None,
            ("address", json) => address::read(json, &at, &mut faults),
            ("new_address", json) => address::line(json, &at, &mut faults),
            _ => {
                faults.add(&at, "is not a field of an address change");
                None
            }
        };
        match (&found, address) {
            (Some(one), Some(other)) if *one != other => faults.add(&at, "differs from the address given elsewhere"),
            (None, some) => found = some,
            _ => {}
        }
    }
    faults.or(())?;
    let mut faults = Faults::default();
    let at = root.key("address");
    match &found {
        None => faults.add(&at, "is missing"),
        Some(Address::Fields(fields)) if fields.is_empty() => faults.add(&at, "must have a field"),
        Some(_) => {}
    }
    faults.or(json!({"address": found}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::parse;

    type Reader = fn(Option<&Json<'_>>) -> Payloads;

    fn read(read: Reader, body: &str) -> Result<String, Vec<String>> {
        let json = parse(body.as_bytes()).unwrap();
        read(Some(&json)).map(|v| v.to_string()).map_err(|f| f.into_iter().map(|f| f.pointer).collect())
    }

    #[test]
    fn an_address_is_one_line_or_fields_under_either_name() {
        let line = Ok(r#"{"address":"1 Main St"}"#.to_owned());
        assert_eq!(read(address_payload, r#"{"address":"1 Main St"}"#), line);
        assert_eq!(read(address_payload, r#"{"new_address":"1 Main St"}"#), line);
        assert_eq!(read(address_payload, r#"{"new_address":"1 Main St","address":"1 Main St"}"#), line);
        let fields = r#"{"address":{"zip_code":"12","city":"B","street":null}}"#;
        assert_eq!(read(address_payload, fields), Ok(r#"{"address":{"city":"B","zip_code":"12"}}"#.to_owned()));
    }

    #[test]
    fn faults_of_signals_are_pointed_at() {
        let cases: [(Reader, &str, &[&str]); 15] = [
            (address_payload, "{}", &["/address"]),
            (address_payload, "[]", &[""]),
            (address_payload, r#"{"address":null}"#, &["/address"]),
            (address_payload, r#"{"address":{}}"#, &["/address"]),
            (address_payload, r#"{"address":{"street":null}}"#, &["/address"]),
            (address_payload, r#"{"address":" "}"#, &["/address"]),
            (address_payload, r#"{"address":5}"#, &["/address"]),
            (address_payload, r#"{"address":{"zip":5,"planet":"x"}}"#, &["/address/zip", "/address/planet"]),
            (address_payload, r#"{"new_address":{"zip":"123"}}"#, &["/new_address"]),
            (address_payload, r#"{"address":"a","new_address":"b"}"#, &["/new_address"]),
            (address_payload, r#"{"address":"a","x/y":1}"#, &["/x~1y"]),
            (cancel_payload, r#"{"reason":5}"#, &["/reason"]),
            (cancel_payload, r#"{"why":"x"}"#, &["/why"]),
            (cancel_payload, "\"x\"", &[""]),
            (|body| nothing(body).map(|()| Value::Null), r#"{"a":1}"#, &["/a"]),
        ];
        for (reader, body, pointers) in cases {
            assert_eq!(read(reader, body), Err(pointers.iter().map(|p| (*p).to_owned()).collect()), "{body}");
        }
    }
}
