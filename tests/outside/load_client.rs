//! The load generator against a server that behaves badly: every order still ends, and once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use ordain::load::{LoadError, LoadOptions, run};

/// What the imitated server knows: how often each order was started, and how often it was asked after.
#[derive(Default)]
struct Seen {
    starts: HashMap<String, u32>,
    waits: HashMap<String, u32>,
}

type Shared = web::Data<Arc<Mutex<Seen>>>;

async fn start(id: web::Path<String>, seen: Shared) -> HttpResponse {
    let mut seen = seen.lock().unwrap();
    let times = seen.starts.entry(id.clone()).or_default();
    *times += 1;
    let number: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
    match (number % 10, *times) {
        (1, 1) => HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "0")).body("busy"),
        (2, 1) => HttpResponse::InternalServerError().body("oops"),
        // Half an answer, then the connection is gone; the order is there all the same.
        (3, 1) => half_an_answer(),
        (4, _) => HttpResponse::UnprocessableEntity().body(r#"{"code":"no_fours"}"#),
        _ => HttpResponse::Accepted().force_close().body(r#"{"state":"received","terminal":false}"#),
    }
}

async fn status(id: web::Path<String>, seen: Shared) -> HttpResponse {
    let mut seen = seen.lock().unwrap();
    let times = seen.waits.entry(id.clone()).or_default();
    *times += 1;
    if *times == 1 {
        // As a server does whose client waited long enough.
        return HttpResponse::Ok().body(r#"{"shipping":{"state":"failed","terminal":true},"terminal":false}"#);
    }
    let chunks = [r#"{"shipping":{"state":"dispatched"},"sta"#, r#"te":"completed","terminal":true}"#];
    HttpResponse::Ok().streaming(futures_util::stream::iter(chunks.map(|c| Ok::<_, std::io::Error>(c.into()))))
}

fn half_an_answer() -> HttpResponse {
    let broken = [Ok("{".into()), Err(std::io::Error::other("gone"))];
    HttpResponse::Accepted().streaming(futures_util::stream::iter(broken))
}

async fn ready() -> &'static str {
    "ready"
}

/// Starts the imitation; gives its URL.
fn imitation(seen: Arc<Mutex<Seen>>) -> String {
    let app = move || {
        App::new()
            .app_data(web::Data::new(Arc::clone(&seen)))
            .route("/readyz", web::get().to(ready))
            .route("/orders/{id}/start", web::post().to(start))
            .route("/orders/{id}/status", web::get().to(status))
    };
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    url
}

#[actix_web::test]
async fn every_order_ends_although_answers_are_refused_broken_and_cut_off() {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let url = imitation(Arc::clone(&seen));
    let options = LoadOptions { orders: 100, concurrency: 8, url: Some(url), threads: 2, ..LoadOptions::default() };
    let report = run(options).await.unwrap();
    assert_eq!((report.accepted, report.completed, report.ended), (90, 90, 90), "{report:?}");
    assert_eq!(report.refused, [("422 no_fours".to_owned(), 10)].into());
    assert!(!report.ok, "refused orders are no success");
    assert_eq!((report.retries.overloaded, report.retries.server_errors), (10, 10));
    assert!(report.retries.connection_losses >= 10, "{report:?}");
    assert!(report.check.is_none());
    assert!(seen.lock().unwrap().waits.values().all(|times| *times == 2));
    assert!(report.completion_ms.p50 >= report.start_ms.p50);
}

#[actix_web::test]
async fn fewer_connections_are_fewer_orders_in_flight() {
    let url = imitation(Arc::default());
    let options =
        LoadOptions { orders: 10, concurrency: 5, connections: Some(2), url: Some(url), ..LoadOptions::default() };
    let report = run(options).await.unwrap();
    assert_eq!(report.in_flight, 2);
    assert!(report.notes.iter().any(|note| note.contains("2 orders in flight instead of 5")), "{:?}", report.notes);
}

#[actix_web::test]
async fn a_server_that_is_not_there_is_said_to_be_not_reachable() {
    let options = LoadOptions { orders: 1, url: Some("http://127.0.0.1:1".into()), ..LoadOptions::default() };
    assert!(matches!(run(options).await, Err(LoadError::NotReachable { .. })));
}
