//! Logs: every line of an order can be joined, a trace goes through a restart to the outside, and `info` stays quiet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::support::client;
use super::support::server::Server;
use super::support::wire::{Host, Reply};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The lines of a server's log; each must be a JSON document.
fn lines(server: &Server) -> Vec<Value> {
    let log = server.whole_log();
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    log.lines().map(line).collect()
}

fn of<'l>(lines: &'l [Value], order: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["order_id"] == order).collect()
}

/// A payment gateway that answers 503 once, and the traceparents it was given.
fn gateway() -> (Host, Arc<Mutex<Vec<String>>>) {
    let (asked, seen) = (AtomicUsize::new(0), Arc::<Mutex<Vec<String>>>::default());
    let told = Arc::clone(&seen);
    let host = Host::start(move |request| {
        told.lock().unwrap().push(request.headers.get("traceparent").cloned().unwrap_or_default());
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { Reply::new(503, "{}") } else { Reply::new(200, r#"{"charge_ref":"c-1"}"#) } }.boxed()
    });
    (host, seen)
}

#[test]
fn every_line_of_an_order_joins_and_its_trace_survives_a_kill() {
    let (host, seen) = gateway();
    let env = vec![("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL".to_owned(), host.url("/charge"))];
    let mut server = Server::start(&["--log-format", "json", "--log-level", "ordain=debug"], env);
    let traceparent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let headers = [("traceparent", traceparent.as_str())];
    let body = json!({"review_seconds": 1});
    let start = |server: &Server, headers: &[(&str, &str)]| {
        client::request(server.line().address(), "POST", "/orders/o-1/start", headers, Some(&body)).unwrap()
    };
    assert_eq!(start(&server, &headers).status, 202);
    // The trace is not of the content: the same order in another trace, or in none, is the same order.
    assert_eq!(start(&server, &[("traceparent", "garbage")]).status, 200);
    let run_id = server.get("/orders/o-1/status?wait=10&until=in_review").json()["run_id"].clone();
    server.kill9();
    server.restart();
    assert_eq!(server.get("/orders/o-1/status?wait=20").json()["state"], "completed");

    // Outside: one trace over both attempts, each a span of its own.
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|t| t.starts_with(&format!("00-{TRACE_ID}-")) && t.ends_with("-01")), "{seen:?}");
    assert_ne!(seen[0], seen[1]);

    let lines = lines(&server);
    let mine = of(&lines, "o-1");
    let (mut transitions, mut attempts) = (0, BTreeSet::new());
    for line in &mine {
        match line["message"].as_str().unwrap() {
            "a transition is on disk" => {
                transitions += 1;
                assert!(
                    line["seq"].as_u64() > Some(0) && line["facts"].is_string() && line["to"].is_string(),
                    "{line}"
                );
                assert_eq!(line["trace_id"], TRACE_ID, "{line}");
                assert_eq!(line["run_id"] == run_id, line["workflow_id"] == "o-1", "{line}");
            }
            "an attempt has ended" => {
                assert_eq!(line["trace_id"], TRACE_ID, "{line}");
                assert!(line["run_id"].is_string() && line["seq"].as_u64() > Some(0), "{line}");
                attempts.insert((line["activity"].as_str().unwrap(), line["attempt"].as_u64().unwrap()));
            }
            "a request is answered" => assert!(line["status"].is_number() && line["ms"].is_number(), "{line}"),
            other => panic!("{other}: {line}"),
        }
    }
    assert!(transitions >= 9, "{transitions} transitions in {mine:#?}");
    for attempt in [("charge_payment", 1), ("charge_payment", 2), ("dispatch_carrier", 1)] {
        assert!(attempts.contains(&attempt), "{attempt:?} in {attempts:?}");
    }
    let requests: Vec<_> = mine.iter().filter(|line| line["message"] == "a request is answered").collect();
    assert!(requests.iter().any(|line| line["trace_id"] == TRACE_ID && line["path"] == "/orders/o-1/start"));
    // The result that led to a transition is named in its line.
    assert!(mine.iter().any(|line| line["facts"].as_str().is_some_and(|facts| facts.contains("PaymentCharged"))
        && line["activity"] == "charge_payment"
        && line["attempt"] == 2));
}

#[test]
fn an_order_without_a_trace_gets_one_of_its_run() {
    let (host, seen) = gateway();
    let env = vec![("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL".to_owned(), host.url("/charge"))];
    let server = Server::start(&[], env);
    assert_eq!(server.post("/orders/o-1/start", Some(&json!({"review_seconds": 0}))).status, 202);
    let status = server.get("/orders/o-1/status?wait=20").json();
    assert_eq!(status["state"], "completed");
    let trace_id = status["run_id"].as_str().unwrap().replace('-', "");
    let seen = seen.lock().unwrap().clone();
    assert!(!seen.is_empty() && seen.iter().all(|t| t.starts_with(&format!("00-{trace_id}-"))), "{seen:?}");
}

#[test]
fn at_info_no_order_has_a_line() {
    let server = Server::start(
        &["--log-format", "json", "--log-level", "info", "--chaos", "flaky", "--attempt-timeout-seconds", "0.2"],
        Vec::new(),
    );
    for n in 0..50 {
        assert_eq!(server.post(&format!("/orders/o-{n}/start"), Some(&json!({"review_seconds": 0}))).status, 202);
    }
    for n in 0..5 {
        assert_eq!(server.get(&format!("/orders/o-{n}/status?wait=20")).json()["terminal"], true);
    }
    let lines = lines(&server);
    assert!(lines.len() < 20, "{} lines", lines.len());
    let named: Vec<&Value> = lines.iter().filter(|line| !line["order_id"].is_null()).collect();
    assert!(named.is_empty(), "{named:?}");
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(), "{line}");
    }
}

/// A collector on the other side gets a span for each attempt and request, in the trace the client was in.
#[cfg(feature = "otlp")]
#[test]
fn spans_reach_a_collector_at_the_latest_when_the_server_ends() {
    let sent = Arc::<Mutex<Vec<u8>>>::default();
    let told = Arc::clone(&sent);
    let collector = Host::start(move |request| {
        assert_eq!(request.path, "/v1/traces");
        told.lock().unwrap().extend(request.body);
        async { Reply::new(200, "") }.boxed()
    });
    let env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.url(""))];
    let mut server = Server::start(&[], env);
    let traceparent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let (address, body) = (server.line().address(), json!({"review_seconds": 0}));
    let headers = [("traceparent", traceparent.as_str())];
    assert_eq!(client::request(address, "POST", "/orders/o-1/start", &headers, Some(&body)).unwrap().status, 202);
    assert_eq!(server.get("/orders/o-1/status?wait=20").json()["state"], "completed");
    assert!(server.sigterm().success());
    let sent = sent.lock().unwrap().clone();
    let times = |part: &[u8]| sent.windows(part.len()).filter(|window| *window == part).count();
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    // The start, and five activities.
    assert!(times(&bytes(TRACE_ID)) >= 6, "{}", times(&bytes(TRACE_ID)));
    assert!(times(&bytes("00f067aa0ba902b7")) >= 6, "each within the client's span");
    assert!(times(b"dispatch_carrier") >= 1 && times(b"ordain.order_id") >= 6);
}
