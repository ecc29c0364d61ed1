//! The orders API over real HTTP, a real SQLite file and a real outside world: what API users rely on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::client;
use super::support::faults::Faults;
use super::support::server::Server;
use super::support::world::World;

fn server() -> Server {
    Server::start(&["--review-seconds", "0"], Vec::new())
}

fn start(server: &Server, order: &str, body: Value) -> Value {
    let answer = server.post(&format!("/orders/{order}/start"), Some(&body));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()
}

fn end(server: &Server, order: &str) -> Value {
    until(server, order, "terminal")
}

fn until(server: &Server, order: &str, state: &str) -> Value {
    let answer = server.get(&format!("/orders/{order}/status?wait=20&until={state}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn signal(server: &Server, order: &str, name: &str, body: Option<Value>) -> (u16, Value) {
    let answer = server.post(&format!("/orders/{order}/signals/{name}"), body.as_ref());
    (answer.status, answer.json())
}

fn post(server: &Server, path: &str) -> (u16, Value) {
    let answer = server.post(path, None);
    (answer.status, answer.json())
}

fn kinds(server: &Server, order: &str) -> Vec<String> {
    let events = server.history(&format!("/orders/{order}"));
    events.iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect()
}

/// A status document, as the contract lists its fields.
fn is_whole(status: &Value) {
    for field in [
        "order_id",
        "run_id",
        "state",
        "terminal",
        "paused",
        "step",
        "seq",
        "attempts",
        "last_error",
        "recent_errors",
        "payment",
        "shipping",
        "address",
        "review",
        "created_at",
        "updated_at",
        "deadline_at",
        "ended_at",
        "live",
    ] {
        assert!(status.get(field).is_some(), "{field} is missing in {status}");
    }
    let waits = status["live"]["waiting_for"].as_array().unwrap();
    assert_eq!(waits.is_empty(), status["terminal"] == true, "{status}");
}

#[test]
fn an_order_is_started_in_all_its_forms_and_completes() {
    let server = server();
    // No body, no content type.
    let bare = server.post("/orders/bare/start?payment_id=p-bare", None);
    assert_eq!(bare.status, 202);
    assert_eq!(bare.header("location"), Some("/orders/bare/status"));
    is_whole(&bare.json());
    start(&server, "token", json!({"payment_token": "tok-1", "order_id": "token"}));
    start(&server, "none", json!({}));
    let full = json!({
        "address": {"street": "1 Main", "zip_code": "12345"}, "currency": "EUR", "deadline_seconds": 30,
        "items": [{"sku": "a", "quantity": 2, "unit_price": "1.25"}], "metadata": {"vip": true, "n": 7},
        "review": "auto", "review_seconds": 0, "review_deadline_seconds": 0,
    });
    start(&server, "full", full);
    for (order, payment, amount) in [
        ("bare", "p-bare", "0.00"),
        ("token", "tok-1", "0.00"),
        ("none", "pay-none", "0.00"),
        ("full", "pay-full", "2.50"),
    ] {
        let done = end(&server, order);
        is_whole(&done);
        assert_eq!((done["state"].as_str(), done["step"].as_str()), (Some("completed"), Some("done")));
        assert_eq!(done["payment"]["payment_id"], payment);
        assert_eq!(done["payment"]["amount"], amount, "{order}");
        assert_eq!(done["shipping"]["state"], "dispatched");
    }
    let shipment = server.history("/workflows/full/shipping/1");
    assert_eq!(shipment.last().unwrap()["type"], "ShipmentDispatched");
}

#[test]
fn the_same_start_is_the_same_order_and_conflicts_are_told() {
    let server = server();
    let body = json!({"amount": "49.90", "review": "manual", "payment_id": "p-1"});
    start(&server, "o-1", body.clone());
    let review = until(&server, "o-1", "in_review");
    let again = server.post("/orders/o-1/start", Some(&body));
    assert_eq!((again.status, again.json()["seq"].clone()), (200, review["seq"].clone()));
    // Query and body together say the same.
    let again = server.post("/orders/o-1/start?payment_id=p-1", Some(&json!({"review": "manual", "amount": "49.90"})));
    assert_eq!(again.status, 200, "{}", again.text());
    let other = server.post("/orders/o-1/start", Some(&json!({"amount": "50.00"})));
    assert_eq!((other.status, other.json()["code"].clone()), (409, json!("order_exists")));
    let taken = server.post("/orders/o-2/start?payment_id=p-1", None);
    assert_eq!((taken.status, taken.json()["code"].clone()), (409, json!("payment_id_in_use")));
    assert_eq!(server.get("/orders/o-2/status").status, 404);
}

#[test]
fn an_idempotency_key_gives_the_first_answer_again_also_after_a_restart() {
    let mut server = server();
    let keyed = |server: &Server, path: &str, body: Option<&Value>| {
        client::request(server.line().address(), "POST", path, &[("idempotency-key", "k-1")], body).unwrap()
    };
    let body = json!({"review": "manual"});
    let first = keyed(&server, "/orders/o-1/start", Some(&body));
    assert_eq!(first.status, 202);
    until(&server, "o-1", "in_review");
    server.kill9();
    server.restart();
    let second = keyed(&server, "/orders/o-1/start", Some(&body));
    assert_eq!((second.status, second.json()), (202, first.json()));
    let other = keyed(&server, "/orders/o-1/signals/approve", None);
    assert_eq!((other.status, other.json()["code"].clone()), (422, json!("idempotency_key_reused")));
}

#[test]
fn signals_are_answered_when_durable_and_say_when_they_come_too_late() {
    let server = server();
    start(&server, "o-1", json!({"review": "manual", "address": "1 Main"}));
    until(&server, "o-1", "in_review");
    let (status, body) = signal(&server, "o-1", "update-address", Some(json!({"new_address": "2 Side"})));
    assert_eq!((status, &body["address"]), (202, &json!("2 Side")));
    let (status, body) = signal(&server, "o-1", "UpdateAddress", Some(json!({"address": "2 Side"})));
    assert_eq!((status, &body["address"]), (200, &json!("2 Side")));
    let (status, body) = signal(&server, "o-1", "update_address", Some(json!({"address": {"zip_code": "!"}})));
    assert_eq!((status, &body["code"]), (422, &json!("invalid_address")));
    assert_eq!(signal(&server, "o-1", "ApproveOrder", None).0, 202);
    let done = end(&server, "o-1");
    assert_eq!((&done["state"], &done["address"]), (&json!("completed"), &json!("2 Side")));
    assert_eq!(signal(&server, "o-1", "approve", None).0, 200);
    let (status, body) = signal(&server, "o-1", "cancel", None);
    assert_eq!((status, &body["code"]), (409, &json!("order_not_cancellable")));
    let (status, body) = signal(&server, "o-1", "update-address", Some(json!({"address": "3 Late"})));
    assert_eq!((status, &body["code"]), (409, &json!("address_locked")));

    start(&server, "o-2", json!({"review": "manual"}));
    until(&server, "o-2", "in_review");
    let (status, body) = signal(&server, "o-2", "CancelOrder", Some(json!({"reason": "changed my mind"})));
    assert_eq!((status, &body["state"]), (202, &json!("cancelled")));
    assert_eq!(signal(&server, "o-2", "cancel_order", None).0, 200);
    let (status, body) = signal(&server, "o-2", "approve", None);
    assert_eq!((status, &body["code"]), (409, &json!("review_not_open")));
    assert!(kinds(&server, "o-2").contains(&"CancelRequested".to_owned()));
    assert_eq!(signal(&server, "nobody", "approve", None).0, 404);
    assert_eq!(signal(&server, "o-2", "dance", None).0, 404);
}

#[test]
fn a_cancel_after_the_charge_refunds_it_and_the_ledger_agrees() {
    let world = World::start(Faults::none());
    // The parcel is never ready, so that there is time for a cancel.
    let mut env = world.env();
    let nowhere = "http://127.0.0.1:9/prepare".to_owned();
    env.push(("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL".to_owned(), nowhere));
    let server = Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], env);
    start(&server, "o-1", json!({"amount": "49.90"}));
    let shipping = until(&server, "o-1", "shipping");
    assert_eq!(shipping["payment"]["status"], "charged");
    assert_eq!(shipping["live"]["waiting_for"][0]["kind"], "child");
    assert_eq!(signal(&server, "o-1", "cancel", None).0, 202);
    let done = end(&server, "o-1");
    assert_eq!((&done["state"], &done["payment"]["status"]), (&json!("cancelled"), &json!("refunded")));
    world.ledger().settled("o-1", "cancelled").unwrap();
}

#[test]
fn at_the_deadline_a_charged_order_is_refunded_and_timed_out() {
    let world = World::start(Faults::none());
    let mut env = world.env();
    env.push(("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL".to_owned(), "http://127.0.0.1:9/prepare".to_owned()));
    let server = Server::start(&["--review-seconds", "0"], env);
    start(&server, "o-1", json!({"amount": "49.90", "deadline_seconds": 1}));
    let done = end(&server, "o-1");
    assert_eq!((&done["state"], &done["payment"]["status"]), (&json!("timed_out"), &json!("refunded")));
    world.ledger().settled("o-1", "timed_out").unwrap();
}

#[test]
fn business_rules_are_the_orders_to_fail_and_not_the_doors_to_refuse() {
    let server = server();
    for (order, body) in [
        ("minus", json!({"amount": "-1"})),
        ("none", json!({"items": [{"sku": "a", "quantity": 0, "unit_price": "1"}]})),
        ("zip", json!({"address": {"zip_code": "1"}})),
    ] {
        start(&server, order, body);
        let done = end(&server, order);
        assert_eq!((&done["state"], &done["last_error"]["kind"]), (&json!("failed"), &json!("validation")), "{done}");
        assert_eq!(done["attempts"]["validate_order"], 1);
    }
    start(&server, "declined", json!({"payment_id": "pay-declined-1", "amount": "1"}));
    let done = end(&server, "declined");
    assert_eq!((&done["state"], &done["payment"]["status"]), (&json!("failed"), &json!("failed")));
    // An operator's retry asks again, under a new key.
    assert_eq!(post(&server, "/orders/declined/retry").0, 202);
    assert_eq!(end(&server, "declined")["attempts"]["charge_payment"], 2);
    start(&server, "fine", json!({}));
    end(&server, "fine");
    let (status, body) = post(&server, "/orders/fine/retry");
    assert_eq!((status, &body["code"]), (409, &json!("order_not_retriable")));
}

#[test]
fn a_paused_order_stands_still_until_it_is_resumed() {
    let server = Server::start(&["--review-seconds", "1", "--deadline-seconds", "3"], Vec::new());
    start(&server, "o-1", json!({}));
    until(&server, "o-1", "in_review");
    assert_eq!(post(&server, "/orders/o-1/pause").0, 202);
    assert_eq!(post(&server, "/orders/o-1/pause").0, 200);
    std::thread::sleep(Duration::from_millis(1_500));
    let paused = server.get("/orders/o-1/status").json();
    is_whole(&paused);
    assert_eq!(
        (&paused["paused"], &paused["state"], &paused["deadline_at"]),
        (&json!(true), &json!("in_review"), &Value::Null)
    );
    assert_eq!(post(&server, "/orders/o-1/resume").0, 202);
    let done = end(&server, "o-1");
    assert_eq!(done["state"], "completed");
    let (status, body) = post(&server, "/orders/o-1/pause");
    assert_eq!((status, &body["code"]), (409, &json!("order_ended")));
}

#[test]
fn the_state_can_be_read_as_it_was_after_any_fact() {
    let server = server();
    start(&server, "o-1", json!({"amount": "1.00"}));
    end(&server, "o-1");
    let events = server.history("/orders/o-1");
    let mut states = Vec::new();
    for event in &events {
        let state = server.get(&format!("/orders/o-1/state?seq={}", event["seq"])).json();
        assert_eq!(state["seq"], event["seq"]);
        assert!(state.get("live").is_none());
        states.push(state["state"].as_str().unwrap().to_owned());
    }
    states.dedup();
    assert_eq!(states, ["received", "validated", "in_review", "charging", "shipping", "completed"]);
    let now = server.get("/orders/o-1/state").json();
    assert_eq!(now["state"], "completed");
    assert_eq!(server.get(&format!("/orders/o-1/state?seq={}", events.len() + 1)).status, 404);
    let scheduled: Vec<_> = events.iter().filter(|e| e["type"] == "ActivityScheduled").collect();
    assert!(scheduled.iter().all(|e| e["data"]["idempotency_key"].is_string()));
}

#[test]
fn lists_are_filtered_sorted_and_paged_without_loss() {
    let server = server();
    for n in 0..25 {
        let body =
            json!({"review": if n % 5 == 0 { "manual" } else { "auto" }, "metadata": {"shop": format!("s{}", n % 3)}});
        start(&server, &format!("list-{n:02}"), body);
    }
    start(&server, "bad", json!({"amount": "-1"}));
    for n in 0..25 {
        until(&server, &format!("list-{n:02}"), if n % 5 == 0 { "in_review" } else { "terminal" });
    }
    end(&server, "bad");
    let ids = |query: &str| -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.get(&format!("/orders?limit=4&{query}{cursor}"));
            assert_eq!(page.status, 200, "{}", page.text());
            let page = page.json();
            ids.extend(page["orders"].as_array().unwrap().iter().map(|o| o["order_id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    };
    let newest = ids("");
    assert_eq!(newest.len(), 26);
    assert_eq!((newest[0].as_str(), newest[25].as_str()), ("bad", "list-00"));
    for sort in ["created_at", "-created_at", "updated_at", "-updated_at", "order_id", "-order_id", "state", "-state"] {
        let all = ids(&format!("sort={sort}"));
        assert_eq!(all.len(), 26, "{sort}");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 26, "{sort}");
    }
    let mut by_id = newest.clone();
    by_id.sort();
    assert_eq!(ids("sort=order_id"), by_id);
    assert_eq!(ids("state=in_review").len(), 5);
    assert_eq!(ids("state=completed,failed").len(), 21);
    assert_eq!(ids("q=IST-1").len(), 10);
    assert_eq!(ids("metadata.shop=s0").len(), 9);
    assert_eq!(ids("error=validation"), ["bad"]);
    assert_eq!(ids("attempts_min=2").len(), 0);
    assert_eq!(ids("retrying=true").len(), 0);
    assert_eq!(ids("created_after=2999-01-01T00:00:00Z").len(), 0);
    assert_eq!(ids("created_before=2999-01-01T00:00:00Z").len(), 26);
    for bad in ["state=odd", "limit=0", "limit=x", "sort=odd", "cursor=zzz", "created_after=soon", "odd=1"] {
        assert_eq!(server.get(&format!("/orders?{bad}")).status, 422, "{bad}");
    }
    let stats = server.get("/stats").json();
    assert_eq!((&stats["orders"]["completed"], &stats["orders"]["in_review"]), (&json!(20), &json!(5)));
    assert_eq!((&stats["orders"]["failed"], &stats["orders"]["stuck"]), (&json!(1), &json!(0)));
}

#[test]
fn a_killed_server_goes_on_where_it_was_and_a_terminated_one_ends_well() {
    let mut server = Server::start(&["--review-seconds", "1"], Vec::new());
    start(&server, "o-1", json!({}));
    start(&server, "o-2", json!({"review": "manual"}));
    until(&server, "o-2", "in_review");
    server.kill9();
    server.restart();
    assert_eq!(end(&server, "o-1")["state"], "completed");
    assert_eq!(signal(&server, "o-2", "approve", None).0, 202);
    assert_eq!(end(&server, "o-2")["state"], "completed");
    assert!(server.verify().status.success());
    assert!(server.sigterm().success());
}
