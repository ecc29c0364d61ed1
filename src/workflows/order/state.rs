//! The state of an order, and how each fact changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::OrderEvent;
use super::start::{OrderStart, ReviewMode};
use super::{QUEUE, activity, decide, document, signal};
use crate::kernel::{
    ClockMode, Core, Document, Live, Machine, Message, Persistence, Recipient, Rejection, Stimulus, View, Wish,
    Workflow,
};
use crate::model::{Address, ErrorInfo, PaymentRow, PaymentStatus, Timestamp, WorkflowId};
use crate::workflows::shipping::{self, ShipmentOutcome, ShipmentStart};

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

    fn ended(&mut self, state: ShippingState, outcome: &ShipmentOutcome) {
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

    fn key(&self, activity: &str) -> String {
        format!("{}/{activity}/{}", self.start.order_id, self.payment.charge)
    }

    /// It is known now whether the money was taken.
    fn payment_known(&mut self, status: PaymentStatus) {
        self.payment.status = status;
        self.payment.in_doubt = false;
        self.payment.asked = false;
    }

    fn approve(&mut self, at: Timestamp) {
        self.review.approved_at = Some(at);
        if self.stage == Stage::InReview {
            self.stage = Stage::Charging;
        }
    }

    fn start_shipping(&mut self, shipment_id: &WorkflowId, round: u32, deadline_ms: Option<u64>) {
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

    fn retried(&mut self, from: Step) {
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
}

impl Workflow for Order {
    const KIND: &'static str = super::KIND;
    type Event = OrderEvent;

    fn start(id: &WorkflowId, input: &Value, _now: Timestamp) -> Result<OrderEvent, Rejection> {
        let start: OrderStart =
            serde_json::from_value(input.clone()).map_err(|e| Rejection::new("invalid_input", e.to_string()))?;
        if start.order_id.as_str() != id.as_str() {
            return Err(Rejection::new("invalid_input", "order_id differs from the workflow's id"));
        }
        Ok(OrderEvent::OrderReceived(Box::new(start)))
    }

    fn born(event: &OrderEvent, _at: Timestamp) -> Option<Self> {
        let OrderEvent::OrderReceived(start) = event else { return None };
        let mut start = start.as_ref().clone();
        let payment =
            Payment { status: PaymentStatus::Pending, in_doubt: false, asked: false, charge: 1, charge_ref: None };
        Some(Self {
            stage: Stage::Receiving,
            address: start.address.take(),
            start: Arc::new(start),
            payment,
            review: Review::default(),
            shipping: None,
            ending: None,
        })
    }

    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Result<Vec<OrderEvent>, Rejection> {
        decide::decide(self, stimulus, view)
    }

    fn advance(&self, view: &View<'_>) -> Option<OrderEvent> {
        decide::advance(self, view)
    }

    fn evolve(&mut self, event: &OrderEvent, at: Timestamp) {
        match event {
            OrderEvent::OrderReceived(_) | OrderEvent::CancelRequested { .. } => {}
            OrderEvent::OrderAccepted {} => self.stage = Stage::Validating,
            OrderEvent::OrderValidated {} => self.stage = Stage::Validated,
            OrderEvent::ReviewOpened { until, .. } => {
                self.stage = Stage::InReview;
                self.review.opened_at = Some(at);
                self.review.until = *until;
                if let Some(early) = self.review.approved_at {
                    self.approve(early);
                }
            }
            OrderEvent::ReviewApproved { .. } => self.approve(at),
            OrderEvent::AddressUpdated { address } => self.address = Some(address.clone()),
            OrderEvent::PaymentCharged { charge_ref } => {
                self.payment_known(PaymentStatus::Charged);
                self.payment.charge_ref.clone_from(charge_ref);
                if self.stage == Stage::Charging {
                    self.stage = Stage::Shipping;
                }
            }
            OrderEvent::PaymentOutcomeUnknown {} => {
                self.payment.status = PaymentStatus::Unknown;
                self.payment.in_doubt = true;
            }
            OrderEvent::PaymentFailed { .. } => self.payment_known(PaymentStatus::Failed),
            OrderEvent::ShippingStarted { shipment_id, round, deadline_ms } => {
                self.start_shipping(shipment_id, *round, *deadline_ms);
            }
            OrderEvent::DispatchStarted { .. } => {
                if let Some(shipping) = &mut self.shipping {
                    shipping.state = ShippingState::Dispatching;
                }
            }
            OrderEvent::DispatchFailed { retry_at, shipment, .. } => {
                if let Some(shipping) = &mut self.shipping {
                    shipping.ended(ShippingState::Failed, shipment);
                    shipping.retry_at = *retry_at;
                }
            }
            OrderEvent::ShipmentCancelled { shipment } => {
                if let Some(shipping) = &mut self.shipping {
                    shipping.ended(ShippingState::Failed, shipment);
                }
            }
            OrderEvent::CompensationStarted { outcome, reason, charge_asked } => {
                self.stage = Stage::Compensating;
                self.ending = Some(Ending { outcome: *outcome, reason: reason.clone() });
                self.payment.asked = *charge_asked;
                if let Some(shipping) = &mut self.shipping {
                    shipping.retry_at = None;
                }
            }
            OrderEvent::PaymentRefunded { .. } => self.payment.status = PaymentStatus::Refunded,
            OrderEvent::OrderRetried { from } => self.retried(*from),
            OrderEvent::OrderCompleted { shipment } => {
                self.stage = Stage::Completed;
                self.ending = None;
                if let Some(shipping) = &mut self.shipping {
                    shipping.ended(ShippingState::Dispatched, shipment);
                }
            }
            OrderEvent::OrderCancelled { reason } => self.end(Outcome::Cancelled, reason),
            OrderEvent::OrderFailed { reason } => self.end(Outcome::Failed, reason),
            OrderEvent::OrderTimedOut { reason } => self.end(Outcome::TimedOut, reason),
        }
    }

    fn wishes(&self) -> Vec<Wish> {
        let run = |name, persistence| Wish::Activity { name, queue: QUEUE, key: self.key(name), persistence };
        let child = |shipping: &Shipping| {
            shipping.is_open().then(|| Wish::Child { kind: shipping::KIND, id: shipping.shipment_id.clone() })
        };
        match self.stage {
            Stage::Receiving => vec![run(activity::RECEIVE, Persistence::Policy)],
            Stage::Validating => vec![run(activity::VALIDATE, Persistence::Policy)],
            Stage::Validated => Vec::new(),
            Stage::InReview => {
                let timer = self.review.until.map(|due| Wish::Timer { name: "review", due });
                timer.into_iter().chain([Wish::Signal { name: signal::APPROVE }]).collect()
            }
            Stage::Charging if self.payment.in_doubt => vec![run(activity::CHARGE, Persistence::UntilKnown)],
            Stage::Charging => vec![run(activity::CHARGE, Persistence::Policy)],
            Stage::Shipping => {
                let Some(shipping) = &self.shipping else { return Vec::new() };
                let timer = shipping.retry_at.map(|due| Wish::Timer { name: "shipping_retry", due });
                timer.into_iter().chain(child(shipping)).collect()
            }
            Stage::Compensating => {
                let mut wishes: Vec<Wish> = self.shipping.as_ref().and_then(child).into_iter().collect();
                if self.payment.in_doubt || self.payment.asked {
                    wishes.push(run(activity::CHARGE, Persistence::UntilKnown));
                } else if self.payment.status == PaymentStatus::Charged && wishes.is_empty() {
                    // The money goes back only once it is known that the parcel did not go.
                    wishes.push(run(activity::REFUND, Persistence::UntilDone));
                }
                wishes
            }
            Stage::Completed | Stage::Cancelled | Stage::Failed | Stage::TimedOut => Vec::new(),
        }
    }

    fn activity_input(&self, name: &str) -> Value {
        let start = &self.start;
        match name {
            activity::VALIDATE => json!({
                "order_id": start.order_id,
                "amount": start.money.amount.to_string(),
                "currency": start.money.currency,
                "items": start.items,
                "address": self.address,
            }),
            activity::CHARGE | activity::REFUND => json!({
                "order_id": start.order_id,
                "payment_id": start.payment_id,
                "amount": start.money.amount.to_string(),
                "currency": start.money.currency,
                "charge_ref": self.payment.charge_ref,
            }),
            _ => json!({ "order_id": start.order_id }),
        }
    }

    fn child_input(&self, child: &WorkflowId) -> Value {
        let shipping = self.shipping.as_ref().filter(|s| s.shipment_id == *child);
        json!(ShipmentStart {
            order_id: self.start.order_id.workflow(),
            round: shipping.map_or(1, |s| s.round),
            address: self.address.clone(),
            deadline_ms: shipping.and_then(|s| s.deadline_ms),
        })
    }

    fn messages(&self, event: &OrderEvent) -> Vec<Message> {
        let tell =
            |id: &WorkflowId, signal, payload| vec![Message { to: Recipient::Child(id.clone()), signal, payload }];
        match (event, &self.shipping) {
            (OrderEvent::DispatchStarted { shipment_id, address }, _) => {
                tell(shipment_id, shipping::signal::GO, json!({ "address": address }))
            }
            (OrderEvent::CompensationStarted { .. }, Some(shipping)) if shipping.is_open() => {
                tell(&shipping.shipment_id, shipping::signal::CANCEL, Value::Null)
            }
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self.stage {
            Stage::Receiving | Stage::Validating => "received",
            Stage::Validated => "validated",
            Stage::InReview => "in_review",
            Stage::Charging => "charging",
            Stage::Shipping => "shipping",
            Stage::Compensating => "compensating",
            Stage::Completed => "completed",
            Stage::Cancelled => "cancelled",
            Stage::Failed => "failed",
            Stage::TimedOut => "timed_out",
        }
    }

    fn is_terminal(&self) -> bool {
        self.step() == Step::Done
    }

    fn is_retriable(&self) -> bool {
        self.stage == Stage::Failed
    }

    fn deadline_ms(&self) -> Option<u64> {
        self.start.deadline_ms
    }

    fn clock_mode(&self) -> ClockMode {
        match self.stage {
            Stage::InReview if self.start.review.mode == ReviewMode::Manual => ClockMode::Still,
            Stage::Compensating => ClockMode::Over,
            _ if self.is_terminal() => ClockMode::Over,
            _ => ClockMode::Running,
        }
    }

    fn shift_timers(&mut self, ms: u64) {
        let timers = [Some(&mut self.review.until), self.shipping.as_mut().map(|s| &mut s.retry_at)];
        for timer in timers.into_iter().flatten() {
            *timer = timer.map(|due| due.plus_ms(ms));
        }
    }

    fn payment(&self) -> Option<PaymentRow> {
        let (payment_id, money) = (self.start.payment_id.clone(), self.start.money);
        Some(PaymentRow { payment_id, status: self.payment.status, money })
    }

    fn document(&self, core: &Core, children: &[&dyn Machine], live: Option<&Live>) -> serde_json::Result<Document> {
        document::document(self, core, children, live)
    }

    fn frees_when_stuck(&self, name: &str) -> bool {
        name == signal::CANCEL
    }
}

impl Order {
    fn end(&mut self, outcome: Outcome, reason: &str) {
        self.stage = match outcome {
            Outcome::Cancelled => Stage::Cancelled,
            Outcome::Failed => Stage::Failed,
            Outcome::TimedOut => Stage::TimedOut,
        };
        self.ending = Some(Ending { outcome, reason: reason.to_owned() });
    }
}
