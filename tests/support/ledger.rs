//! The outside world's books: what really happened, whatever anybody was told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Charge,
    Refund,
    Prepare,
    Dispatch,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Charge, Self::Refund, Self::Prepare, Self::Dispatch];

    pub fn path(self) -> &'static str {
        match self {
            Self::Charge => "/charge",
            Self::Refund => "/refund",
            Self::Prepare => "/prepare",
            Self::Dispatch => "/dispatch",
        }
    }

    fn reference(self) -> &'static str {
        match self {
            Self::Charge => "charge_ref",
            Self::Refund => "refund_ref",
            Self::Prepare => "package_ref",
            Self::Dispatch => "carrier_ref",
        }
    }
}

/// What happened for one order: distinct effects, and requests however often they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    pub charged: u32,
    pub refunded: u32,
    pub prepared: u32,
    pub dispatched: u32,
    pub requests: u32,
}

/// What was decided for a key; it stays so.
#[derive(Debug, Clone)]
struct Entry {
    kind: Kind,
    order: String,
    input: Value,
    status: u16,
    answer: Value,
}

#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: BTreeMap<String, Entry>,
    requests: BTreeMap<String, u32>,
    accounts: BTreeMap<String, Account>,
    /// What was charged last, by order.
    amounts: BTreeMap<String, Value>,
    /// Where it was sent last, by order.
    addresses: BTreeMap<String, Value>,
    /// What a strict gateway would call a fault of its client.
    pub violations: Vec<String>,
}

impl Ledger {
    /// Counts a request; its number (from 1) for this key.
    pub fn asked(&mut self, order: &str, key: &str) -> u32 {
        self.accounts.entry(order.to_owned()).or_default().requests += 1;
        let n = self.requests.entry(key.to_owned()).or_default();
        *n += 1;
        *n
    }

    /// Does it, once for a key; the same key has the same answer for ever, refusals too.
    pub fn apply(&mut self, kind: Kind, order: &str, key: &str, input: &Value) -> (u16, Value) {
        if let Some(entry) = self.entries.get(key) {
            if entry.kind != kind || entry.input != *input {
                self.violations.push(format!("{key}: the key was used for {:?} and for {input}", entry.input));
                return (400, json!({"error": "idempotency key reused for another request"}));
            }
            return (entry.status, entry.answer.clone());
        }
        let (status, answer) = self.decide(kind, order, input);
        let entry = Entry { kind, order: order.to_owned(), input: input.clone(), status, answer: answer.clone() };
        self.entries.insert(key.to_owned(), entry);
        (status, answer)
    }

    fn decide(&mut self, kind: Kind, order: &str, input: &Value) -> (u16, Value) {
        let declined = input["payment_id"].as_str().is_some_and(|id| id.starts_with("pay-declined"));
        let refused = input["address"].to_string().contains("Nowhere");
        if kind == Kind::Charge && declined {
            return (402, json!({"detail": "card declined"}));
        }
        if kind == Kind::Dispatch && refused {
            return (422, json!({"detail": "no carrier goes there"}));
        }
        let number = self.entries.len() + 1;
        let account = self.accounts.entry(order.to_owned()).or_default();
        let fault = match kind {
            Kind::Charge if account.charged > account.refunded => Some("charged twice"),
            Kind::Refund if account.charged <= account.refunded => Some("refunded without a charge"),
            Kind::Refund if account.dispatched > 0 => Some("refunded after its dispatch"),
            Kind::Refund if self.amounts.get(order) != Some(&input["amount"]) => Some("refunded another amount"),
            Kind::Dispatch if account.dispatched > 0 => Some("dispatched twice"),
            Kind::Dispatch if account.charged <= account.refunded => Some("dispatched unpaid"),
            _ => None,
        };
        self.violations.extend(fault.map(|what| format!("{order}: {what}")));
        // It is done all the same: the books show what came of it.
        match kind {
            Kind::Charge => {
                account.charged += 1;
                self.amounts.insert(order.to_owned(), input["amount"].clone());
            }
            Kind::Refund => account.refunded += 1,
            Kind::Prepare => account.prepared += 1,
            Kind::Dispatch => {
                account.dispatched += 1;
                self.addresses.insert(order.to_owned(), input["address"].clone());
            }
        }
        (200, json!({ kind.reference(): format!("{}-{number}", &kind.path()[1..]) }))
    }

    /// Notes a request no strict gateway takes.
    pub fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    /// What happened for an order.
    pub fn check(&self, order: &str) -> Account {
        self.accounts.get(order).copied().unwrap_or_default()
    }

    /// Where the parcel of an order went.
    pub fn sent_to(&self, order: &str) -> Option<&Value> {
        self.addresses.get(order)
    }

    /// How many calls there were, and how many of them under a key that had been used before.
    pub fn calls(&self) -> (u64, u64) {
        let all: u64 = self.requests.values().map(|n| u64::from(*n)).sum();
        (all, all - self.requests.len() as u64)
    }

    /// Orders that anything was asked for.
    pub fn orders(&self) -> BTreeSet<&str> {
        self.accounts.keys().map(String::as_str).collect()
    }

    /// The idempotency keys something was decided for, by order.
    pub fn keys(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, entry) in &self.entries {
            keys.entry(&entry.order).or_default().push(key);
        }
        keys
    }

    /// Orders that more than one charge stands for.
    pub fn double_charges(&self) -> Vec<&str> {
        self.accounts_where(|account| account.charged > account.refunded + 1)
    }

    pub fn double_dispatches(&self) -> Vec<&str> {
        self.accounts_where(|account| account.dispatched > 1)
    }

    fn accounts_where(&self, test: impl Fn(&Account) -> bool) -> Vec<&str> {
        self.accounts.iter().filter(|(_, account)| test(account)).map(|(order, _)| order.as_str()).collect()
    }

    /// Whether money and parcel agree with the end of an order.
    ///
    /// # Errors
    /// A sentence that names what does not.
    pub fn settled(&self, order: &str, state: &str) -> Result<(), String> {
        let account = self.check(order);
        let standing = i64::from(account.charged) - i64::from(account.refunded);
        let agrees = match state {
            "completed" => standing == 1 && account.dispatched == 1,
            "cancelled" | "failed" | "timed_out" => standing == 0 && account.dispatched == 0,
            _ => false,
        };
        if agrees { Ok(()) } else { Err(format!("{order} is {state}, and outside it is {account:?}")) }
    }
}
