//! Many clients that start and cancel orders and ask again until they are answered, and the judgement afterwards: what
//! they were promised against what the server and the world outside say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use super::faults::{Dice, Faults};
use super::ledger::Ledger;
use super::server::{Line, Server};
use super::world::World;

const CLIENTS: u64 = 3;
/// How many of a hundred orders get a cancel at some moment of their lives.
const CANCEL_PERCENT: u64 = 15;

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A client that starts orders one after another, and asks again until it has an answer, as clients do.
struct Client {
    number: u64,
    line: Line,
    dice: Dice,
    stop: Arc<AtomicBool>,
}

/// What a client knows: every order here was acknowledged.
#[derive(Default)]
struct Known {
    orders: BTreeSet<String>,
    cancels: BTreeSet<String>,
}

impl Client {
    fn run(mut self) -> Known {
        let mut known = Known::default();
        let mut n = 0;
        while !self.stop.load(Ordering::Relaxed) {
            n += 1;
            let wanted_cancel = self.dice.below(100) < CANCEL_PERCENT;
            let order = format!("{}-{}-{n}", if wanted_cancel { "cancel" } else { "o" }, self.number);
            self.start(&order);
            if wanted_cancel {
                thread::sleep(Duration::from_millis(self.dice.below(150)));
                self.cancel(&order);
                known.cancels.insert(order.clone());
            }
            known.orders.insert(order);
            thread::sleep(Duration::from_millis(self.dice.below(20)));
        }
        known
    }

    /// Sends the same again until it is answered.
    fn until_answered(&self, path: &str, body: &serde_json::Value, fine: &[u16]) -> u16 {
        loop {
            match self.line.post(path, Some(body)) {
                Ok(response) if fine.contains(&response.status) => return response.status,
                Ok(response) if response.status == 503 => {}
                Ok(response) => panic!("{path}: {} {}", response.status, response.text()),
                Err(_) => {}
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn start(&self, order: &str) {
        let body =
            json!({"amount": "49.90", "address": "1 Main Street", "review_seconds": 0.02, "deadline_seconds": 0});
        self.until_answered(&format!("/orders/{order}/start"), &body, &[200, 202]);
    }

    fn cancel(&self, order: &str) {
        self.until_answered(&format!("/orders/{order}/signals/cancel"), &json!({"reason": "no"}), &[200, 202, 409]);
    }
}

/// Clients at work.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Known>>,
}

impl Crowd {
    pub fn start(line: &Line, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |number| {
            let dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
            let client = Client { number, line: line.clone(), dice, stop: Arc::clone(&stop) };
            thread::spawn(move || client.run())
        };
        let clients = (0..CLIENTS).map(start).collect();
        Self { stop, clients }
    }

    /// Ends their work and the world's faults, waits for all orders, and checks everything they were promised.
    ///
    /// # Panics
    /// If a promise was broken.
    pub fn judge(self, server: &Server, world: &World) {
        self.stop.store(true, Ordering::Relaxed);
        let known: Vec<Known> = self.clients.into_iter().map(|client| client.join().unwrap()).collect();
        world.set_faults(Faults::none());
        let orders: BTreeSet<&str> = known.iter().flat_map(|k| &k.orders).map(String::as_str).collect();
        let cancels: BTreeSet<&str> = known.iter().flat_map(|k| &k.cancels).map(String::as_str).collect();
        let states = ends(server, &orders);
        println!("{} orders; ends: {:?}", orders.len(), tally(&states));
        let ledger = world.ledger();
        assert_eq!(ledger.violations, Vec::<String>::new());
        assert_eq!((ledger.double_charges(), ledger.double_dispatches()), (vec![], vec![]));
        assert!(ledger.orders().is_subset(&orders), "the world was asked for orders nobody started");
        for (order, state) in &states {
            assert!(cancels.contains(order) || state == "completed", "{order} is {state}");
            ledger.settled(order, state).unwrap();
        }
        histories_are_whole(server, &orders, &ledger);
        let verified = server.verify();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// Waits until all have ended; their states.
fn ends<'a>(server: &Server, orders: &BTreeSet<&'a str>) -> BTreeMap<&'a str, String> {
    let until = Instant::now() + Duration::from_secs(60);
    let mut states = BTreeMap::new();
    for order in orders {
        let state = loop {
            let status = server.get(&format!("/orders/{order}/status?wait=5&until=terminal"));
            assert_eq!(status.status, 200, "{order} was acknowledged: {}", status.text());
            let status = status.json();
            if status["terminal"] == true {
                break status["state"].as_str().unwrap().to_owned();
            }
            assert!(status["live"]["waiting_for"].as_array().is_some_and(|list| !list.is_empty()), "{status}");
            assert!(Instant::now() < until, "{order} does not end: {status}");
        };
        states.insert(*order, state);
    }
    states
}

fn tally(states: &BTreeMap<&str, String>) -> BTreeMap<String, u32> {
    states.values().fold(BTreeMap::new(), |mut tally, state| {
        *tally.entry(state.clone()).or_default() += 1;
        tally
    })
}

/// Every history is without a gap, and whatever happened outside was intended on disk before.
fn histories_are_whole(server: &Server, orders: &BTreeSet<&str>, ledger: &Ledger) {
    let keys = ledger.keys();
    for order in orders {
        let mut paths = vec![format!("/orders/{order}")];
        let mut intended = BTreeSet::new();
        while let Some(path) = paths.pop() {
            let events = server.history(&path);
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
