//! The door without an engine behind it: everything that is refused before an engine is asked.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::Data;
use actix_web::{App, body};
use serde_json::Value;

use super::routes::configure;
use super::{ServerOptions, Site};

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of a problem; asserts that it is a whole one.
    fn code(&self) -> String {
        let json = self.json();
        assert_eq!(self.headers.get(header::CONTENT_TYPE).unwrap(), "application/problem+json", "{json}");
        assert_eq!(json["status"], self.status);
        assert!(json["title"].is_string() && json["detail"].is_string() && json["instance"].is_string(), "{json}");
        json["code"].as_str().unwrap().to_owned()
    }
}

async fn ask(request: TestRequest) -> Reply {
    let options = ServerOptions { body_limit_bytes: 10_000, ..ServerOptions::default() };
    let app = App::new()
        .app_data(Data::new(Site::new(options, crate::http::Seat::default())))
        .configure(configure)
        .service(super::routes::get("/panic", || async { if true { panic!("on purpose") } else { "" } }));
    let app = init_service(app).await;
    let (status, headers, body) = match try_call_service(&app, request.to_request()).await {
        Ok(response) => (response.status(), response.headers().clone(), response.into_body()),
        Err(error) => {
            let response = error.error_response();
            (response.status(), response.headers().clone(), response.into_body())
        }
    };
    let body = body::to_bytes(body).await.map(|b| b.to_vec()).unwrap_or_default();
    Reply { status: status.as_u16(), headers, body }
}

fn get(uri: &str) -> TestRequest {
    TestRequest::get().uri(uri)
}

fn post(uri: &str, body: impl Into<actix_web::web::Bytes>) -> TestRequest {
    let body = body.into();
    let length = (header::CONTENT_LENGTH, body.len());
    TestRequest::post().uri(uri).insert_header(length).set_payload(body)
}

const START: &str = "/orders/o-1/start";

#[actix_web::test]
async fn unknown_routes_and_methods_are_problems() {
    for uri in ["/nowhere", "/orders/o-1", "/orders/o-1/start/", "/orders/o-1/signals/explode", "/docs/none.js", "//"] {
        let reply = ask(get(uri)).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{uri}");
    }
    for (method, uri, allow) in [
        (Method::GET, START, "POST"),
        (Method::DELETE, "/orders", "GET, HEAD"),
        (Method::POST, "/orders/o-1/status", "GET, HEAD"),
        (Method::PUT, "/orders/o-1/signals/CancelOrder", "POST"),
        (Method::OPTIONS, "/", "GET, HEAD"),
    ] {
        let reply = ask(TestRequest::default().method(method).uri(uri)).await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{uri}");
        assert_eq!(reply.headers.get(header::ALLOW).unwrap(), allow);
        assert_eq!(reply.headers.get(header::X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
    }
}

#[actix_web::test]
async fn bad_order_ids_are_422_and_not_routed_away() {
    let long = "x".repeat(129);
    for id in ["..", ".", "%2f", "a%2Fb", "%00", "%ff", "%C3%A4", "a%20b", "a%25", "%2e%2e", "", &long] {
        for reply in [
            ask(post(&format!("/orders/{id}/start"), "")).await,
            ask(get(&format!("/orders/{id}/status"))).await,
            ask(get(&format!("/orders/{id}/history"))).await,
            ask(post(&format!("/orders/{id}/signals/cancel"), "")).await,
        ] {
            assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_order_id"), "{id}");
            assert_eq!(reply.json()["errors"][0]["pointer"], "/path/order_id");
        }
    }
    for id in ["a//b", "/x", "o-1/", "o-1/%00/1"] {
        let reply = ask(get(&format!("/workflows/{id}/history"))).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_workflow_id"), "{id}");
    }
}

#[actix_web::test]
async fn bad_bodies_have_their_status_and_code() {
    let deep = "[".repeat(9_000);
    for (body, status, code) in [
        ("{", 400, "malformed_json"),
        ("{\"amount\":NaN}", 400, "malformed_json"),
        ("{\"amount\":1,\"amount\":2}", 400, "malformed_json"),
        ("{\"address\":\"\\ud800\"}", 400, "malformed_json"),
        ("{} {}", 400, "malformed_json"),
        (" ", 400, "malformed_json"),
        (deep.as_str(), 400, "malformed_json"),
        ("[]", 422, "invalid_request"),
        ("null", 422, "invalid_request"),
        ("{\"x\":1}", 422, "invalid_request"),
        ("{\"address\":\"a\\u0000b\"}", 422, "invalid_request"),
    ] {
        let reply = ask(post(START, body.to_owned())).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", &body[..body.len().min(60)]);
    }
    let reply = ask(post(START, &b"{\"address\":\"\xff\"}"[..])).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "malformed_json"));
    let reply = ask(post("/orders/o-1/signals/update-address", "")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "malformed_json"));
}

#[actix_web::test]
async fn a_body_over_the_limit_is_413_with_and_without_a_length() {
    let big = vec![b' '; 10_001];
    let reply = ask(post(START, big.clone())).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    let chunked = TestRequest::post().uri(START).insert_header((header::TRANSFER_ENCODING, "chunked"));
    let reply = ask(chunked.set_payload(big)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
}

#[actix_web::test]
async fn only_json_in_utf8_is_taken() {
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json"] {
        let reply = ask(post(START, "{}").insert_header((header::CONTENT_TYPE, kind))).await;
        assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"), "{kind}");
    }
    let reply = ask(post(START, "{}").insert_header((header::CONTENT_ENCODING, "gzip"))).await;
    assert_eq!(reply.code(), "unsupported_media_type");
    // Taken: they come as far as the engine, which is not there.
    for kind in ["application/json", "Application/JSON; charset=UTF-8", "application/cloudevents+json"] {
        let reply = ask(post(START, "{}").insert_header((header::CONTENT_TYPE, kind))).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "not_ready"), "{kind}");
    }
    for bare in [post(START, "{}"), TestRequest::post().uri(START), post("/orders/o-1/signals/ApproveOrder", "")] {
        let reply = ask(bare).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "not_ready"));
        assert!(reply.headers.contains_key(header::RETRY_AFTER));
    }
}

#[actix_web::test]
async fn an_idempotency_key_is_1_to_255_visible_characters() {
    for key in ["", "a b", "ä", &"k".repeat(256)] {
        let reply = ask(post(START, "").insert_header(("idempotency-key", key))).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_idempotency_key"), "{key}");
    }
    let reply = ask(post(START, "").insert_header(("idempotency-key", "k".repeat(255)))).await;
    assert_eq!(reply.status, 503);
}

#[actix_web::test]
async fn bad_parameters_are_422() {
    for uri in [
        "/orders?state=new",
        "/orders?limit=0",
        "/orders?colour=red",
        "/orders/o-1/status?wait=61",
        "/orders/o-1/status?wait=NaN",
        "/orders/o-1/status?until=never",
        "/orders/o-1/state?seq=0",
        "/orders/o-1/history?after=-1",
        "/stats?x=1",
    ] {
        let reply = ask(get(uri)).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_request"), "{uri}");
    }
}

#[actix_web::test]
async fn a_panic_is_a_500_problem() {
    let reply = ask(get("/panic")).await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "internal_error"));
}

#[actix_web::test]
async fn the_server_tells_about_itself() {
    let reply = ask(get("/")).await;
    assert_eq!(reply.json()["name"], "ordain");
    assert_eq!(reply.headers.get(header::CACHE_CONTROL).unwrap(), "no-store");
    let page = ask(get("/").insert_header((header::ACCEPT, "text/html,*/*"))).await;
    assert!(String::from_utf8_lossy(&page.body).contains("/docs/"));
    assert_eq!(ask(get("/healthz")).await.status, 200);
    assert_eq!(ask(get("/readyz")).await.code(), "not_ready");
    assert_eq!(ask(get("/metrics")).await.status, 200);
    assert_eq!(ask(TestRequest::default().method(Method::HEAD).uri("/healthz")).await.status, 200);
    assert_eq!(ask(get("/docs")).await.headers.get(header::LOCATION).unwrap(), "/docs/");
    let ui = ask(get("/docs/")).await;
    assert!(ui.status == 200 && String::from_utf8_lossy(&ui.body).contains("swagger-ui"));
    assert_eq!(ask(get("/docs/swagger-ui-bundle.js")).await.status, 200);
}

#[test]
fn the_openapi_document_is_the_golden_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");
    let now = format!("{}\n", super::openapi_json());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(golden == now, "the API changed; if that is meant, run the test with UPDATE_GOLDEN=1");
}

/// Every value under a key, at any depth.
fn all<'v>(json: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match json {
        Value::Object(map) => map.iter().for_each(|(k, v)| match v.as_str() {
            Some(text) if k == key => found.push(text),
            _ => all(v, key, found),
        }),
        Value::Array(list) => list.iter().for_each(|v| all(v, key, found)),
        _ => {}
    }
}

#[test]
fn the_openapi_document_is_consistent() {
    let document: Value = serde_json::from_str(super::openapi_json()).unwrap();
    let (mut refs, mut ids) = (Vec::new(), Vec::new());
    all(&document, "$ref", &mut refs);
    all(&document, "operationId", &mut ids);
    assert!(refs.len() > 100);
    for target in refs {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operationId occurs twice");
}

#[actix_web::test]
async fn the_openapi_document_knows_every_route_and_every_route_is_there() {
    let document = ask(get("/openapi.json")).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.push(format!("{} {path}", method.to_uppercase()));
            let filled = path.replace("{order_id}", "o-1").replace("{id}", "o-1/shipping/1");
            let filled = filled.replace("{job_id}", "job-1").replace("{task_id}", "t-1");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let reply = ask(TestRequest::default().method(method).uri(&filled)).await;
            assert!(!matches!(reply.status, 404 | 405), "{path}: {}", reply.status);
        }
    }
    assert_eq!(
        routes,
        [
            "GET /",
            "POST /api/activities/{token}/complete",
            "POST /api/activities/{token}/fail",
            "POST /api/activities/{token}/heartbeat",
            "GET /api/queues",
            "GET /api/queues/{queue}",
            "PATCH /api/queues/{queue}",
            "POST /api/queues/{queue}/poll",
            "GET /api/tasks",
            "POST /api/tasks/start",
            "GET /api/tasks/types",
            "GET /api/tasks/{task_id}",
            "POST /api/tasks/{task_id}/cancel",
            "GET /api/tasks/{task_id}/history",
            "GET /api/tasks/{task_id}/result",
            "GET /audit",
            "GET /debug/actors",
            "GET /docs",
            "GET /events",
            "GET /healthz",
            "GET /jobs",
            "POST /jobs",
            "GET /jobs/{job_id}",
            "POST /jobs/{job_id}/cancel",
            "GET /keys",
            "POST /keys",
            "DELETE /keys/{key_id}",
            "GET /metrics",
            "GET /openapi.json",
            "GET /orders",
            "GET /orders/{order_id}/history",
            "POST /orders/{order_id}/pause",
            "POST /orders/{order_id}/resume",
            "POST /orders/{order_id}/retry",
            "POST /orders/{order_id}/signals/approve",
            "POST /orders/{order_id}/signals/cancel",
            "POST /orders/{order_id}/signals/update-address",
            "POST /orders/{order_id}/start",
            "GET /orders/{order_id}/state",
            "GET /orders/{order_id}/status",
            "GET /policies",
            "GET /readyz",
            "GET /stats",
            "GET /workflows/{id}",
            "GET /workflows/{id}/history",
        ]
    );
}
