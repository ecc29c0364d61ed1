//! Everything that is not a success: RFC 9457 problem documents, and which engine error becomes which status.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::frame::harden;
use super::json::{Fault, JsonError};
use crate::kernel::Rejection;
use crate::runtime::EngineError;

const CONTENT_TYPE: &str = "application/problem+json";
/// When to come back after a failure that passes by itself.
const RETRY_AFTER_S: u32 = 1;
/// The engine's word for one workflow's own queue being full: that client's doing, not the server's.
const MAILBOX: &str = "mailbox";
const OVERLOADED: &str = "overloaded";

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:ordain:problem:order_not_cancellable", "title": "Order not cancellable", "status": 409,
    "detail": "the order is completed", "instance": "/orders/o-1/signals/cancel", "code": "order_not_cancellable"
}))]
pub struct ProblemBody<'a> {
    /// A URN that names the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// A sentence for people.
    detail: &'a str,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// A stable snake_case word for programs.
    code: &'a str,
    /// Every fault of an invalid request.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

/// An answer that says why not.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    pub errors: Vec<Fault>,
    pub retry_after_s: Option<u32>,
    /// The methods a resource knows, of a 405.
    pub allow: Option<&'static str>,
    /// Set where the request is not at hand any more when the answer is made.
    pub instance: Option<Box<str>>,
    /// The rest of the request was not read: the connection cannot be used again.
    pub close: bool,
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let (code, detail) = (code.into(), detail.into());
        Self {
            status,
            code,
            detail,
            errors: Vec::new(),
            retry_after_s: None,
            allow: None,
            instance: None,
            close: false,
        }
    }

    /// The same of another group than orders: the words of orders become those of `group`.
    pub fn renamed(self, group: &'static str, not_found: &'static str) -> Self {
        match self.code.as_ref() {
            "order_not_found" => Self { code: format!("{group}_not_found").into(), detail: not_found.into(), ..self },
            code => match code.strip_prefix("order_") {
                Some(rest) => Self { code: format!("{group}_{rest}").into(), ..self },
                None => self,
            },
        }
    }

    /// 422 with every fault.
    pub fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{} {}", one.pointer, one.message).trim_start().to_owned(),
            many => format!("the request has {} faults", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail) }
    }

    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { retry_after_s: Some(RETRY_AFTER_S), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail) }
    }

    /// The request was not answered in time; what it asked for may still take place.
    pub fn timeout() -> Self {
        Self::unavailable("request_timeout", "no answer in time; the request may still take effect, send it again")
    }

    /// A page of another origin has sent it.
    pub fn cross_origin() -> Self {
        let why = "a page of another origin may not act here; send it from a page of this server, or from a program";
        Self::new(StatusCode::FORBIDDEN, "cross_origin", why)
    }

    /// Whether more came than can be taken at the moment.
    pub fn is_overload(&self) -> bool {
        self.code == OVERLOADED
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the server failed over this request")
    }

    pub fn response(&self, instance: Option<&str>) -> HttpResponse {
        let body = ProblemBody {
            kind: format!("urn:ordain:problem:{}", self.code),
            title: title(&self.code),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: instance.or(self.instance.as_deref()),
            code: &self.code,
            errors: &self.errors,
        };
        let mut response = HttpResponse::build(self.status);
        response.content_type(CONTENT_TYPE);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(methods) = self.allow {
            response.insert_header((header::ALLOW, methods));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"ordain\""));
        }
        if self.close {
            response.force_close();
        }
        let mut response = response.body(serde_json::to_vec(&body).unwrap_or_default());
        harden(&mut response);
        response
    }
}

/// `order_not_found` as people write it: `Order not found`.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string())
    }
}

impl From<Vec<Fault>> for Problem {
    fn from(errors: Vec<Fault>) -> Self {
        Self::invalid(errors)
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "order_not_found", "there is no order of this id")
            }
            EngineError::NoSuchKey => Self::new(StatusCode::NOT_FOUND, "key_not_found", detail),
            EngineError::Rejected(rejection) => rejected(rejection),
            EngineError::PaymentInUse(_) => Self::new(StatusCode::CONFLICT, "payment_id_in_use", detail),
            EngineError::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail),
            EngineError::Overloaded { what, retry_after_s } => {
                let status = match what {
                    MAILBOX => StatusCode::TOO_MANY_REQUESTS,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                Self { retry_after_s: Some(retry_after_s.max(1)), ..Self::new(status, OVERLOADED, detail) }
            }
            EngineError::Draining => Self::unavailable("draining", detail),
            EngineError::Store(source) => {
                // The text names files and SQL: for the log, not for clients.
                tracing::warn!(error = %source, "a request failed in the store");
                Self::unavailable("store_unavailable", "the database is not available")
            }
            EngineError::Crashed(reason) => {
                tracing::error!(%reason, "an actor crashed over a request");
                Self::unavailable("actor_crashed", "the order's actor crashed over this and is being rebuilt")
            }
            EngineError::AnswerExists => Self::unavailable("answered_already", detail),
            EngineError::Timeout => Self::timeout(),
        }
    }
}

fn rejected(rejection: Rejection) -> Problem {
    let (status, code) = match rejection.code.as_ref() {
        "invalid_address" => (StatusCode::UNPROCESSABLE_ENTITY, rejection.code),
        "not_retriable" => (StatusCode::CONFLICT, "order_not_retriable".into()),
        "already_ended" => (StatusCode::CONFLICT, "order_ended".into()),
        _ => (StatusCode::CONFLICT, rejection.code),
    };
    Problem::new(status, code, rejection.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PaymentId;
    use crate::store::StoreError;

    #[test]
    fn every_engine_error_has_its_status_and_code() {
        let rejected = |code| EngineError::Rejected(Rejection::new(code, "why"));
        let store = StoreError::Unavailable("disk".into());
        let cases = [
            (EngineError::NotFound, 404, "order_not_found", false),
            (rejected("order_not_cancellable"), 409, "order_not_cancellable", false),
            (rejected("address_locked"), 409, "address_locked", false),
            (rejected("order_exists"), 409, "order_exists", false),
            (rejected("invalid_address"), 422, "invalid_address", false),
            (rejected("not_retriable"), 409, "order_not_retriable", false),
            (rejected("already_ended"), 409, "order_ended", false),
            (EngineError::PaymentInUse(PaymentId::parse("p").unwrap()), 409, "payment_id_in_use", false),
            (EngineError::KeyReused, 422, "idempotency_key_reused", false),
            (EngineError::Overloaded { what: "live actors", retry_after_s: 2 }, 503, "overloaded", true),
            (EngineError::Overloaded { what: MAILBOX, retry_after_s: 0 }, 429, "overloaded", true),
            (EngineError::Draining, 503, "draining", true),
            (EngineError::Store(store), 503, "store_unavailable", true),
            (EngineError::Crashed("x".into()), 503, "actor_crashed", true),
            (EngineError::Timeout, 503, "request_timeout", true),
        ];
        for (error, status, code, retry) in cases {
            let problem = Problem::from(error);
            assert_eq!((problem.status.as_u16(), problem.code.as_ref()), (status, code));
            assert_eq!(problem.response(None).headers().contains_key(header::RETRY_AFTER), retry, "{code}");
        }
    }

    #[actix_web::test]
    async fn a_problem_is_written_as_rfc_9457() {
        let fault = Fault { pointer: "/amount".into(), message: "must be a number".into() };
        let response = Problem::invalid(vec![fault]).response(Some("/orders/o-1/start"));
        assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), CONTENT_TYPE);
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "urn:ordain:problem:invalid_request", "title": "Invalid request", "status": 422,
                "detail": "/amount must be a number", "instance": "/orders/o-1/start", "code": "invalid_request",
                "errors": [{"pointer": "/amount", "message": "must be a number"}],
            })
        );
    }
}
