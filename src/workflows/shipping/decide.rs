//! What a shipment decides on.

use super::{DISPATCH, PREPARE, Shipment, ShipmentEvent, ShipmentOutcome, Stage, signal};
use crate::kernel::{Rejection, Stimulus, View, Workflow};
use crate::model::{Address, ErrorInfo, Failure};

pub fn decide(s: &Shipment, stimulus: &Stimulus<'_>, view: &View<'_>) -> Result<Vec<ShipmentEvent>, Rejection> {
    if s.is_terminal() {
        return Ok(Vec::new());
    }
    Ok(match stimulus {
        Stimulus::ActivityCompleted { activity: PREPARE, result } => {
            vec![ShipmentEvent::PackagePrepared { package_ref: text(result, "package_ref") }]
        }
        Stimulus::ActivityCompleted { activity: DISPATCH, result } => {
            let carrier_ref = text(result, "carrier_ref");
            let outcome = outcome(s, view, carrier_ref.clone(), None);
            vec![ShipmentEvent::ShipmentDispatched { carrier_ref, outcome }]
        }
        Stimulus::AttemptFailed { activity, failure, gave_up, .. } => {
            attempt_failed(s, activity, failure, *gave_up, view)
        }
        Stimulus::Signal { name: signal::GO, payload } if s.stage == Stage::Ready => {
            let address =
                payload.get("address").and_then(|a| serde_json::from_value::<Option<Address>>(a.clone()).ok());
            vec![ShipmentEvent::DispatchAuthorized { address: address.flatten() }]
        }
        Stimulus::Signal { name: signal::CANCEL, .. } => {
            let may_have_gone = s.in_doubt || view.core.is_running(DISPATCH);
            match (may_have_gone, s.cancelling) {
                (true, true) => Vec::new(),
                (true, false) => vec![ShipmentEvent::CancelRequested {}],
                (false, _) => vec![ShipmentEvent::ShipmentCancelled { outcome: outcome(s, view, None, None) }],
            }
        }
        _ => Vec::new(),
    })
}

fn attempt_failed(
    s: &Shipment,
    activity: &str,
    failure: &Failure,
    gave_up: bool,
    view: &View<'_>,
) -> Vec<ShipmentEvent> {
    let dispatching = activity == DISPATCH;
    if gave_up {
        let (kind, reason) = (failure.kind, failure.message.clone());
        let outcome = outcome(s, view, None, Some(reason.clone()));
        return vec![ShipmentEvent::ShipmentFailed { kind, reason, outcome }];
    }
    if dispatching && failure.kind.in_doubt() && !s.in_doubt {
        return vec![ShipmentEvent::DispatchOutcomeUnknown {}];
    }
    if s.cancelling && !s.in_doubt && !failure.kind.in_doubt() {
        return vec![ShipmentEvent::ShipmentCancelled { outcome: outcome(s, view, None, None) }];
    }
    Vec::new()
}

fn outcome(s: &Shipment, view: &View<'_>, carrier_ref: Option<String>, reason: Option<String>) -> Box<ShipmentOutcome> {
    let last_error: Option<ErrorInfo> = view.core.last_error().cloned();
    Box::new(ShipmentOutcome {
        shipment_id: s.start.order_id.child(super::KIND, s.start.round),
        carrier_ref,
        reason,
        attempts: view.core.attempts.iter().map(|(name, n)| (name.to_string(), *n)).collect(),
        last_error,
    })
}

fn text(result: &serde_json::Value, field: &str) -> Option<String> {
    result.get(field).and_then(|v| v.as_str()).map(str::to_owned)
}
