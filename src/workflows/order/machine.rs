//! An order as the kernel sees it: how each fact changes it, and what it wishes for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::event::OrderEvent;
use super::start::{OrderStart, ReviewMode};
use super::state::{Ending, Order, Outcome, Payment, Review, Shipping, ShippingState, Stage, Step};
use super::{QUEUE, activity, decide, document, signal};
use crate::kernel::{
    ClockMode, Core, Document, Live, Machine, Message, Persistence, Recipient, Rejection, Stimulus, View, Wish,
    Workflow,
};
use crate::model::{PaymentRow, PaymentStatus, Timestamp, Trace, WorkflowId};
use crate::workflows::shipping::{self, ShipmentStart};

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
        let run = |name, persistence| Wish::Activity { name, queue: QUEUE, persistence };
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

    fn idempotency_key(&self, activity: &str) -> String {
        format!("{}/{activity}/{}", self.start.order_id, self.payment.charge)
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

    fn trace(&self) -> Option<Trace> {
        self.start.trace
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
