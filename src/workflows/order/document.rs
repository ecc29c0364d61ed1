//! An order's status document.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use super::start::{Item, ReviewMode};
use super::state::{Order, Shipping, ShippingState, Step};
use crate::kernel::{Core, Document, Live, Machine, Workflow};
use crate::model::{Address, Currency, ErrorInfo, OrderId, PaymentId, PaymentStatus, RunId, Timestamp, WorkflowId};

#[derive(Serialize)]
struct Doc<'a> {
    order_id: &'a OrderId,
    run_id: RunId,
    state: &'static str,
    terminal: bool,
    paused: bool,
    step: Step,
    seq: u64,
    attempts: BTreeMap<&'a str, u32>,
    last_error: Option<&'a ErrorInfo>,
    recent_errors: &'a [&'a ErrorInfo],
    /// Why it ended, or is on its way back.
    reason: Option<&'a str>,
    stuck_reason: Option<&'a str>,
    payment: PaymentDoc<'a>,
    shipping: Option<ShippingDoc<'a>>,
    address: Option<&'a Address>,
    items: &'a [Item],
    metadata: &'a BTreeMap<String, Value>,
    review: ReviewDoc,
    created_at: Timestamp,
    updated_at: Timestamp,
    deadline_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'a Live>,
}

#[derive(Serialize)]
struct PaymentDoc<'a> {
    payment_id: &'a PaymentId,
    status: PaymentStatus,
    #[serde(with = "rust_decimal::serde::str")]
    amount: Decimal,
    currency: Currency,
}

#[derive(Serialize)]
struct ShippingDoc<'a> {
    shipment_id: &'a WorkflowId,
    state: ShippingState,
    attempt: u32,
    carrier_ref: Option<&'a str>,
}

#[derive(Serialize)]
struct ReviewDoc {
    mode: ReviewMode,
    opened_at: Option<Timestamp>,
    approved_at: Option<Timestamp>,
}

pub fn document(
    order: &Order,
    core: &Core,
    children: &[&dyn Machine],
    live: Option<&Live>,
) -> serde_json::Result<Document> {
    let mut attempts: BTreeMap<&str, u32> = core.attempts.iter().map(|(name, n)| (name.as_ref(), *n)).collect();
    let ended = order.shipping.iter().flat_map(|s| s.attempts.iter().map(|(name, n)| (name.as_str(), *n)));
    let open = children.iter().flat_map(|c| c.core().attempts.iter().map(|(name, n)| (name.as_ref(), *n)));
    for (name, n) in ended.chain(open) {
        *attempts.entry(name).or_default() += n;
    }
    let errors = recent_errors(order, core, children);
    let terminal = order.is_terminal();
    let start = &order.start;
    serde_json::value::to_raw_value(&Doc {
        order_id: &start.order_id,
        run_id: core.run_id,
        state: if core.stuck.is_some() && !terminal { "stuck" } else { order.state_name() },
        terminal,
        paused: core.paused_at.is_some() && !terminal,
        step: order.step(),
        seq: core.seq,
        attempts,
        last_error: errors.last().copied(),
        recent_errors: &errors,
        reason: order.ending.as_ref().map(|e| e.reason.as_str()),
        stuck_reason: core.stuck.as_deref(),
        payment: PaymentDoc {
            payment_id: &start.payment_id,
            status: order.payment.status,
            amount: start.money.amount,
            currency: start.money.currency,
        },
        shipping: order.shipping.as_ref().map(shipping),
        address: order.address.as_ref(),
        items: &start.items,
        metadata: &start.metadata,
        review: ReviewDoc {
            mode: start.review.mode,
            opened_at: order.review.opened_at,
            approved_at: order.review.approved_at,
        },
        created_at: core.created_at,
        updated_at: core.updated_at,
        deadline_at: core.clock.deadline(),
        ended_at: core.ended_at,
        live,
    })
}

fn shipping(shipping: &Shipping) -> ShippingDoc<'_> {
    ShippingDoc {
        shipment_id: &shipping.shipment_id,
        state: shipping.state,
        attempt: shipping.round,
        carrier_ref: shipping.carrier_ref.as_deref(),
    }
}

/// The newest errors of the order and its shipments, oldest first, at most 5.
fn recent_errors<'a>(order: &'a Order, core: &'a Core, children: &'a [&dyn Machine]) -> Vec<&'a ErrorInfo> {
    let mut errors: Vec<&ErrorInfo> = core.recent_errors.iter().collect();
    errors.extend(order.shipping.iter().filter_map(|s| s.last_error.as_ref()));
    errors.extend(children.iter().flat_map(|c| c.core().recent_errors.iter()));
    errors.sort_by_key(|e| e.at);
    errors.drain(..errors.len().saturating_sub(5));
    errors
}
