//! What an activity over HTTP makes of each answer, and of none: is it known whether the effect happened?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use actix_web::http::header::HttpDate;
use futures_util::FutureExt;
use ordain::activities::{Activities, ActivitySettings, Chaos, SetupError, build};
use ordain::kernel::ActivityCall;
use ordain::model::{Failure, FailureKind, RunId, Trace, WorkflowId};
use serde_json::{Value, json};

use super::support::wire::{Host, Reply, Request};

const NAME: &str = "charge_payment";
const SECRET: &str = "Bearer s3cret";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A host that always answers the same, and what it was asked.
struct Fixed {
    host: Host,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Fixed {
    fn new(reply: Reply) -> Self {
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let host = Host::start(move |request| {
            seen.lock().unwrap().push(request);
            let reply = reply.clone();
            async move { reply }.boxed()
        });
        Self { host, asked }
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    async fn call(&self, call: ActivityCall) -> Result<Value, Failure> {
        ask(&self.host.url("/charge?v=1"), call).await
    }
}

fn activities(name: &str, url: &str) -> Result<Activities, SetupError> {
    let headers = BTreeMap::from([("Authorization".to_owned(), SECRET.to_owned())]);
    let settings = ActivitySettings { url: Some(url.to_owned()), outside: false, headers };
    build(&BTreeMap::from([(name.to_owned(), settings)]), Vec::new(), Chaos::default())
}

async fn ask(url: &str, call: ActivityCall) -> Result<Value, Failure> {
    let activities = activities(NAME, url).unwrap();
    let answer = activities.get(NAME).unwrap().call(call);
    // No test may hang; an attempt's own timeout is the pool's.
    actix_rt::time::timeout(Duration::from_secs(20), answer).await.expect("the call ends")
}

fn call(attempt: u32) -> ActivityCall {
    ActivityCall {
        workflow_id: WorkflowId::new("o-1"),
        run_id: RunId(uuid::Uuid::nil()),
        seq: 1,
        activity: NAME.into(),
        attempt,
        queue: "orders".into(),
        idempotency_key: "o-1/charge_payment/1".into(),
        timeout_ms: 1_000,
        scheduled_at: ordain::model::Timestamp(0),
        input: json!({"order_id": "o-1", "amount": "49.90"}),
        recovered: false,
        trace: Trace::parse(TRACE).unwrap(),
    }
}

/// The failure that a reply becomes; none where it is taken as done.
async fn failure(reply: Reply) -> Option<Failure> {
    Fixed::new(reply).call(call(1)).await.err()
}

async fn kind(reply: Reply) -> Option<FailureKind> {
    failure(reply).await.map(|failure| failure.kind)
}

#[actix_web::test]
async fn a_call_carries_the_input_the_headers_and_the_same_key_on_every_attempt() {
    let host = Fixed::new(Reply::new(200, r#"{"charge_ref":"ch-1"}"#));
    for attempt in 1..=3 {
        assert_eq!(host.call(call(attempt)).await, Ok(json!({"charge_ref": "ch-1"})));
    }
    for (index, request) in host.asked().iter().enumerate() {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/charge?v=1"));
        assert_eq!(header("idempotency-key"), Some("o-1/charge_payment/1"));
        assert_eq!(header("traceparent"), Some(TRACE));
        assert_eq!(header("authorization"), Some(SECRET));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("ordain-workflow-id"), Some("o-1"));
        assert_eq!(header("ordain-attempt"), Some((index + 1).to_string().as_str()));
        assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), call(1).input);
    }
    assert_eq!(host.asked().len(), 3);
}

#[actix_web::test]
async fn each_status_says_what_is_known_of_the_effect() {
    use FailureKind::{Error, RateLimited, Refused, UnknownOutcome};
    let table = [
        (200, None),
        (201, None),
        (302, Some(UnknownOutcome)),
        (400, Some(Error)),
        (401, Some(Error)),
        (402, Some(Refused)),
        (403, Some(Error)),
        (404, Some(Error)),
        (409, Some(UnknownOutcome)),
        (422, Some(Refused)),
        (425, Some(RateLimited)),
        (429, Some(RateLimited)),
        (500, Some(UnknownOutcome)),
        (502, Some(UnknownOutcome)),
        (503, Some(UnknownOutcome)),
    ];
    for (status, expected) in table {
        assert_eq!(kind(Reply::new(status, "{}")).await, expected, "{status}");
    }
}

#[actix_web::test]
async fn an_empty_answer_is_done_and_garbage_is_in_doubt() {
    assert_eq!(Fixed::new(Reply::new(200, "")).call(call(1)).await, Ok(json!({})));
    assert_eq!(Fixed::new(Reply::new(204, "")).call(call(1)).await, Ok(json!({})));
    for garbage in ["<html>", "{\"charge_ref\": ", "\0\u{1}"] {
        assert_eq!(kind(Reply::new(200, garbage)).await, Some(FailureKind::UnknownOutcome), "{garbage:?}");
    }
    assert_eq!(kind(Reply::new(200, vec![0xff, 0xfe])).await, Some(FailureKind::UnknownOutcome));
}

#[actix_web::test]
async fn an_answer_of_more_than_a_mebibyte_is_in_doubt_and_one_below_is_read() {
    let text = |bytes: usize| format!("{{\"charge_ref\":\"{}\"}}", "x".repeat(bytes));
    assert_eq!(kind(Reply::new(200, text(3 << 20))).await, Some(FailureKind::UnknownOutcome));
    assert_eq!(kind(Reply::new(200, text(1_000_000))).await, None);
}

#[actix_web::test]
async fn a_status_that_says_no_needs_no_body_to_say_so() {
    assert_eq!(kind(Reply::Torn { status: 402, body: b"{\"det".to_vec() }).await, Some(FailureKind::Refused));
    assert_eq!(kind(Reply::new(422, vec![b' '; 3 << 20])).await, Some(FailureKind::Refused));
}

#[actix_web::test]
async fn a_refusal_says_why_in_bounded_words_and_without_secrets() {
    let said = |body: Value| async move { failure(Reply::new(402, body.to_string())).await.unwrap().message };
    assert!(said(json!({"detail": "card declined"})).await.contains("card declined"));
    assert!(said(json!({"message": "too heavy"})).await.contains("too heavy"));
    assert!(said(json!({"error": "no"})).await.contains("no"));
    assert!(said(json!(["what?"])).await.contains("402"));
    let long = said(json!({"detail": "ä".repeat(100_000)})).await;
    assert!(long.len() <= 1_100, "{}", long.len());
    for message in [said(json!({})).await, failure(Reply::new(401, "")).await.unwrap().message] {
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[actix_web::test]
async fn what_an_answer_repeats_of_the_configured_headers_is_not_kept() {
    let echo = format!("the header {SECRET} is wrong; s3cret-very-long is not known");
    let refused = failure(Reply::new(401, json!({ "error": echo }).to_string())).await.unwrap();
    assert_eq!(refused.message, "401 Unauthorized: the header *** is wrong; ***-very-long is not known");
    let body = json!({"charge_ref": "ch-1", "you_sent": {"authorization": SECRET, "key": ["s3cret"]}});
    let done = Fixed::new(Reply::new(200, body.to_string())).call(call(1)).await.unwrap();
    assert_eq!(done, json!({"charge_ref": "ch-1", "you_sent": {"authorization": "***", "key": ["***"]}}));
}

#[actix_web::test]
async fn retry_after_is_obeyed_in_both_forms_on_every_status() {
    for status in [429, 425, 503] {
        let wait = failure(Reply::new(status, "").with("retry-after", "7")).await.unwrap().retry_after_ms;
        assert_eq!(wait, Some(7_000), "{status}");
    }
    let date = HttpDate::from(SystemTime::now() + Duration::from_secs(30)).to_string();
    let wait = failure(Reply::new(429, "").with("retry-after", date)).await.unwrap().retry_after_ms.unwrap();
    assert!((25_000..=30_000).contains(&wait), "{wait}");
    for odd in ["soon", "-1", "", "1.5"] {
        assert_eq!(failure(Reply::new(429, "").with("retry-after", odd)).await.unwrap().retry_after_ms, None, "{odd}");
    }
}

#[actix_web::test]
async fn a_redirect_is_not_followed() {
    let target = Fixed::new(Reply::new(200, "{}"));
    let host = Fixed::new(Reply::new(307, "").with("location", target.host.url("/elsewhere")));
    assert_eq!(host.call(call(1)).await.unwrap_err().kind, FailureKind::UnknownOutcome);
    assert_eq!((host.asked().len(), target.asked().len()), (1, 0));
}

#[actix_web::test]
async fn a_connection_lost_is_in_doubt_and_none_at_all_is_unreachable() {
    assert_eq!(kind(Reply::Close).await, Some(FailureKind::UnknownOutcome));
    for part in ["", "{}", "{\"charge_ref\""] {
        let torn = Reply::Torn { status: 200, body: part.into() };
        assert_eq!(kind(torn).await, Some(FailureKind::UnknownOutcome), "{part:?}");
    }
    let torn = |part: &str| Reply::TornChunks { status: 200, body: part.into() };
    assert_eq!(kind(torn("{\"charge_ref\"")).await, Some(FailureKind::UnknownOutcome));
    // Some servers send every answer in chunks; one that says 2xx and nothing else has done it.
    assert_eq!(kind(torn("")).await, None);
    let host = Fixed::new(Reply::new(200, "{}"));
    host.host.down();
    assert_eq!(host.call(call(1)).await.unwrap_err().kind, FailureKind::Unreachable);
    let nowhere = ask("http://no-such-host.invalid/charge", call(1)).await.unwrap_err();
    assert_eq!(nowhere.kind, FailureKind::Unreachable, "{}", nowhere.message);
}

#[actix_web::test]
async fn tls_spoken_to_one_who_does_not_is_never_taken_as_done() {
    let host = Fixed::new(Reply::new(200, "{}"));
    let url = host.host.url("/charge").replace("http:", "https:");
    // Whether it counts as unreachable or as in doubt, it is asked again with the same key.
    let failure = ask(&url, call(1)).await.unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Unreachable | FailureKind::UnknownOutcome), "{failure:?}");
    assert!(host.asked().is_empty());
}

#[actix_web::test]
async fn a_hanging_call_ends_when_it_is_dropped_and_the_next_is_not_held_up() {
    let host = Fixed::new(Reply::Silence);
    let activities = activities(NAME, &host.host.url("/charge")).unwrap();
    let activity = activities.get(NAME).unwrap();
    for attempt in 1..=3 {
        let began = Instant::now();
        let answer = actix_rt::time::timeout(Duration::from_millis(150), activity.call(call(attempt))).await;
        assert!(answer.is_err() && began.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(host.asked().len(), 3);
    assert_eq!(kind(Reply::new(200, "{}")).await, None);
}

#[actix_web::test]
async fn without_a_url_the_same_key_has_the_same_answer_and_a_marked_card_is_declined() {
    let activities = build(&BTreeMap::new(), Vec::new(), Chaos::default()).unwrap();
    let charge = activities.get(NAME).unwrap();
    let first = charge.call(call(1)).await.unwrap();
    assert!(first["charge_ref"].is_string());
    assert_eq!(charge.call(call(2)).await.unwrap(), first);
    let other = ActivityCall { idempotency_key: "o-2/charge_payment/1".into(), ..call(1) };
    assert_ne!(charge.call(other).await.unwrap(), first);
    let declined = ActivityCall { input: json!({"payment_id": "pay-declined-1"}), ..call(1) };
    assert_eq!(charge.call(declined).await.unwrap_err().kind, FailureKind::Refused);
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let error = |name: &str, url: &str| activities(name, url).err().unwrap().to_string();
    assert!(error("validate_order", "http://x/").contains("validate_order"));
    assert!(error("charge_paiment", "http://x/").contains("charge_paiment"));
    for bad in ["ftp://x/", "x", "", "http://", "https:///charge"] {
        let words = error(NAME, bad);
        assert!(words.contains(NAME) && !words.contains("s3cret"), "{bad}: {words}");
    }
}
