//! Orders that go on batch by batch, made by the real kernel and the real workflows; and what a store must know of them.

use std::collections::BTreeMap;

use ordain::kernel::{Commit, Family, Input, Stepped};
use ordain::model::Key;
use ordain::store::Unit;
use serde_json::{Value, json};

use super::maker::{self, Maker};
use super::support::faults::Dice;

/// The number of the last fact of each instance.
pub type Known = BTreeMap<Key, u64>;

pub struct Orders {
    maker: Maker,
    open: Vec<Family>,
    pub known: Known,
}

impl Orders {
    pub fn new(next: Key) -> Self {
        Self { maker: Maker::new(next), open: Vec::new(), known: Known::new() }
    }

    /// What one commit carries: new orders, and steps of others.
    pub fn batch(&mut self, dice: &mut Dice) -> Vec<Unit> {
        let mut units: Vec<Unit> = (0..=dice.below(3)).map(|_| self.start()).collect();
        for mut family in std::mem::take(&mut self.open).into_iter().rev() {
            if dice.below(2) == 0
                && let Some(unit) = self.advance(&mut family)
            {
                units.push(unit);
            }
            if !family.root().machine.is_terminal() {
                self.open.push(family);
            }
        }
        units
    }

    fn start(&mut self) -> Unit {
        let name = format!("o-{}", self.maker.next_key().0);
        let input = json!({
            "order_id": name, "payment_id": format!("pay-{name}"), "amount": "49.90", "currency": "USD",
            "address": "1 Main".repeat(50), "review": {"mode": "auto", "auto_ms": 0}, "fingerprint": "f",
        });
        let (family, commit) = Family::start("order", maker::id(&name), &input, &self.maker.cx()).unwrap();
        self.open.push(family);
        self.unit(commit)
    }

    /// What is waited for arrives; `None` where that changes nothing yet.
    fn advance(&mut self, family: &mut Family) -> Option<Unit> {
        let (to, input) = match family.outstanding().into_iter().next() {
            Some(call) => {
                let done =
                    Input::ActivityCompleted { activity: call.activity, attempt: call.attempt, result: Value::Null };
                (call.workflow_id, done)
            }
            None => (family.root().machine.core().id.clone(), Input::Tick),
        };
        let Stepped::Changed { next, commit } = family.step(&to, &input, &self.maker.cx()).unwrap() else {
            return None;
        };
        *family = next;
        Some(self.unit(commit))
    }

    fn unit(&mut self, commit: Commit) -> Unit {
        for transition in &commit.transitions {
            self.known.insert(transition.key, transition.seq);
        }
        maker::unit(commit)
    }
}
