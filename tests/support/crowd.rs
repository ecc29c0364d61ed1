//! Many clients that start orders, approve, cancel and send them elsewhere, and ask again until they are answered; and
//! what they were promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::faults::Dice;
use super::judge::{Outcome, judge};
use super::line::Line;
use super::moments::{Ask, Moment, Trap};
use super::server::Server;
use super::world::World;

const CLIENTS: u64 = 3;

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How an order goes that nobody cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Good,
    CardDeclined,
    CarrierRefuses,
}

/// What a client knows of an order that was acknowledged.
#[derive(Debug)]
pub struct Promise {
    pub order: String,
    pub fate: Fate,
    /// Whether a cancel was taken; `None`: there was none.
    pub cancelled: Option<bool>,
    /// The last one that was acknowledged.
    pub address: String,
}

impl Promise {
    /// Of an order that nobody does anything about.
    pub fn good(order: String, address: &str) -> Self {
        Self { order, fate: Fate::Good, cancelled: None, address: address.to_owned() }
    }
}

/// A client that starts orders one after another, and asks again until it has an answer, as clients do.
struct Client {
    number: u64,
    line: Line,
    dice: Dice,
    stop: Arc<AtomicBool>,
    trap: Trap,
}

impl Client {
    fn run(mut self) -> Vec<Promise> {
        let mut known = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let order = format!("o-{}-{}", self.number, known.len());
            let promise = self.live(order);
            known.push(promise);
            self.rest(20);
        }
        known
    }

    fn rest(&mut self, ms_max: u64) {
        thread::sleep(Duration::from_millis(self.dice.below(ms_max)));
    }

    /// One order, and all that is asked for it.
    fn live(&mut self, order: String) -> Promise {
        let mut promise = Promise::good(order, "1 Main Street");
        let mut body = json!({"amount": "49.90", "review_seconds": 0.02, "deadline_seconds": 0});
        let plan = self.dice.below(100);
        match plan {
            0..5 => {
                promise.fate = Fate::CardDeclined;
                body["payment_id"] = format!("pay-declined-{}", promise.order).into();
            }
            5..10 => {
                promise.fate = Fate::CarrierRefuses;
                promise.address = "Nowhere".into();
            }
            // Approved by hand.
            10..40 => body["review"] = "manual".into(),
            _ => {}
        }
        body["address"] = promise.address.as_str().into();
        self.ask(Ask::Start, &promise.order, &body);
        match plan {
            10..20 => self.approve(&promise.order),
            20..40 => {
                self.send_elsewhere(&mut promise);
                self.approve(&promise.order);
                self.send_elsewhere(&mut promise);
            }
            40..55 => {
                self.rest(150);
                let answer = self.ask(Ask::Cancel, &promise.order, &json!({"reason": "no"}));
                promise.cancelled = Some(answer != 409);
            }
            _ => {}
        }
        promise
    }

    fn approve(&mut self, order: &str) {
        self.rest(40);
        self.ask(Ask::Approve, order, &json!({}));
    }

    /// Up to two other addresses, until it is too late.
    fn send_elsewhere(&mut self, promise: &mut Promise) {
        for _ in 0..self.dice.below(3) {
            self.rest(60);
            let address = format!("{} Side Street", self.dice.below(1_000));
            if self.ask(Ask::UpdateAddress, &promise.order, &json!({ "address": address })) != 409 {
                promise.address = address;
            }
        }
    }

    /// Sends the same again until it is answered, half the time under a key.
    fn ask(&mut self, ask: Ask, order: &str, body: &Value) -> u16 {
        let (path, may_be_late) = match ask {
            Ask::Start => ("start", false),
            Ask::Approve => ("signals/approve", false),
            Ask::Cancel => ("signals/cancel", true),
            Ask::UpdateAddress => ("signals/update-address", true),
        };
        let path = format!("/orders/{order}/{path}");
        let key = format!("{order}-{}", self.dice.below(u64::MAX));
        let keyed = [("idempotency-key", key.as_str())];
        let headers = if self.dice.below(2) == 0 { &keyed[..] } else { &[] };
        loop {
            match self.line.post_with(&path, Some(body), headers) {
                Ok(response) if matches!(response.status, 200 | 202) => {
                    self.trap.tell(Moment::Acknowledged(ask));
                    return response.status;
                }
                Ok(response) if response.status == 409 && may_be_late => return 409,
                Ok(response) if response.status == 503 => {}
                Ok(response) => panic!("{path}: {} {}", response.status, response.text()),
                Err(_) => {}
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Clients at work.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Promise>>>,
}

impl Crowd {
    pub fn start(line: &Line, seed: u64) -> Self {
        Self::watched(line, seed, &Trap::default())
    }

    /// The same, telling what they are answered.
    pub fn watched(line: &Line, seed: u64, trap: &Trap) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |number| {
            let dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number << 32));
            let (line, stop, trap) = (line.clone(), Arc::clone(&stop), trap.clone());
            thread::spawn(move || Client { number, line, dice, stop, trap }.run())
        };
        let clients = (0..CLIENTS).map(start).collect();
        Self { stop, clients }
    }

    /// Ends their work and the world's faults, waits for all orders, and checks everything they were promised.
    ///
    /// # Panics
    /// If a promise was broken.
    pub fn judge(self, server: &Server, world: &World) -> Outcome {
        self.judge_with(Vec::new(), server, world)
    }

    /// The same with what others were promised.
    ///
    /// # Panics
    /// If a promise was broken.
    pub fn judge_with(self, others: Vec<Promise>, server: &Server, world: &World) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let promises = self.clients.into_iter().flat_map(|client| client.join().unwrap()).chain(others).collect();
        judge(promises, server, world)
    }
}
