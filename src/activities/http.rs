//! An activity that is an HTTP call: POST of the input, with the idempotency key.
//!
//! What an answer means is decided by one question: is it known whether the effect happened?

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::web::Bytes;
use awc::error::{ConnectError, SendRequestError};
use awc::{Client, Connector, SendClientRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::{FutureExt, LocalBoxFuture};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::Activity;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind, scrub, scrubbed};

/// The longest reply that is read, in bytes.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// The longest message that is kept of a reply, in characters.
const MESSAGE_CHARS_MAX: usize = 500;
/// The longest wait that another side may ask for, in ms: an hour.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub struct HttpActivity {
    url: Arc<str>,
    headers: Arc<Vec<(HeaderName, HeaderValue)>>,
    /// What the headers hold that nobody may see, if an answer repeats it.
    hidden: Arc<Vec<String>>,
}

/// Why an activity's settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("url {0:?} is not an http:// or https:// address")]
    Url(String),
    #[error("the url has a user or a password in it; credentials are sent in headers, which are never shown")]
    Credentials,
    #[error("header {0:?} cannot be sent")]
    Header(String),
}

/// # Errors
/// [`SettingError::Url`] where it is not an address that can be called, [`SettingError::Credentials`] where it would be
/// shown with a password.
pub fn check_url(url: &str) -> Result<(), SettingError> {
    let uri = url.parse::<actix_web::http::Uri>().ok();
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next();
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(SettingError::Credentials);
    }
    let good = |uri: &actix_web::http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    if uri.as_ref().is_some_and(good) { Ok(()) } else { Err(SettingError::Url(url.to_owned())) }
}

impl HttpActivity {
    /// # Errors
    /// [`SettingError`] where the address or a header cannot be used. A header's value is not shown.
    pub fn new(url: &str, headers: &BTreeMap<String, String>) -> Result<Self, SettingError> {
        check_url(url)?;
        let header = |(name, value): (&String, &String)| {
            let read = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
            match read {
                (Ok(name), Ok(value)) => Ok((name, value)),
                _ => Err(SettingError::Header(name.clone())),
            }
        };
        let hidden = headers.iter().flat_map(|(name, value)| secrets_of(name, value)).collect();
        let headers = headers.iter().map(header).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { url: url.into(), headers: Arc::new(headers), hidden: Arc::new(hidden) })
    }
}

/// Words in the names of headers that carry credentials.
const CREDENTIALS: [&str; 8] = ["auth", "key", "token", "secret", "cookie", "password", "credential", "signature"];

/// What of a header must not be seen: a credential, and what stands behind the scheme in it. Other headers name a region or
/// a tenant, and an answer that has such a word in a reference is kept as it came.
fn secrets_of(name: &str, value: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    if !CREDENTIALS.iter().any(|word| name.contains(word)) {
        return Vec::new();
    }
    let words: Vec<&str> = value.split_whitespace().collect();
    let mut secrets = vec![value.to_owned()];
    if let [scheme, secret] = words[..] {
        secrets.push(secret.to_owned());
        let plain = BASE64.decode(secret).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
        let password = plain.and_then(|plain| Some(String::from_utf8(plain).ok()?.split_once(':')?.1.to_owned()));
        secrets.extend(password);
    }
    secrets
}

thread_local! {
    /// One client an arbiter: its futures do not leave the thread.
    static CLIENT: RefCell<Option<Client>> = const { RefCell::new(None) };
}

/// The client of this arbiter.
pub(super) fn client() -> Result<Client, Failure> {
    CLIENT.with_borrow_mut(|slot| {
        if let Some(client) = slot {
            return Ok(client.clone());
        }
        let client = new_client(Vec::new())
            .map_err(|e| Failure::new(FailureKind::Error, format!("TLS cannot be set up: {e}")))?;
        Ok(slot.insert(client).clone())
    })
}

/// A client that follows no redirects and believes the public certificate authorities, and `own` beside them.
pub(crate) fn new_client(own: Vec<CertificateDer<'static>>) -> Result<Client, rustls::Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in own {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = Connector::new().rustls_0_23(Arc::new(tls)).timeout(CONNECT_TIMEOUT).limit(1_024);
    // The attempt's own timeout ends a call; the pool keeps it.
    Ok(Client::builder().connector(connector).disable_timeout().disable_redirects().finish())
}

impl Activity for HttpActivity {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let (url, headers, hidden) = (Arc::clone(&self.url), Arc::clone(&self.headers), Arc::clone(&self.hidden));
        async move {
            let mut request = client()?.post(url.as_ref());
            for (name, value) in headers.iter() {
                request = request.insert_header((name.clone(), value.clone()));
            }
            let request = request
                .insert_header(("Idempotency-Key", call.idempotency_key))
                .insert_header(("Ordain-Workflow-Id", call.workflow_id.as_str()))
                .insert_header(("Ordain-Attempt", call.attempt.to_string()))
                .insert_header(("traceparent", call.trace.to_string()));
            let outcome = exchange(request.send_json(&call.input)).await?.outcome();
            match outcome {
                Ok(mut result) => {
                    scrub(&mut result, &hidden);
                    Ok(result)
                }
                Err(failure) => Err(Failure { message: scrubbed(&failure.message, &hidden), ..failure }),
            }
        }
        .boxed_local()
    }
}

/// An answer, read to its end.
pub(super) struct Reply {
    pub status: StatusCode,
    retry_after_ms: Option<u64>,
    /// Or why it could not be read whole.
    body: Result<Bytes, String>,
}

/// Waits for the answer to a request.
///
/// # Errors
/// A [`Failure`] where there is none.
pub(super) async fn exchange(sent: SendClientRequest) -> Result<Reply, Failure> {
    let mut reply = sent.await.map_err(|e| not_sent(&e))?;
    let (status, retry_after_ms) = (reply.status(), retry_after_ms(reply.headers()));
    let promised = reply.headers().get(CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<usize>().ok());
    let body = match reply.body().limit(REPLY_BYTES_MAX).await {
        // The client takes a connection that closes within a body for the end of the body.
        Ok(body) if promised.is_some_and(|bytes| bytes != body.len()) => Err("its body is cut off".to_owned()),
        Ok(body) => Ok(body),
        Err(e) => Err(format!("its body cannot be read: {e}")),
    };
    Ok(Reply { status, retry_after_ms, body })
}

impl Reply {
    /// What the answer means.
    ///
    /// # Errors
    /// A [`Failure`] by what is known of the effect, with the wait that was asked for.
    pub fn outcome(&self) -> Result<Value, Failure> {
        let outcome = match &self.body {
            Ok(body) => judge(self.status, body),
            Err(why) if self.status.is_success() => in_doubt(self.status, why),
            // Any other status says all by itself.
            Err(_) => judge(self.status, b""),
        };
        // A 503 asks for patience, too, if without a word on how long; a 429 says so by its kind.
        let patience = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(0);
        outcome.map_err(|failure| Failure { retry_after_ms: self.retry_after_ms.or(patience), ..failure })
    }
}

fn in_doubt(status: StatusCode, why: &str) -> Result<Value, Failure> {
    Err(Failure::new(FailureKind::UnknownOutcome, format!("{status}, but {why}")))
}

/// What an answer means.
fn judge(status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
    let fail = |kind| Err(Failure::new(kind, message(status, body)));
    match status.as_u16() {
        200..=299 if body.is_empty() => Ok(Value::Object(serde_json::Map::new())),
        200..=299 => serde_json::from_slice(body).or_else(|_| in_doubt(status, "its body is not JSON")),
        402 | 422 => fail(FailureKind::Refused),
        425 | 429 => fail(FailureKind::RateLimited),
        409 | 500..=599 => fail(FailureKind::UnknownOutcome),
        // Our request is not one they take: it had no effect, and will not have one until somebody changes it.
        400..=499 => fail(FailureKind::Error),
        _ => fail(FailureKind::UnknownOutcome),
    }
}

/// The other side's own words, where it has any.
fn message(status: StatusCode, body: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = ["detail", "message", "error", "title"].iter().find_map(|field| parsed.get(field)?.as_str());
    match words {
        Some(words) => format!("{status}: {words}").chars().take(MESSAGE_CHARS_MAX).collect(),
        None => status.to_string(),
    }
}

/// Whether the request may have left.
fn not_sent(error: &SendRequestError) -> Failure {
    let unreachable = matches!(
        error,
        SendRequestError::Connect(
            ConnectError::Resolver(_)
                | ConnectError::NoRecords
                | ConnectError::Unresolved
                | ConnectError::Io(_)
                | ConnectError::Timeout
        ) | SendRequestError::Url(_)
    );
    let kind = if unreachable { FailureKind::Unreachable } else { FailureKind::UnknownOutcome };
    Failure::new(kind, error.to_string().chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

/// `Retry-After` in ms: seconds, or an HTTP date.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let ms = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1_000),
        Err(_) => {
            let at: std::time::SystemTime = text.parse::<actix_web::http::header::HttpDate>().ok()?.into();
            let wait = at.duration_since(std::time::SystemTime::now()).unwrap_or_default();
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
        }
    };
    Some(ms.min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> Option<FailureKind> {
        judge(StatusCode::from_u16(status).unwrap(), body.as_bytes()).err().map(|f| f.kind)
    }

    #[test]
    fn credentials_of_headers_are_secrets_and_other_headers_are_not() {
        assert_eq!(secrets_of("X-Api-Key", "abc"), ["abc"]);
        assert_eq!(secrets_of("Authorization", "Bearer abc"), ["Bearer abc", "abc"]);
        assert_eq!(secrets_of("authorization", "Basic bWU6cHc="), ["Basic bWU6cHc=", "bWU6cHc=", "pw"]);
        // A reference such as "us-east-1/parcel-7" stays what the carrier said.
        assert!(secrets_of("x-region", "us-east-1").is_empty());
    }

    #[test]
    fn an_answer_means_what_it_says_of_the_effect() {
        assert_eq!(kind(200, "{}"), None);
        assert_eq!(kind(204, ""), None);
        assert_eq!(kind(200, "<html>"), Some(FailureKind::UnknownOutcome));
        assert_eq!(kind(402, ""), Some(FailureKind::Refused));
        assert_eq!(kind(422, ""), Some(FailureKind::Refused));
        assert_eq!(kind(429, ""), Some(FailureKind::RateLimited));
        assert_eq!(kind(425, ""), Some(FailureKind::RateLimited));
        for status in [409, 500, 503, 302] {
            assert_eq!(kind(status, ""), Some(FailureKind::UnknownOutcome), "{status}");
        }
        assert_eq!(kind(404, ""), Some(FailureKind::Error));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            retry_after_ms(&headers)
        };
        assert_eq!(headers("3"), Some(3_000));
        assert_eq!(headers("99999999999"), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(headers("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(headers("soon"), None);
    }

    #[test]
    fn only_http_addresses_are_taken_and_a_headers_value_is_never_shown() {
        let none = BTreeMap::new();
        assert!(HttpActivity::new("https://pay.example/charge", &none).is_ok());
        for bad in ["", "ftp://x/", "/charge", "http://", "file:///etc/passwd"] {
            assert!(HttpActivity::new(bad, &none).is_err(), "{bad}");
        }
        let headers = BTreeMap::from([("x-key".to_owned(), "secret\n".to_owned())]);
        let error = HttpActivity::new("http://x/", &headers).err().unwrap();
        assert_eq!(error, SettingError::Header("x-key".into()));
    }
}
