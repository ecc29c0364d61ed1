//! The durable part of an order's status document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::state::{Order, Shipping};
use crate::kernel::{Core, Machine, Workflow};
use crate::model::ErrorInfo;

pub fn document(order: &Order, core: &Core, children: &[&dyn Machine]) -> Value {
    let mut attempts: BTreeMap<String, u32> = core.attempts.iter().map(|(k, n)| (k.to_string(), *n)).collect();
    let ended = order.shipping.iter().flat_map(|s| s.attempts.iter().map(|(k, n)| (k.clone(), *n)));
    let open = children.iter().flat_map(|c| c.core().attempts.iter().map(|(k, n)| (k.to_string(), *n)));
    for (name, n) in ended.chain(open) {
        *attempts.entry(name).or_default() += n;
    }
    let errors = recent_errors(order, core, children);
    let stuck = core.stuck.is_some() && !order.is_terminal();
    json!({
        "order_id": core.id,
        "run_id": core.run_id,
        "state": if stuck { "stuck" } else { order.state_name() },
        "terminal": order.is_terminal(),
        "paused": core.paused_at.is_some() && !order.is_terminal(),
        "step": order.step(),
        "seq": core.seq,
        "attempts": attempts,
        "last_error": errors.last(),
        "recent_errors": errors,
        "reason": order.ending.as_ref().map(|e| &e.reason),
        "stuck_reason": core.stuck,
        "payment": {
            "payment_id": order.start.payment_id,
            "status": order.payment.status,
            "amount": order.start.money.amount.to_string(),
            "currency": order.start.money.currency,
        },
        "shipping": order.shipping.as_ref().map(shipping),
        "address": order.address,
        "items": order.start.items,
        "metadata": order.start.metadata,
        "review": {
            "mode": order.start.review.mode,
            "opened_at": order.review.opened_at,
            "approved_at": order.review.approved_at,
        },
        "created_at": core.created_at,
        "updated_at": core.updated_at,
        "deadline_at": core.clock.deadline(),
        "ended_at": core.ended_at,
    })
}

fn shipping(shipping: &Shipping) -> Value {
    json!({
        "shipment_id": shipping.shipment_id,
        "state": shipping.state,
        "attempt": shipping.round,
        "carrier_ref": shipping.carrier_ref,
    })
}

/// The newest errors of the order and its shipments, oldest first, at most 5.
fn recent_errors(order: &Order, core: &Core, children: &[&dyn Machine]) -> Vec<ErrorInfo> {
    let mut errors: Vec<ErrorInfo> = core.recent_errors.clone();
    errors.extend(order.shipping.iter().filter_map(|s| s.last_error.clone()));
    errors.extend(children.iter().flat_map(|c| c.core().recent_errors.iter().cloned()));
    errors.sort_by_key(|e| e.at);
    errors.drain(..errors.len().saturating_sub(5));
    errors
}
