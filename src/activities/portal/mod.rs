//! The invoice portal over HTTP: a page of a month's list, and a whole invoice. Each call of an activity is one request,
//! and a login before it where there is no token that holds: so the queue's limits and its backoff count requests.
//!
//! Tokens are kept in the memory of this process alone; see `session`.

mod session;

use std::sync::Arc;

use actix_web::http::StatusCode;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Activity;
use super::http::{client, exchange};
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind, scrub, scrubbed};
use crate::workflows::invoice_import::{Credentials, Month};
use session::{Grant, Sessions, Token};

/// The longest id of an invoice that is taken, in bytes.
const ID_BYTES_MAX: usize = 256;

pub struct Portal {
    /// Without a slash at its end.
    base: Arc<str>,
    sessions: Sessions,
}

/// What a request with a token comes to.
enum Asked {
    Answer(Value),
    /// The token is not taken.
    Denied(Failure),
}

impl Portal {
    /// `url`: where `/login` and `/invoices` are.
    pub fn new(url: &str) -> Self {
        Self { base: url.trim_end_matches('/').into(), sessions: Sessions::default() }
    }

    /// Reads one resource for a task, with its token; logs in where there is none, or it is not taken any more.
    async fn get(&self, task: &str, credentials: &Credentials, path: &str) -> Result<Value, Failure> {
        let session = self.sessions.of(task);
        let mut stale: Option<Token> = None;
        loop {
            let token = session.token(stale.as_ref(), || self.log_in(credentials)).await?;
            match self.ask(path, &token).await? {
                Asked::Answer(answer) => return Ok(answer),
                Asked::Denied(_) if stale.is_none() => stale = Some(token),
                Asked::Denied(failure) => {
                    let message = format!("a new token is not taken: {}", failure.message);
                    return Err(Failure { message, ..failure });
                }
            }
        }
    }

    async fn ask(&self, path: &str, token: &Token) -> Result<Asked, Failure> {
        let request = client()?.get(format!("{}{path}", self.base));
        let request = request.insert_header(("Authorization", format!("Bearer {}", token.text)));
        let reply = exchange(request.send()).await?;
        let secrets = [token.text.to_string()];
        let outcome = reply.outcome().map_err(|f| Failure { message: scrubbed(&f.message, &secrets), ..f });
        match outcome {
            Err(failure) if reply.status == StatusCode::UNAUTHORIZED => Ok(Asked::Denied(failure)),
            outcome => outcome.map(|mut answer| {
                scrub(&mut answer, &secrets);
                Asked::Answer(answer)
            }),
        }
    }

    async fn log_in(&self, credentials: &Credentials) -> Result<Grant, Failure> {
        let Credentials { username, password } = credentials;
        let body = json!({ "username": username, "password": password });
        let reply = exchange(client()?.post(format!("{}/login", self.base)).send_json(&body)).await?;
        let outcome = reply.outcome().map_err(|failure| {
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&reply.status);
            let (kind, what) = if refused {
                (FailureKind::Refused, "the portal refuses the login")
            } else {
                (failure.kind, "the login")
            };
            Failure { kind, message: format!("{what}: {}", failure.message), ..failure }
        })?;
        let grant = Grant::deserialize(&outcome).ok().filter(Grant::is_usable);
        grant.ok_or_else(|| garbage("the login's answer has no token"))
    }
}

fn garbage(why: &str) -> Failure {
    Failure::new(FailureKind::UnknownOutcome, why)
}

/// The input of an activity.
fn input<T: DeserializeOwned>(call: &ActivityCall) -> Result<T, Failure> {
    // The reader's words may repeat a secret.
    T::deserialize(&call.input).map_err(|_| Failure::new(FailureKind::Validation, "the input is not the activity's"))
}

/// A text as one segment of a path, or one value of a query.
fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-:".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// One page of the list of a month.
pub struct ListInvoices(pub Arc<Portal>);

#[derive(Deserialize)]
struct ToList {
    company_id: String,
    month: Month,
    page: u32,
    credentials: Credentials,
}

/// The part of a page that is of use.
#[derive(Deserialize)]
struct Page {
    invoices: Vec<Head>,
    pages: u32,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(default)]
    issued_on: Option<String>,
}

impl Activity for ListInvoices {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let portal = Arc::clone(&self.0);
        async move {
            let ToList { company_id, month, page, credentials } = input(&call)?;
            let path = format!("/invoices?company_id={}&month={month}&page={page}", encode(&company_id));
            let page = portal.get(call.workflow_id.root(), &credentials, &path).await?;
            let good = |page: &Page| page.invoices.iter().all(|i| (1..=ID_BYTES_MAX).contains(&i.id.len()));
            let page =
                Page::deserialize(&page).ok().filter(good).ok_or_else(|| garbage("this is no page of invoices"))?;
            let heads =
                page.invoices.into_iter().map(|Head { id, issued_on }| json!({"id": id, "issued_on": issued_on}));
            Ok(json!({ "invoices": heads.collect::<Vec<_>>(), "pages": page.pages }))
        }
        .boxed_local()
    }
}

/// A whole invoice, as the portal has it.
pub struct FetchInvoice(pub Arc<Portal>);

#[derive(Deserialize)]
struct ToFetch {
    invoice_id: String,
    credentials: Credentials,
}

impl Activity for FetchInvoice {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let portal = Arc::clone(&self.0);
        async move {
            let ToFetch { invoice_id, credentials } = input(&call)?;
            let path = format!("/invoices/{}", encode(&invoice_id));
            let invoice = portal.get(call.workflow_id.root(), &credentials, &path).await;
            let invoice =
                invoice.map_err(|f| Failure { message: format!("invoice {invoice_id}: {}", f.message), ..f })?;
            if invoice["id"] == invoice_id.as_str() {
                Ok(invoice)
            } else {
                Err(garbage("another invoice was answered"))
            }
        }
        .boxed_local()
    }
}
