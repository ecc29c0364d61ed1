//! Keys, refusals, faults, and a ledger that outlives its process.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client;
use crate::support::sandbox::Sandbox;

fn charge(order: &str) -> Value {
    json!({"order_id": order, "payment_id": format!("pay-{order}"), "amount": "49.90", "currency": "USD", "charge_ref": null})
}

fn dispatch(order: &str) -> Value {
    json!({"order_id": order, "shipment_id": format!("{order}/shipping/1"), "address": "1 Main Street", "package_ref": "p"})
}

fn ask_for(sandbox: &Sandbox, activity: &str, kind: &str, times: u32) {
    let body = json!({"activity": activity, "kind": kind, "times": times});
    let answer = sandbox.send("POST", "/faults/next", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_key_is_done_once_and_belongs_to_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    let first = sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap();
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None), "{}", first.text());
    assert!(first.json()["charge_ref"].is_string());
    let again = sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap();
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(again.json(), first.json());
    for (activity, body) in [("charge_payment", charge("o-2")), ("refund_payment", charge("o-1"))] {
        let other = sandbox.call(activity, "k-1", &body).unwrap();
        assert_eq!((other.status, other.json()["code"].as_str()), (422, Some("idempotency_key_reused")));
        assert_eq!(other.header("content-type"), Some("application/problem+json"));
    }
    let ledger = sandbox.get("/ledger").json();
    assert_eq!(ledger["charges"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["charges"][0]["amount"], "49.90");
    assert_eq!((&ledger["totals"]["charges"], &ledger["totals"]["requests"]), (&json!(1), &json!(4)));
}

#[test]
fn while_the_first_request_is_under_way_its_key_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    ask_for(&sandbox, "charge_payment", "slow", 1);
    thread::scope(|scope| {
        let first = scope.spawn(|| sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap());
        thread::sleep(Duration::from_millis(50));
        let second = sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap();
        // Whichever came first.
        let mut answers = [first.join().unwrap(), second];
        answers.sort_by_key(|a| a.status);
        assert_eq!(answers.each_ref().map(|a| a.status), [200, 409]);
        assert_eq!(answers[1].json()["code"], "request_under_way");
    });
    assert_eq!(sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap().status, 200);
    assert_eq!(sandbox.get("/ledger/totals").json()["charges"], 1);
}

#[test]
fn refusals_are_final_and_nothing_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    for payment in ["pay-declined-1", "tok_declined"] {
        let body = json!({"order_id": "o-1", "payment_id": payment, "amount": 5, "currency": "USD"});
        for _ in 0..2 {
            let answer = sandbox.call("charge_payment", payment, &body).unwrap();
            assert_eq!((answer.status, answer.json()["code"].as_str()), (402, Some("card_declined")));
        }
    }
    let nowhere = json!({"order_id": "o-1", "shipment_id": "s", "address": {"city": "Nowhere"}});
    assert_eq!(sandbox.call("dispatch_carrier", "d-1", &nowhere).unwrap().status, 422);
    let totals = sandbox.get("/ledger/totals").json();
    assert_eq!((&totals["charges"], &totals["dispatches"], &totals["refusals"]), (&json!(0), &json!(0), &json!(3)));
}

#[test]
fn each_fault_is_what_it_says_and_the_next_attempt_finds_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    let cases = [
        ("error_before", Some(500), 0),
        ("error_after", Some(500), 1),
        ("lost_reply", None, 1),
        ("garbage", Some(200), 1),
        ("rate_limited", Some(429), 0),
    ];
    for (kind, status, done) in cases {
        ask_for(&sandbox, "dispatch_carrier", kind, 1);
        let answer = sandbox.call("dispatch_carrier", kind, &dispatch(kind));
        assert_eq!(answer.as_ref().ok().map(|a| a.status), status, "{kind}");
        let ledger = sandbox.get(&format!("/ledger?order_id={kind}")).json();
        assert_eq!(ledger["dispatches"].as_array().unwrap().len(), done, "{kind}");
        match (kind, answer) {
            ("garbage", Ok(answer)) => assert!(serde_json::from_slice::<Value>(&answer.body).is_err()),
            ("rate_limited", Ok(answer)) => assert_eq!(answer.header("retry-after"), Some("1")),
            _ => {}
        }
        let again = sandbox.call("dispatch_carrier", kind, &dispatch(kind)).unwrap();
        assert_eq!((again.status, again.header("idempotent-replayed").is_some()), (200, done == 1), "{kind}");
    }
    let totals = sandbox.get("/ledger/totals").json();
    assert_eq!((&totals["dispatches"], &totals["faults"]), (&json!(5), &json!(5)));
    assert_eq!(totals["double_dispatches"], 0);
}

#[test]
fn a_hang_says_nothing_and_does_not_hold_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    ask_for(&sandbox, "charge_payment", "hang", 1);
    let address = sandbox.address;
    let hung = thread::spawn(move || {
        client::request(address, "POST", "/charge_payment", &[("idempotency-key", "k-1")], Some(&charge("o-1")))
    });
    thread::sleep(Duration::from_millis(200));
    assert_eq!(sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap().status, 200);
    assert!(!hung.is_finished());
    // The end of the server does not wait for it.
    assert!(sandbox.sigterm().success());
    assert!(hung.join().unwrap().is_err());
}

#[test]
fn faults_are_set_at_run_time_and_follow_from_their_seed() {
    let folder = tempfile::tempdir().unwrap();
    let outcomes = |seed: u64| -> Vec<Option<u16>> {
        let sandbox = Sandbox::start(folder.path(), &[]);
        let set = sandbox.send("PUT", "/faults", &json!({"mode": "rough", "seed": seed}));
        assert_eq!((set.status, &set.json()["mode"]), (200, &json!("rough")));
        let sandbox = &sandbox;
        let call = move |n: u32| sandbox.call("charge_payment", &format!("k-{n}"), &charge(&format!("o-{n}")));
        // All at once, since some are slow; what hangs is closed by the end of the sandbox.
        thread::scope(|scope| {
            let calls: Vec<_> = (0..40).map(|n| scope.spawn(move || call(n).ok().map(|a| a.status))).collect();
            thread::sleep(Duration::from_secs(3));
            let outcomes = calls.into_iter().map(|call| call.is_finished().then(|| call.join().unwrap()).flatten());
            let outcomes: Vec<Option<u16>> = outcomes.collect();
            let told = std::process::Command::new("kill").args(["-KILL", &sandbox.pid().to_string()]).status();
            assert!(told.unwrap().success());
            outcomes
        })
    };
    let first = outcomes(3);
    assert_eq!(first, outcomes(3));
    assert!(first.iter().filter(|o| **o != Some(200)).count() > 5, "{first:?}");
}

#[test]
fn a_ledger_with_a_file_outlives_kill_9_and_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.jsonl");
    let args = ["--ledger", file.to_str().unwrap()];
    let sandbox = Sandbox::start(folder.path(), &args);
    let first = sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap().json();
    sandbox.call("dispatch_carrier", "d-1", &dispatch("o-1")).unwrap();
    let before = sandbox.get("/ledger").json();
    sandbox.kill9();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, [whole.as_slice(), br#"{"kind":"charge_pay"#].concat()).unwrap();

    let sandbox = Sandbox::start(folder.path(), &args);
    for list in ["charges", "dispatches"] {
        assert_eq!(sandbox.get("/ledger").json()[list], before[list]);
    }
    assert_eq!(sandbox.call("charge_payment", "k-1", &charge("o-1")).unwrap().json(), first);
    assert_eq!(sandbox.call("charge_payment", "k-1", &charge("o-9")).unwrap().status, 422);
    // Another key for the same order: this is what the ledger is there to show.
    sandbox.call("charge_payment", "k-2", &charge("o-1")).unwrap();
    let totals = sandbox.get("/ledger/totals?order_id=o-1").json();
    assert_eq!((&totals["charges"], &totals["double_charges"]), (&json!(2), &json!(1)));
    assert!(sandbox.sigterm().success());

    std::fs::write(&file, [b"odd\n".as_slice(), &whole].concat()).unwrap();
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(["sandbox", "--bind", "127.0.0.1:0", "--ledger", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("line 1"));
}

#[test]
fn bad_requests_are_problems_that_name_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    let bad = json!({"order_id": 1, "amount": "-1", "currency": "usd"});
    let answer = sandbox.call("charge_payment", "k", &bad).unwrap();
    assert_eq!(answer.status, 422);
    let pointers: Vec<Value> =
        answer.json()["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(json!(pointers), json!(["/order_id", "/payment_id", "/amount", "/currency"]));
    let large = json!({"order_id": "o", "address": "x".repeat(70_000)});
    let cases = [
        (sandbox.send("POST", "/charge_payment", &charge("o")), 400, "idempotency_key_missing"),
        (sandbox.call("dispatch_carrier", "k", &large).unwrap(), 413, "body_too_large"),
        (sandbox.get("/charge_payment"), 405, "method_not_allowed"),
        (sandbox.get("/nowhere"), 404, "not_found"),
        (sandbox.send("PUT", "/faults", &json!({"mode": "odd"})), 422, "invalid_request"),
        (sandbox.send("POST", "/faults/next", &json!({"activity": "dance", "kind": "slow"})), 422, "invalid_request"),
        (sandbox.get("/ledger?odd=1"), 422, "invalid_request"),
    ];
    for (answer, status, code) in cases {
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(sandbox.get("/ledger").json()["totals"]["charges"], 0);
}
