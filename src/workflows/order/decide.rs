//! What an order decides on: every signal, result, timer and deadline, in every state.

use serde_json::Value;

use super::event::{ApprovedBy, OrderEvent};
use super::start::ReviewMode;
use super::state::{Order, Outcome, ShippingState, Stage, Step};
use super::{SHIPPING_ROUNDS_MAX, activity, signal};
use crate::kernel::{Rejection, START_AGAIN, Stimulus, View, Workflow};
use crate::model::{Address, Failure, PaymentStatus};
use crate::workflows::shipping::{self, ShipmentOutcome};

type Decision = Result<Vec<OrderEvent>, Rejection>;

pub fn decide(order: &Order, stimulus: &Stimulus<'_>, view: &View<'_>) -> Decision {
    match stimulus {
        Stimulus::Signal { name, payload } => on_signal(order, name, payload, view),
        Stimulus::ActivityCompleted { activity, result } => Ok(completed(order, activity, result)),
        Stimulus::AttemptFailed { activity, failure, gave_up, .. } => {
            Ok(attempt_failed(order, activity, failure, *gave_up, view))
        }
        Stimulus::TimerFired { timer: "review" } if order.stage == Stage::InReview => {
            Ok(vec![match order.start.review.mode {
                ReviewMode::Auto => OrderEvent::ReviewApproved { by: ApprovedBy::Timer },
                ReviewMode::Manual => turn_back(order, Outcome::TimedOut, "the review was not answered in time", view),
            }])
        }
        Stimulus::TimerFired { timer: "shipping_retry" } if order.stage == Stage::Shipping => {
            Ok(vec![start_shipping(order, view)])
        }
        Stimulus::TimerFired { .. } => Ok(Vec::new()),
        Stimulus::DeadlineReached if order.stage == Stage::Compensating || order.is_terminal() => Ok(Vec::new()),
        Stimulus::DeadlineReached => Ok(vec![turn_back(order, Outcome::TimedOut, "the deadline was reached", view)]),
        Stimulus::Retry => Ok(vec![OrderEvent::OrderRetried { from: failed_step(order, view) }]),
    }
}

/// The fact that follows from the state alone.
pub fn advance(order: &Order, view: &View<'_>) -> Option<OrderEvent> {
    let held = view.core.is_held();
    match order.stage {
        Stage::Validated => {
            let plan = order.start.review;
            let until = match plan.mode {
                ReviewMode::Auto => Some(view.timers_from().plus_ms(plan.auto_ms)),
                ReviewMode::Manual => plan.deadline_ms.map(|ms| view.timers_from().plus_ms(ms)),
            };
            Some(OrderEvent::ReviewOpened { mode: plan.mode, until })
        }
        Stage::InReview if !held && order.start.review.mode == ReviewMode::Auto && order.start.review.auto_ms == 0 => {
            Some(OrderEvent::ReviewApproved { by: ApprovedBy::Timer })
        }
        Stage::Shipping if !held => match &order.shipping {
            Some(s) if s.round > s.round_before => None,
            _ => Some(start_shipping(order, view)),
        },
        Stage::Compensating if !order.is_open() => order.ending.as_ref().map(|e| ended(e.outcome, e.reason.clone())),
        _ => None,
    }
}

fn ended(outcome: Outcome, reason: String) -> OrderEvent {
    match outcome {
        Outcome::Cancelled => OrderEvent::OrderCancelled { reason },
        Outcome::Failed => OrderEvent::OrderFailed { reason },
        Outcome::TimedOut => OrderEvent::OrderTimedOut { reason },
    }
}

/// The first fact of the way back: its end, where nothing stands that must be taken back or found out.
fn turn_back(order: &Order, outcome: Outcome, reason: impl Into<String>, view: &View<'_>) -> OrderEvent {
    let charge_asked = view.core.is_running(activity::CHARGE);
    if order.is_open() || charge_asked {
        OrderEvent::CompensationStarted { outcome, reason: reason.into(), charge_asked }
    } else {
        ended(outcome, reason.into())
    }
}

fn start_shipping(order: &Order, view: &View<'_>) -> OrderEvent {
    let round = order.shipping.as_ref().map_or(0, |s| s.round) + 1;
    OrderEvent::ShippingStarted {
        shipment_id: order.start.order_id.workflow().child(shipping::KIND, round),
        round,
        deadline_ms: view.core.clock.left_ms(view.now),
    }
}

fn failed_step(order: &Order, view: &View<'_>) -> Step {
    match (order.review.approved_at, order.review.opened_at) {
        (Some(_), Some(_)) => Step::ChargePayment,
        _ if !view.core.attempts.contains_key(activity::VALIDATE) => Step::ReceiveOrder,
        _ => Step::ValidateOrder,
    }
}

fn completed(order: &Order, name: &str, result: &Value) -> Vec<OrderEvent> {
    let text = |field| result.get(field).and_then(Value::as_str).map(str::to_owned);
    match name {
        activity::RECEIVE => vec![OrderEvent::OrderAccepted {}],
        activity::VALIDATE => vec![OrderEvent::OrderValidated {}],
        activity::CHARGE => vec![OrderEvent::PaymentCharged { charge_ref: text("charge_ref") }],
        activity::REFUND if order.payment.status == PaymentStatus::Charged => {
            vec![OrderEvent::PaymentRefunded { refund_ref: text("refund_ref") }]
        }
        _ => Vec::new(),
    }
}

fn attempt_failed(order: &Order, name: &str, failure: &Failure, gave_up: bool, view: &View<'_>) -> Vec<OrderEvent> {
    let reason = failure.message.clone();
    if name != activity::CHARGE {
        return if gave_up { vec![turn_back(order, Outcome::Failed, reason, view)] } else { Vec::new() };
    }
    if gave_up {
        let failed = OrderEvent::PaymentFailed { reason: reason.clone() };
        return match order.stage {
            Stage::Charging => vec![failed, OrderEvent::OrderFailed { reason }],
            _ => vec![failed],
        };
    }
    if failure.kind.in_doubt() {
        return if order.payment.in_doubt { Vec::new() } else { vec![OrderEvent::PaymentOutcomeUnknown {}] };
    }
    // The last charge under way had no effect, and none before it is in doubt: no money was taken.
    if order.stage == Stage::Compensating && !order.payment.in_doubt {
        return vec![OrderEvent::PaymentFailed { reason }];
    }
    Vec::new()
}

fn on_signal(order: &Order, name: &str, payload: &Value, view: &View<'_>) -> Decision {
    match name {
        START_AGAIN => start_again(order, payload),
        signal::APPROVE => approve(order),
        signal::CANCEL => cancel(order, payload, view),
        signal::UPDATE_ADDRESS => update_address(order, payload),
        shipping::signal::READY => Ok(shipment_ready(order, payload)),
        shipping::signal::DISPATCHED | shipping::signal::FAILED | shipping::signal::CANCELLED => {
            Ok(shipment_ended(order, name, payload, view))
        }
        _ => Err(Rejection::new("unknown_signal", format!("an order knows no signal {name:?}"))),
    }
}

fn start_again(order: &Order, payload: &Value) -> Decision {
    if payload.get("fingerprint").and_then(Value::as_str) == Some(&order.start.fingerprint) {
        return Ok(Vec::new());
    }
    Err(Rejection::new("order_exists", "an order of this id exists with other content"))
}

fn approve(order: &Order) -> Decision {
    match order.stage {
        _ if order.review.approved_at.is_some() => Ok(Vec::new()),
        Stage::Receiving | Stage::Validating | Stage::Validated | Stage::InReview => {
            Ok(vec![OrderEvent::ReviewApproved { by: ApprovedBy::Signal }])
        }
        _ => Err(Rejection::new("review_not_open", "the review is not open any more")),
    }
}

fn cancel(order: &Order, payload: &Value, view: &View<'_>) -> Decision {
    let refused = |why: &str| Err(Rejection::new("order_not_cancellable", why));
    let cancelled = order.ending.as_ref().is_some_and(|e| e.outcome == Outcome::Cancelled);
    match order.stage {
        _ if cancelled => Ok(Vec::new()),
        Stage::Completed => refused("the order is completed"),
        Stage::Failed | Stage::TimedOut => refused("the order has ended"),
        Stage::Compensating => refused("the order is already on its way back"),
        Stage::Shipping if is_locked(order) => refused("the parcel is being dispatched"),
        _ => {
            let reason = payload.get("reason").and_then(Value::as_str).map(str::to_owned);
            let why = reason.clone().unwrap_or_else(|| "cancelled on request".to_owned());
            Ok(vec![OrderEvent::CancelRequested { reason }, turn_back(order, Outcome::Cancelled, why, view)])
        }
    }
}

fn is_locked(order: &Order) -> bool {
    let state = order.shipping.as_ref().map(|s| s.state);
    matches!(state, Some(ShippingState::Dispatching | ShippingState::Dispatched))
}

fn update_address(order: &Order, payload: &Value) -> Decision {
    let address = payload.get("address").cloned().unwrap_or_default();
    let address: Address = serde_json::from_value(address)
        .map_err(|_| Rejection::new("invalid_address", "address must be one line or an object of texts"))?;
    if order.address.as_ref() == Some(&address) {
        return Ok(Vec::new());
    }
    if order.is_terminal() || order.stage == Stage::Compensating || is_locked(order) {
        return Err(Rejection::new("address_locked", "the address cannot be changed any more"));
    }
    address.check_rules().map_err(|why| Rejection::new("invalid_address", why))?;
    Ok(vec![OrderEvent::AddressUpdated { address }])
}

/// The gate: the parcel goes if the order still wants it, to the address it has now.
fn shipment_ready(order: &Order, payload: &Value) -> Vec<OrderEvent> {
    let id = payload.get("shipment_id").and_then(Value::as_str);
    match &order.shipping {
        Some(s) if order.stage == Stage::Shipping && Some(s.shipment_id.as_str()) == id => {
            vec![OrderEvent::DispatchStarted { shipment_id: s.shipment_id.clone(), address: order.address.clone() }]
        }
        _ => Vec::new(),
    }
}

fn shipment_ended(order: &Order, name: &str, payload: &Value, view: &View<'_>) -> Vec<OrderEvent> {
    let Ok(shipment) = serde_json::from_value::<Box<ShipmentOutcome>>(payload.clone()) else { return Vec::new() };
    let current = order.shipping.as_ref().filter(|s| s.is_open() && s.shipment_id == shipment.shipment_id);
    let Some(current) = current else { return Vec::new() };
    match name {
        // Also on the way back: the parcel is gone, so the money stays.
        shipping::signal::DISPATCHED => vec![OrderEvent::OrderCompleted { shipment }],
        shipping::signal::FAILED => {
            let reason = shipment.reason.clone().unwrap_or_default();
            let round = current.round;
            let last = round - current.round_before >= SHIPPING_ROUNDS_MAX;
            if order.stage != Stage::Shipping {
                return vec![OrderEvent::DispatchFailed { round, reason, retry_at: None, shipment }];
            }
            if last {
                let why = format!("shipping failed {SHIPPING_ROUNDS_MAX} times: {reason}");
                return vec![
                    OrderEvent::DispatchFailed { round, reason, retry_at: None, shipment },
                    OrderEvent::CompensationStarted { outcome: Outcome::Failed, reason: why, charge_asked: false },
                ];
            }
            let wait = view.policies.of("ship").backoff_ms(round - current.round_before, u64::from(round));
            vec![OrderEvent::DispatchFailed {
                round,
                reason,
                retry_at: Some(view.timers_from().plus_ms(wait)),
                shipment,
            }]
        }
        _ => vec![OrderEvent::ShipmentCancelled { shipment }],
    }
}
