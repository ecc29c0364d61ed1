//! The HTTP client of the commands. Every call is under a timeout.

use std::time::Duration;

use actix_web::http::{Method, Uri, header};
use awc::SendClientRequest;
use awc::error::SendRequestError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::access::Access;
use super::args::Server;
use super::terminal::clean;
use super::{CliError, show};

const TIMEOUT: Duration = Duration::from_secs(15);
const BODY_MAX: usize = 64 << 20;

/// A server, and how to reach it.
pub struct Client {
    client: awc::Client,
    base: String,
    /// The header that shows the key.
    bearer: Option<String>,
}

impl Client {
    /// Must be called within an actix system.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the address is not one.
    pub(super) fn new(server: &Server) -> Result<Self, CliError> {
        Self::at(&server.url, &server.access)
    }

    /// The same, by the server's address.
    ///
    /// # Errors
    /// [`CliError::Usage`] where it is not one, or the authorities to believe cannot be read.
    pub fn at(url: &str, access: &Access) -> Result<Self, CliError> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = base.parse().ok();
        if !uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()) {
            return Err(CliError::Usage(format!("--url {base:?} is not an http:// or https:// address")));
        }
        let bearer = access.secret().map(|key| format!("Bearer {key}"));
        Ok(Self { client: access.client()?, base, bearer })
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get(&self, path: &str) -> Result<String, CliError> {
        self.send(Method::GET, path, None, TIMEOUT).await
    }

    /// Gets and reads an answer.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        show::read(&self.get(path).await?)
    }

    /// A request that the server holds for up to `seconds`.
    pub async fn wait(&self, path: &str, seconds: u32) -> Result<String, CliError> {
        self.send(Method::GET, path, None, TIMEOUT + Duration::from_secs(seconds.into())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<String, CliError> {
        self.send(Method::PUT, path, Some(body), TIMEOUT).await
    }

    pub async fn delete(&self, path: &str) -> Result<String, CliError> {
        self.send(Method::DELETE, path, None, TIMEOUT).await
    }

    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<String, CliError> {
        self.send(Method::POST, path, body, TIMEOUT).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<String, CliError> {
        self.send(Method::PATCH, path, Some(body), TIMEOUT).await
    }

    /// Gets a page, and what to ask for the next one `after`.
    pub async fn page(&self, path: &str) -> Result<(String, Option<String>), CliError> {
        let sent = self.request(Method::GET, path, TIMEOUT).send();
        let (status, text, next) = self.answer_with(sent, TIMEOUT, "ordain-next-after").await?;
        Ok((accepted((status, text))?, next))
    }

    /// Posts, and gives the answer whatever its status is.
    ///
    /// # Errors
    /// [`CliError::NotReachable`] where there is no answer.
    pub async fn exchange(&self, path: &str, body: &Value, hold: Duration) -> Result<(u16, String), CliError> {
        let request = self.request(Method::POST, path, TIMEOUT + hold);
        self.answer(request.send_json(body), TIMEOUT + hold).await
    }

    /// Posts JSON text as it is.
    pub async fn post_text(&self, path: &str, body: String) -> Result<String, CliError> {
        let request = self.request(Method::POST, path, TIMEOUT);
        let sent = request.insert_header(("content-type", "application/json")).send_body(body);
        accepted(self.answer(sent, TIMEOUT).await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<String, CliError> {
        let request = self.request(method, path, timeout);
        let sent = match body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        accepted(self.answer(sent, timeout).await?)
    }

    fn request(&self, method: Method, path: &str, timeout: Duration) -> awc::ClientRequest {
        let request = self.client.request(method, format!("{}{path}", self.base)).timeout(timeout);
        match &self.bearer {
            Some(bearer) => request.insert_header((header::AUTHORIZATION, bearer.as_str())),
            None => request,
        }
    }

    async fn answer(&self, sent: SendClientRequest, timeout: Duration) -> Result<(u16, String), CliError> {
        self.answer_with(sent, timeout, "").await.map(|(status, text, _)| (status, text))
    }

    /// The answer, and one of its headers.
    async fn answer_with(
        &self,
        sent: SendClientRequest,
        timeout: Duration,
        header: &str,
    ) -> Result<(u16, String, Option<String>), CliError> {
        let sent = sent.await;
        let away = |why: String| CliError::NotReachable { url: self.base.clone(), why };
        let mut reply = sent.map_err(|e| match e {
            SendRequestError::Timeout => away(format!("no answer within {} s", timeout.as_secs())),
            e => away(e.to_string()),
        })?;
        let status = reply.status();
        let header = reply.headers().get(header).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let body = reply.body().limit(BODY_MAX).await.map_err(|e| away(e.to_string()))?;
        Ok((status.as_u16(), String::from_utf8_lossy(&body).into_owned(), header))
    }
}

/// The text of an answer that says yes.
fn accepted((status, text): (u16, String)) -> Result<String, CliError> {
    if (200..300).contains(&status) { Ok(text) } else { Err(CliError::Refused(problem(status, &text))) }
}

/// A problem document in words.
pub fn problem(status: u16, text: &str) -> String {
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| parsed.get(name).and_then(Value::as_str);
    let mut words = match (field("detail").or(field("title")), field("code")) {
        (Some(detail), Some(code)) => format!("{} ({}, {status})", clean(detail), clean(code)),
        _ => format!("the server answered {status}"),
    };
    for fault in parsed.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let of = |name: &str| fault.get(name).and_then(Value::as_str).map(clean).unwrap_or_default();
        words.push_str(&format!("\n  {}: {}", of("pointer"), of("message")));
    }
    words
}

/// A text as one segment of a path, or one value of a query.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-:".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_for_a_path() {
        assert_eq!(encode("o-1:a~b"), "o-1:a~b");
        assert_eq!(encode("a/b c?é"), "a%2Fb%20c%3F%C3%A9");
    }

    #[test]
    fn a_problem_is_told_in_words() {
        let text = r#"{"detail":"no","code":"invalid_request","errors":[{"pointer":"/amount","message":"bad"}]}"#;
        assert_eq!(problem(422, text), "no (invalid_request, 422)\n  /amount: bad");
        assert_eq!(problem(502, "<html>"), "the server answered 502");
    }
}
