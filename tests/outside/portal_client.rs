//! The client of the invoice portal against one that misbehaves: tokens that are not taken, words to come back later,
//! answers that are none.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use ordain::activities::Activity;
use ordain::activities::portal::{FetchInvoice, ListInvoices, Portal};
use ordain::kernel::ActivityCall;
use ordain::model::{Failure, FailureKind, RunId, Timestamp, Trace, WorkflowId};
use serde_json::{Value, json};

use super::support::wire::{Host, Reply, Request};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A portal that answers by a script, and what it was asked: `METHOD path authorization`.
struct Scripted {
    host: Host,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// `answer`: to a request, and how many logins there were before it.
    fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let host = Host::start(move |request| {
            let token = request.headers.get("authorization").cloned().unwrap_or_default();
            let mut seen = seen.lock().unwrap();
            let logins = seen.iter().filter(|line| line.starts_with("POST")).count();
            seen.push(format!("{} {} {token}", request.method, request.path).trim_end().to_owned());
            let reply = answer(&request, logins);
            async move { reply }.boxed()
        });
        Self { host, asked }
    }

    fn portal(&self) -> Arc<Portal> {
        Arc::new(Portal::new(&self.host.url("/base/")))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn call(input: Value) -> ActivityCall {
    ActivityCall {
        workflow_id: WorkflowId::new("t-1/invoice_batch/1"),
        run_id: RunId(uuid::Uuid::nil()),
        seq: 1,
        activity: "fetch_invoice".into(),
        attempt: 1,
        queue: "invoices".into(),
        idempotency_key: "k".into(),
        timeout_ms: 1_000,
        scheduled_at: Timestamp(0),
        input,
        recovered: false,
        trace: Trace::parse(TRACE).unwrap(),
    }
}

async fn fetch(portal: &Arc<Portal>, id: &str) -> Result<Value, Failure> {
    let input = json!({"invoice_id": id, "credentials": {"username": "u", "password": "p"}});
    FetchInvoice(Arc::clone(portal)).call(call(input)).await
}

async fn list(portal: &Arc<Portal>) -> Result<Value, Failure> {
    let credentials = json!({"username": "u", "password": "p"});
    let input = json!({"company_id": "a b", "month": "2024-03", "page": 2, "credentials": credentials});
    ListInvoices(Arc::clone(portal)).call(call(input)).await
}

/// A login gives the tokens `token-1`, `token-2`, …
fn granted(logins: usize) -> Reply {
    Reply::new(200, json!({"token": format!("token-{}", logins + 1)}).to_string())
}

fn problem(status: u16, detail: &str) -> Reply {
    Reply::new(status, json!({ "detail": detail }).to_string())
}

#[actix_web::test]
async fn a_token_that_is_not_taken_is_renewed_once_and_shared_from_then_on() {
    let scripted = Scripted::new(|request, logins| match request.method.as_str() {
        "POST" => granted(logins),
        _ if request.headers["authorization"] == "Bearer token-1" => problem(401, "token-1 is too old"),
        _ => Reply::new(200, json!({"id": request.path.rsplit('/').next()}).to_string()),
    });
    let portal = scripted.portal();
    assert_eq!(fetch(&portal, "i:1").await, Ok(json!({"id": "i:1"})));
    assert_eq!(fetch(&portal, "i:2").await, Ok(json!({"id": "i:2"})));
    assert_eq!(
        scripted.asked(),
        [
            "POST /base/login",
            "GET /base/invoices/i:1 Bearer token-1",
            "POST /base/login",
            "GET /base/invoices/i:1 Bearer token-2",
            "GET /base/invoices/i:2 Bearer token-2",
        ]
    );
}

#[actix_web::test]
async fn a_redirect_is_not_followed_neither_with_the_password_nor_with_the_token() {
    let elsewhere = Scripted::new(|_, logins| granted(logins));
    let target = elsewhere.host.url("/base/login");
    let away = target.clone();
    let scripted = Scripted::new(move |_, _| Reply::new(307, "").with("location", away.clone()));
    assert!(fetch(&scripted.portal(), "i:1").await.is_err());
    let scripted = Scripted::new(move |request, logins| match request.method.as_str() {
        "POST" => granted(logins),
        _ => Reply::new(302, "").with("location", target.clone()),
    });
    assert!(fetch(&scripted.portal(), "i:1").await.is_err() && list(&scripted.portal()).await.is_err());
    assert!(!scripted.asked().is_empty());
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
}

#[actix_web::test]
async fn a_portal_that_takes_no_token_is_an_error_that_does_not_repeat_one() {
    let scripted = Scripted::new(|request, logins| match request.method.as_str() {
        "POST" => granted(logins),
        _ => problem(401, &format!("{} is unknown", request.headers["authorization"])),
    });
    let failure = fetch(&scripted.portal(), "i").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Error);
    assert!(failure.message.contains("a new token is not taken") && !failure.message.contains("token-"), "{failure:?}");
    assert_eq!(scripted.asked().len(), 4);
}

#[actix_web::test]
async fn a_refused_login_is_final_and_one_to_come_back_later_says_when() {
    for (reply, kind, retry_after_ms) in [
        (problem(401, "no"), FailureKind::Refused, None),
        (problem(403, "no"), FailureKind::Refused, None),
        (problem(429, "later").with("retry-after", "3"), FailureKind::RateLimited, Some(3_000)),
        (problem(503, "later"), FailureKind::UnknownOutcome, Some(0)),
        (problem(503, "later").with("retry-after", "7"), FailureKind::UnknownOutcome, Some(7_000)),
        (Reply::new(200, "{}"), FailureKind::UnknownOutcome, None),
        (Reply::new(200, r#"{"token":"a\nb"}"#), FailureKind::UnknownOutcome, None),
    ] {
        let said = format!("{reply:?}");
        let scripted = Scripted::new(move |_, _| reply.clone());
        let failure = list(&scripted.portal()).await.unwrap_err();
        assert_eq!((failure.kind, failure.retry_after_ms), (kind, retry_after_ms), "{said}: {failure:?}");
        assert_eq!(scripted.asked(), ["POST /base/login"]);
    }
}

#[actix_web::test]
async fn what_is_no_page_and_no_invoice_is_asked_for_again_and_a_page_is_cut_to_what_is_of_use() {
    let of = |body: &'static str| {
        Scripted::new(move |request, logins| match request.method.as_str() {
            "POST" => granted(logins),
            _ => Reply::new(200, body),
        })
    };
    let scripted =
        of(r#"{"invoices":[{"id":"x","amount":"1","issued_on":"2024-03-01"},{"id":"y"}],"pages":3,"page":2}"#);
    let page =
        json!({"invoices": [{"id": "x", "issued_on": "2024-03-01"}, {"id": "y", "issued_on": null}], "pages": 3});
    assert_eq!(list(&scripted.portal()).await, Ok(page));
    assert_eq!(scripted.asked()[1], "GET /base/invoices?company_id=a%20b&month=2024-03&page=2 Bearer token-1");
    for body in ["{}", "[]", "<html>", r#"{"invoices":[{"id":""}],"pages":1}"#, r#"{"invoices":[],"pages":-1}"#] {
        assert_eq!(list(&of(body).portal()).await.unwrap_err().kind, FailureKind::UnknownOutcome, "{body}");
        assert_eq!(fetch(&of(body).portal(), "i").await.unwrap_err().kind, FailureKind::UnknownOutcome, "{body}");
    }
    assert_eq!(fetch(&of(r#"{"id":"another"}"#).portal(), "i").await.unwrap_err().kind, FailureKind::UnknownOutcome);
}
