//! The content of an order, complete: defaults are already in.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Address, Money, OrderId, PaymentId, Trace};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderStart {
    pub order_id: OrderId,
    pub payment_id: PaymentId,
    #[serde(flatten)]
    pub money: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    pub review: ReviewPlan,
    /// Running time the whole order has, in ms; `None`: no deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
    /// The trace the start came with. It is not of the content: the fingerprint does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// A hash of the request as it was sent, to tell a repetition from another order of the same id.
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub sku: String,
    pub quantity: i64,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rust_decimal::serde::str_option")]
    pub unit_price: Option<Decimal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewMode {
    /// A timer ends the review.
    Auto,
    /// A person ends it.
    Manual,
}

impl ReviewMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewPlan {
    pub mode: ReviewMode,
    /// How long an automatic review lasts, in ms.
    pub auto_ms: u64,
    /// After how many ms an unanswered manual review ends the order; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

impl OrderStart {
    /// The business rules an order must keep; `validate_order` applies them.
    ///
    /// # Errors
    /// A sentence for people that names what is wrong.
    pub fn check_rules(money: &Money, items: &[Item], address: Option<&Address>) -> Result<(), String> {
        if money.amount.is_sign_negative() && !money.amount.is_zero() {
            return Err(format!("amount must not be negative, is {}", money.amount));
        }
        for (index, item) in items.iter().enumerate() {
            if item.quantity < 1 {
                return Err(format!("items[{index}].quantity must be at least 1, is {}", item.quantity));
            }
            if item.unit_price.is_some_and(|price| price.is_sign_negative() && !price.is_zero()) {
                return Err(format!("items[{index}].unit_price must not be negative"));
            }
        }
        address.map_or(Ok(()), Address::check_rules)
    }
}
