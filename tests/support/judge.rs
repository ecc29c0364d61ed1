//! The judgement after a bad day: what clients were promised, against what the server and the world outside say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use super::crowd::{Fate, Promise};
use super::faults::Faults;
use super::ledger::Ledger;
use super::server::Server;
use super::world::World;

/// All orders end so long after the last fault.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What a judgement counted; nothing was wrong.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    pub orders: u64,
    /// By state.
    pub ends: BTreeMap<String, u64>,
    /// Cancels that were taken, and that were too late.
    pub cancels: (u64, u64),
    /// Orders that were sent elsewhere.
    pub moved: u64,
    pub calls: u64,
    /// Calls under a key that had been used before.
    pub repeated: u64,
}

/// Waits for the end of all orders in a world that is kind again.
///
/// # Panics
/// If a promise was broken.
pub fn judge(promises: Vec<Promise>, server: &Server, world: &World) -> Outcome {
    world.set_faults(Faults::none());
    let ends = ends(server, &promises);
    let ledger = world.ledger();
    assert_eq!(ledger.violations, Vec::<String>::new());
    assert_eq!((ledger.double_charges(), ledger.double_dispatches()), (vec![], vec![]));
    let orders: BTreeSet<&str> = promises.iter().map(|p| p.order.as_str()).collect();
    assert!(ledger.orders().is_subset(&orders), "the world was asked for orders nobody started");
    let (calls, repeated) = ledger.calls();
    let mut outcome = Outcome { orders: orders.len() as u64, calls, repeated, ..Outcome::default() };
    for (promise, state) in promises.iter().zip(ends) {
        is_kept(promise, &state, &ledger);
        match promise.cancelled {
            Some(true) => outcome.cancels.0 += 1,
            Some(false) => outcome.cancels.1 += 1,
            None => {}
        }
        outcome.moved += u64::from(promise.address.ends_with("Side Street"));
        *outcome.ends.entry(state).or_default() += 1;
    }
    histories_are_whole(server, &orders, &ledger);
    let verified = server.verify();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    outcome
}

/// Its end is the one that was promised, the money and the parcel agree with it, and the parcel went where it should.
fn is_kept(promise: &Promise, state: &str, ledger: &Ledger) {
    let expected = match (promise.cancelled, promise.fate) {
        (Some(true), _) => "cancelled",
        (_, Fate::Good) => "completed",
        (_, Fate::CardDeclined | Fate::CarrierRefuses) => "failed",
    };
    assert_eq!(state, expected, "{promise:?}");
    ledger.settled(&promise.order, state).unwrap();
    let sent_to = ledger.sent_to(&promise.order);
    assert!(sent_to.is_none_or(|address| *address == promise.address), "{promise:?} was sent to {sent_to:?}");
}

/// Waits until all have ended; their states.
fn ends(server: &Server, promises: &[Promise]) -> Vec<String> {
    let until = Instant::now() + ENDS_WITHIN;
    let end = |Promise { order, .. }: &Promise| loop {
        let status = server.get(&format!("/orders/{order}/status?wait=5&until=terminal"));
        assert_eq!(status.status, 200, "{order} was acknowledged: {}", status.text());
        let status = status.json();
        if status["terminal"] == true {
            return status["state"].as_str().unwrap().to_owned();
        }
        assert!(status["live"]["waiting_for"].as_array().is_some_and(|list| !list.is_empty()), "{status}");
        assert!(Instant::now() < until, "{order} does not end: {status}");
    };
    promises.iter().map(end).collect()
}

/// Every history is without a gap, and whatever happened outside was intended on disk before.
fn histories_are_whole(server: &Server, orders: &BTreeSet<&str>, ledger: &Ledger) {
    let keys = ledger.keys();
    for order in orders {
        let mut paths = vec![format!("/orders/{order}")];
        let mut intended = BTreeSet::new();
        while let Some(path) = paths.pop() {
            let events = server.history_by(&path, 100);
            for (index, event) in events.iter().enumerate() {
                assert_eq!(event["seq"], index as u64 + 1, "{path}");
                let data = &event["data"];
                match event["type"].as_str().unwrap() {
                    "ActivityScheduled" => {
                        intended.insert(data["idempotency_key"].as_str().unwrap().to_owned());
                    }
                    "ShippingStarted" => paths.push(format!("/workflows/{}", data["shipment_id"].as_str().unwrap())),
                    _ => {}
                }
            }
            let seq = server.get(&format!("{path}/history?after={}", events.len())).json();
            assert_eq!(seq["events"], json!([]), "{path}");
        }
        let unintended: Vec<_> =
            keys.get(order).into_iter().flatten().filter(|key| !intended.contains(**key)).collect();
        assert!(unintended.is_empty(), "{order}: done outside without an intent on disk: {unintended:?}");
    }
}
