//! Bad input: a 4xx problem document that names the fault, nothing written, and never a 500.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::server::Server;

/// Sends bytes as they are, and reads until the server closes; the status and the body.
fn raw(server: &Server, head: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.line().address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // A body over the limit is refused before it is read to its end.
    let _refused_early = stream.write_all(body);
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no answer: {text:?}"));
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn start(server: &Server, body: &[u8]) -> (u16, Value) {
    raw(server, "POST /orders/bad/start HTTP/1.1\r\ncontent-type: application/json", body)
}

fn is_problem(problem: &Value, status: u16) {
    assert_eq!(problem["status"], status, "{problem}");
    for field in ["type", "title", "detail", "instance", "code"] {
        assert!(problem[field].is_string(), "{field} in {problem}");
    }
}

#[test]
fn every_fault_of_a_body_is_named_and_nothing_is_written() {
    let server = Server::start(&[], Vec::new());
    let invalid: &[(&str, &str)] = &[
        (r#"{"amount": true}"#, "/amount"),
        (r#"{"amount": "NaN"}"#, "/amount"),
        (r#"{"amount": 1e400}"#, "/amount"),
        (r#"{"amount": "1.123456789"}"#, "/amount"),
        (r#"{"amount": "99999999999999999999999999"}"#, "/amount"),
        (r#"{"currency": "usd"}"#, "/currency"),
        (r#"{"currency": 5}"#, "/currency"),
        (r#"{"payment_id": ""}"#, "/payment_id"),
        (r#"{"payment_id": "a b"}"#, "/payment_id"),
        (r#"{"payment_id": "a", "payment_token": "b"}"#, "/payment_token"),
        (r#"{"order_id": "other"}"#, "/order_id"),
        (r#"{"review": "sometimes"}"#, "/review"),
        (r#"{"review_seconds": -1}"#, "/review_seconds"),
        (r#"{"review_seconds": "2"}"#, "/review_seconds"),
        (r#"{"deadline_seconds": 1e300}"#, "/deadline_seconds"),
        (r#"{"review_deadline_seconds": null, "x": 1}"#, "/x"),
        (r#"{"address": 7}"#, "/address"),
        (r#"{"address": {"planet": "Mars"}}"#, "/address/planet"),
        (r#"{"address": {"city": 7}}"#, "/address/city"),
        (r#"{"address": "a\u0000b"}"#, "/address"),
        (r#"{"items": {}}"#, "/items"),
        (r#"{"items": [{"sku": "a", "quantity": 1.5}]}"#, "/items/0/quantity"),
        (r#"{"items": [{"sku": 1, "quantity": 1}]}"#, "/items/0/sku"),
        (r#"{"items": [{"sku": "a", "quantity": 1, "colour": "red"}]}"#, "/items/0/colour"),
        (r#"{"items": [{"sku": "a", "quantity": 1, "unit_price": "x"}]}"#, "/items/0/unit_price"),
        (r#"{"metadata": []}"#, "/metadata"),
        (r#"{"metadata": {"a": "\u0000"}}"#, "/metadata/a"),
        (r#"[]"#, ""),
        (r#"7"#, ""),
    ];
    for (body, pointer) in invalid {
        let (status, problem) = start(&server, body.as_bytes());
        assert_eq!(status, 422, "{body}: {problem}");
        is_problem(&problem, 422);
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().any(|e| e["pointer"] == *pointer && e["message"].is_string()), "{body}: {problem}");
    }
    let deep = format!("{{\"metadata\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let malformed: Vec<(&str, Vec<u8>)> = vec![
        ("cut off", b"{".to_vec()),
        ("trailing", b"{} {}".to_vec()),
        ("duplicate keys", br#"{"amount": "1", "amount": "2"}"#.to_vec()),
        ("nested duplicate keys", br#"{"metadata": {"a": 1, "a": 2}}"#.to_vec()),
        ("lone surrogate", br#"{"address": "\ud800"}"#.to_vec()),
        ("not UTF-8", b"{\"address\": \"\xff\"}".to_vec()),
        ("NaN", br#"{"amount": NaN}"#.to_vec()),
        ("deep", deep.into_bytes()),
    ];
    for (what, body) in malformed {
        let (status, problem) = start(&server, &body);
        assert_eq!(status, 400, "{what}: {problem}");
        is_problem(&problem, 400);
    }
    let (status, problem) = start(&server, &vec![b' '; 20 << 20]);
    assert_eq!(status, 413);
    is_problem(&problem, 413);
    assert_eq!(server.get("/orders").json()["orders"], json!([]));
    assert_eq!(server.get("/orders/bad/status").status, 404);
}

#[test]
fn ids_methods_types_and_routes_that_do_not_exist_are_problems_too() {
    let server = Server::start(&[], Vec::new());
    let long = "x".repeat(129);
    for id in ["%2e%2e", "a%2fb", "a%00b", "a%20b", "%ff", long.as_str(), "%7B%7D"] {
        let (status, problem) = raw(&server, &format!("POST /orders/{id}/start HTTP/1.1"), b"");
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_order_id")), "{id}: {problem}");
        let (status, _) = raw(&server, &format!("GET /orders/{id}/status HTTP/1.1"), b"");
        assert_eq!(status, 422, "{id}");
    }
    for (request, expected) in [
        ("GET /nowhere", 404),
        ("GET /orders/a/b/c/d", 404),
        ("DELETE /orders/o-1/start", 405),
        ("GET /orders/o-1/start", 405),
        ("PUT /orders", 405),
        ("POST /stats", 405),
        ("GET /orders/nobody/status", 404),
        ("GET /orders/nobody/history", 404),
        ("GET /orders/nobody/state", 404),
        ("POST /orders/nobody/retry", 404),
        ("POST /orders/nobody/pause", 404),
        ("GET /workflows/nobody/history", 404),
        ("GET /orders/o-1/status?wait=-1", 422),
        ("GET /orders/o-1/status?wait=1&until=odd", 422),
        ("GET /orders/o-1/state?seq=x", 422),
        ("GET /orders/o-1/history?limit=-1", 422),
        ("GET /orders/o-1/status?odd=1", 422),
        ("POST /orders/o-1/start?payment_id=", 422),
        ("POST /orders/o-1/start?odd=1", 422),
    ] {
        let (status, problem) = raw(&server, &format!("{request} HTTP/1.1"), b"");
        assert_eq!(status, expected, "{request}: {problem}");
        is_problem(&problem, expected);
    }
    let (status, problem) = raw(&server, "POST /orders/o/start HTTP/1.1\r\ncontent-type: text/plain", b"hello");
    assert_eq!(status, 415);
    is_problem(&problem, 415);
    let key = "k".repeat(300);
    let (status, _) = raw(&server, &format!("POST /orders/o/start HTTP/1.1\r\nidempotency-key: {key}"), b"");
    assert_eq!(status, 400);
    assert_eq!(server.get("/orders").json()["orders"], json!([]));
}

#[test]
fn signals_are_read_as_strictly_as_starts() {
    let server = Server::start(&[], Vec::new());
    assert_eq!(server.post("/orders/o-1/start", Some(&json!({"review": "manual"}))).status, 202);
    let before = server.get("/orders/o-1/status?wait=5&until=in_review").json()["seq"].clone();
    for (signal, body) in [
        ("cancel", json!({"reason": 7})),
        ("cancel", json!({"reason": "a\u{0}b"})),
        ("cancel", json!({"odd": 1})),
        ("update-address", json!({})),
        ("update-address", json!({"address": 7})),
        ("update-address", json!({"address": "a", "new_address": "b"})),
        ("update-address", json!({"address": {"zip_code": "#"}})),
        ("approve", json!({"odd": 1})),
    ] {
        let answer = server.post(&format!("/orders/o-1/signals/{signal}"), Some(&body));
        assert_eq!(answer.status, 422, "{signal} {body}: {}", answer.text());
        is_problem(&answer.json(), 422);
    }
    assert_eq!(server.get("/orders/o-1/status").json()["seq"], before);
}

#[test]
fn documents_for_people_and_machines_are_served_offline() {
    let server = Server::start(&[], Vec::new());
    let openapi = server.get("/openapi.json");
    assert!(openapi.json()["openapi"].as_str().unwrap().starts_with("3.1"));
    let docs = server.get("/docs/");
    assert_eq!(docs.status, 200);
    assert!(!docs.text().contains("https://"), "{}", docs.text());
    assert_eq!(server.get("/healthz").status, 200);
    assert!(server.get("/metrics").text().contains("ordain_actors_live"));
    assert_eq!(server.get("/").json()["name"], "ordain");
}
