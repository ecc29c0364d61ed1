//! Makes units as the engine does: with the real kernel and the real workflows.
#![allow(dead_code)] // Each test uses a part of it.

use std::cell::Cell;

use ordain::kernel::{Commit, Cx, Family, IdSource, Input, Policies, Registry, Stepped};
use ordain::model::{Key, OrderId, RunId, Timestamp, WorkflowId};
use ordain::store::{Store, Unit};
use ordain::workflows;
use serde_json::{Value, json};

/// Gives keys from a start, and run ids that tell them apart.
struct Ids(Cell<i64>);

impl IdSource for Ids {
    fn key(&self) -> Key {
        self.0.set(self.0.get() + 1);
        Key(self.0.get() - 1)
    }

    fn run_id(&self) -> RunId {
        RunId(uuid::Uuid::from_u128(self.0.get() as u128))
    }
}

pub struct Maker {
    ids: Ids,
    pub registry: Registry,
    policies: Policies,
    now: Cell<i64>,
}

impl Maker {
    pub fn new(next: Key) -> Self {
        let (registry, policies) = (workflows::registry(), Policies::default());
        Self { ids: Ids(Cell::new(next.0)), registry, policies, now: Cell::new(1_000_000) }
    }

    /// The key the next instance gets.
    pub fn next_key(&self) -> Key {
        Key(self.ids.0.get())
    }

    pub fn cx(&self) -> Cx<'_> {
        self.now.set(self.now.get() + 1);
        Cx { now: Timestamp(self.now.get()), policies: &self.policies, registry: &self.registry, ids: &self.ids }
    }

    pub fn start(&self, order: &str, payment: &str) -> (Family, Unit) {
        let input = json!({
            "order_id": order, "payment_id": payment, "amount": "49.90", "currency": "USD", "address": "1 Main",
            "review": {"mode": "auto", "auto_ms": 0}, "deadline_ms": 60_000, "fingerprint": "f",
            "metadata": {"shop": "a\"b.c", "vip": true},
        });
        let (family, commit) = Family::start("order", id(order), &input, &self.cx()).unwrap();
        (family, unit(commit))
    }

    pub fn step(&self, family: &Family, to: &WorkflowId, input: &Input) -> (Family, Unit) {
        match family.step(to, input, &self.cx()).unwrap() {
            Stepped::Changed { next, commit } => (next, unit(commit)),
            Stepped::Unchanged => panic!("{input:?} changed nothing"),
        }
    }

    /// The next result that is waited for arrives.
    pub fn advance(&self, family: &Family) -> (Family, Unit) {
        let call = family.outstanding().remove(0);
        let done = Input::ActivityCompleted { activity: call.activity, attempt: call.attempt, result: Value::Null };
        self.step(family, &call.workflow_id, &done)
    }
}

pub fn id(order: &str) -> WorkflowId {
    OrderId::parse(order).unwrap().workflow()
}

pub fn unit(commit: Commit) -> Unit {
    Unit { transitions: commit.transitions, ..Unit::default() }
}

/// The first transition of an order, as the engine would store it.
pub fn start_of(order: &str, payment: &str, store: &Store) -> Unit {
    Maker::new(store.next_key).start(order, payment).1
}
