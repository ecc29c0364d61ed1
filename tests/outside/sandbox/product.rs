//! The product against the sandbox: however rough it is, its ledger shows every effect once.

use serde_json::json;

use crate::support::sandbox::Sandbox;
use crate::support::server::Server;

#[test]
fn orders_in_a_rough_world_are_charged_and_dispatched_once() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--faults", "rough", "--seed", "4"]);
    let server = Server::start(&["--attempt-timeout-seconds", "1", "--deadline-seconds", "0"], sandbox.env());
    let start = |order: &str, more: serde_json::Value| {
        let mut body = json!({"amount": "49.90", "address": "1 Main Street", "review_seconds": 0});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = server.post(&format!("/orders/{order}/start"), Some(&body));
        assert_eq!(answer.status, 202, "{}", answer.text());
    };
    for n in 0..40 {
        start(&format!("o-{n}"), json!({}));
    }
    start("declined", json!({"payment_id": "pay-declined-1"}));
    start("nowhere", json!({"address": "1 Nowhere Street"}));
    let ends = |order: &str| {
        let status = server.get(&format!("/orders/{order}/status?wait=30&until=terminal")).json();
        let again = server.get(&format!("/orders/{order}/status?wait=30&until=terminal"));
        if status["terminal"] == true { status } else { again.json() }
    };
    for n in 0..40 {
        let status = ends(&format!("o-{n}"));
        assert_eq!(status["state"], "completed", "{status}");
    }
    assert_eq!(ends("declined")["state"], "failed");
    assert_eq!(ends("nowhere")["payment"]["status"], "refunded");
    let totals = sandbox.get("/ledger/totals").json();
    assert_eq!((&totals["charges"], &totals["refunds"], &totals["dispatches"]), (&json!(41), &json!(1), &json!(40)));
    for none in ["double_charges", "double_dispatches", "stray_refunds"] {
        assert_eq!(totals[none], 0, "{none}");
    }
    assert!(totals["faults"].as_u64().unwrap() > 40, "{totals}");
}
