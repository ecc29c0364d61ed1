//! The state of an order, and the changes several facts share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::start::OrderStart;
use crate::model::{Address, ErrorInfo, PaymentStatus, Timestamp, WorkflowId};
use crate::workflows::shipping::ShipmentOutcome;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub stage: Stage,
    /// The content it was started with; its address moves to [`Order::address`].
    pub start: Arc<OrderStart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    pub payment: Payment,
    #[serde(default)]
    pub review: Review,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Shipping>,
    /// What it is on the way back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Receiving,
    Validating,
    Validated,
    InReview,
    Charging,
    Shipping,
    Compensating,
    Completed,
    Cancelled,
    Failed,
    TimedOut,
}

/// The step an order is at, as the status document names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    ReceiveOrder,
    ValidateOrder,
    ManualReview,
    ChargePayment,
    Ship,
    Compensate,
    Done,
}

/// An end other than `completed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Cancelled,
    Failed,
    TimedOut,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub outcome: Outcome,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub status: PaymentStatus,
    /// A charge was asked for whose outcome is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// A charge was under way when the way back began; its answer is awaited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// Counts charges: an operator's retry after a refusal or a refund asks under a new key.
    pub charge: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_ref: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Review {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shipping {
    pub shipment_id: WorkflowId,
    /// The number of the shipment, and of the last one before an operator's retry.
    pub round: u32,
    #[serde(default)]
    pub round_before: u32,
    pub state: ShippingState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_ref: Option<String>,
    /// Attempts of shipments that have ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ErrorInfo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShippingState {
    Preparing,
    Dispatching,
    Dispatched,
    Failed,
}

impl Shipping {
    /// Whether the child of this round has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ShippingState::Preparing | ShippingState::Dispatching)
    }

    pub(super) fn ended(&mut self, state: ShippingState, outcome: &ShipmentOutcome) {
        self.state = state;
        self.carrier_ref.clone_from(&outcome.carrier_ref);
        for (name, n) in &outcome.attempts {
            *self.attempts.entry(name.clone()).or_default() += n;
        }
        if outcome.last_error.is_some() {
            self.last_error.clone_from(&outcome.last_error);
        }
    }
}

impl Order {
    /// Whether anything stands that must be found out or taken back before it may end badly.
    pub fn is_open(&self) -> bool {
        self.payment.status == PaymentStatus::Charged
            || self.payment.in_doubt
            || self.payment.asked
            || self.shipping.as_ref().is_some_and(Shipping::is_open)
    }

    pub fn step(&self) -> Step {
        match self.stage {
            Stage::Receiving => Step::ReceiveOrder,
            Stage::Validating => Step::ValidateOrder,
            Stage::Validated | Stage::InReview => Step::ManualReview,
            Stage::Charging => Step::ChargePayment,
            Stage::Shipping => Step::Ship,
            Stage::Compensating => Step::Compensate,
            Stage::Completed | Stage::Cancelled | Stage::Failed | Stage::TimedOut => Step::Done,
        }
    }

    /// It is known now whether the money was taken.
    pub(super) fn payment_known(&mut self, status: PaymentStatus) {
        self.payment.status = status;
        self.payment.in_doubt = false;
        self.payment.asked = false;
    }

    pub(super) fn approve(&mut self, at: Timestamp) {
        self.review.approved_at = Some(at);
        if self.stage == Stage::InReview {
            self.stage = Stage::Charging;
        }
    }

    pub(super) fn start_shipping(&mut self, shipment_id: &WorkflowId, round: u32, deadline_ms: Option<u64>) {
        let before = self.shipping.take();
        self.shipping = Some(Shipping {
            shipment_id: shipment_id.clone(),
            round,
            round_before: before.as_ref().map_or(0, |s| s.round_before),
            state: ShippingState::Preparing,
            deadline_ms,
            retry_at: None,
            carrier_ref: None,
            last_error: before.as_ref().and_then(|s| s.last_error.clone()),
            attempts: before.map(|s| s.attempts).unwrap_or_default(),
        });
    }

    pub(super) fn retried(&mut self, from: Step) {
        self.ending = None;
        self.stage = match from {
            Step::ReceiveOrder => Stage::Receiving,
            Step::ValidateOrder => Stage::Validating,
            _ => Stage::Charging,
        };
        if self.stage == Stage::Charging {
            self.payment.status = PaymentStatus::Pending;
            self.payment.charge += 1;
        }
        if let Some(shipping) = &mut self.shipping {
            shipping.round_before = shipping.round;
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome, reason: &str) {
        self.stage = match outcome {
            Outcome::Cancelled => Stage::Cancelled,
            Outcome::Failed => Stage::Failed,
            Outcome::TimedOut => Stage::TimedOut,
        };
        self.ending = Some(Ending { outcome, reason: reason.to_owned() });
    }
}
