//! The status document as the console reads it: the same text any client gets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Address, Timestamp};
use crate::runtime::EngineError;
use crate::store::StoreError;

#[derive(Debug, Clone, Deserialize)]
pub struct Doc {
    pub order_id: String,
    pub run_id: String,
    pub state: String,
    pub terminal: bool,
    pub paused: bool,
    pub seq: u64,
    pub attempts: BTreeMap<String, u32>,
    pub last_error: Option<Failure>,
    pub recent_errors: Vec<Failure>,
    pub reason: Option<String>,
    pub stuck_reason: Option<String>,
    pub payment: Payment,
    pub shipping: Option<Shipping>,
    pub address: Option<Address>,
    pub items: Vec<Item>,
    pub metadata: BTreeMap<String, Value>,
    pub review: Review,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deadline_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub live: Live,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    pub kind: String,
    pub message: String,
    pub activity: String,
    pub attempt: u32,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Payment {
    pub payment_id: String,
    pub status: String,
    pub amount: String,
    pub currency: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Shipping {
    pub shipment_id: String,
    pub state: String,
    pub attempt: u32,
    pub carrier_ref: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    pub sku: String,
    pub quantity: i64,
    pub unit_price: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Review {
    pub mode: String,
    pub opened_at: Option<Timestamp>,
    pub approved_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Live {
    pub actor: String,
    pub mailbox: u64,
    pub restarts: u32,
    pub waiting_for: Vec<Waiting>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Waiting {
    pub kind: String,
    pub name: String,
    pub attempt: Option<u32>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub last_error: Option<Failure>,
}

impl Doc {
    /// Reads a document the engine wrote.
    ///
    /// # Errors
    /// Where it is not one of an order.
    pub fn read(json: &str) -> Result<Self, EngineError> {
        serde_json::from_str(json).map_err(|e| {
            EngineError::Store(StoreError::Corrupt(format!("a status document cannot be read by the console: {e}")))
        })
    }

    /// `49.90 USD`
    pub fn money(&self) -> String {
        format!("{} {}", self.payment.amount, self.payment.currency)
    }

    /// Whether a person must end its review.
    pub fn waits_for_person(&self) -> bool {
        self.state == "in_review" && self.review.mode == "manual"
    }

    /// Whether its address may still change and it may still be cancelled.
    pub fn is_open(&self) -> bool {
        let gone = self.shipping.as_ref().is_some_and(|s| s.state == "dispatching" || s.state == "dispatched");
        !self.terminal && self.state != "compensating" && !gone
    }
}

/// An address in one line.
pub fn line(address: &Address) -> String {
    match address {
        Address::Line(line) => line.clone(),
        Address::Fields(fields) => {
            // In the order in which the contract lists them, which is that of an envelope.
            let known = Address::FIELDS.iter().filter(|name| !matches!(**name, "phone" | "email" | "notes"));
            let parts: Vec<&str> = known.filter_map(|name| fields.get(*name)).map(String::as_str).collect();
            parts.join(", ")
        }
    }
}
