//! The child workflow `shipping`: prepare a package, ask the order whether it may go, dispatch it.
//!
//! Invariant: it ends `failed` or `cancelled` only when it is known that no carrier took the parcel.

mod decide;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kernel::{
    ClockMode, Core, Document, Live, Machine, Message, Persistence, Recipient, Rejection, Stimulus, View, Wish,
    Workflow,
};
use crate::model::{Address, ErrorInfo, FailureKind, Timestamp, WorkflowId};

pub const KIND: &str = "shipping";
pub const QUEUE: &str = "shipping";
pub const PREPARE: &str = "prepare_package";
pub const DISPATCH: &str = "dispatch_carrier";

/// Signals between a shipment and its order.
pub mod signal {
    /// To the order: the package is ready, may it go?
    pub const READY: &str = "shipment_ready";
    /// To the shipment: go, to this address.
    pub const GO: &str = "dispatch";
    /// To the shipment: do not go, if that can still be.
    pub const CANCEL: &str = "cancel";
    /// To the order: how it ended.
    pub const DISPATCHED: &str = "shipment_dispatched";
    pub const FAILED: &str = "shipment_failed";
    pub const CANCELLED: &str = "shipment_cancelled";
}

/// The start input, from the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentStart {
    pub order_id: WorkflowId,
    pub round: u32,
    pub address: Option<Address>,
    /// Running time left to the order, in ms; attempts are shortened to fit.
    pub deadline_ms: Option<u64>,
}

/// How it ended, as the order is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentOutcome {
    pub shipment_id: WorkflowId,
    pub carrier_ref: Option<String>,
    pub reason: Option<String>,
    pub attempts: std::collections::BTreeMap<String, u32>,
    pub last_error: Option<ErrorInfo>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shipment {
    #[serde(flatten)]
    pub start: ShipmentStart,
    pub stage: Stage,
    /// A dispatch was asked for whose outcome is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_doubt: bool,
    /// The order would rather not have it go any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cancelling: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The attempts and the last error when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_words: Option<Box<ShipmentOutcome>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Preparing,
    /// The package is ready; the order is asked.
    Ready,
    Dispatching,
    Dispatched,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ShipmentEvent {
    ShipmentRequested(ShipmentStart),
    PackagePrepared {
        package_ref: Option<String>,
    },
    DispatchAuthorized {
        address: Option<Address>,
    },
    /// An attempt ended without saying whether the carrier took the parcel.
    DispatchOutcomeUnknown {},
    /// Too late to simply stop: it is found out first whether the carrier took it.
    CancelRequested {},
    ShipmentDispatched {
        carrier_ref: Option<String>,
        outcome: Box<ShipmentOutcome>,
    },
    ShipmentFailed {
        kind: FailureKind,
        reason: String,
        outcome: Box<ShipmentOutcome>,
    },
    ShipmentCancelled {
        outcome: Box<ShipmentOutcome>,
    },
}

impl Workflow for Shipment {
    const KIND: &'static str = KIND;
    type Event = ShipmentEvent;

    fn start(_id: &WorkflowId, input: &Value, _now: Timestamp) -> Result<ShipmentEvent, Rejection> {
        let start = serde_json::from_value(input.clone());
        start.map(ShipmentEvent::ShipmentRequested).map_err(|e| Rejection::new("invalid_input", e.to_string()))
    }

    fn born(event: &ShipmentEvent, _at: Timestamp) -> Option<Self> {
        let ShipmentEvent::ShipmentRequested(start) = event else { return None };
        Some(Self {
            start: start.clone(),
            stage: Stage::Preparing,
            in_doubt: false,
            cancelling: false,
            package_ref: None,
            carrier_ref: None,
            reason: None,
            last_words: None,
        })
    }

    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Result<Vec<ShipmentEvent>, Rejection> {
        decide::decide(self, stimulus, view)
    }

    fn advance(&self, _view: &View<'_>) -> Option<ShipmentEvent> {
        None
    }

    fn evolve(&mut self, event: &ShipmentEvent, _at: Timestamp) {
        match event {
            ShipmentEvent::ShipmentRequested(_) => {}
            ShipmentEvent::PackagePrepared { package_ref } => {
                self.package_ref.clone_from(package_ref);
                self.stage = Stage::Ready;
            }
            ShipmentEvent::DispatchAuthorized { address } => {
                self.start.address.clone_from(address);
                self.stage = Stage::Dispatching;
            }
            ShipmentEvent::DispatchOutcomeUnknown {} => self.in_doubt = true,
            ShipmentEvent::CancelRequested {} => self.cancelling = true,
            ShipmentEvent::ShipmentDispatched { carrier_ref, outcome } => {
                self.carrier_ref.clone_from(carrier_ref);
                self.end(Stage::Dispatched, outcome);
            }
            ShipmentEvent::ShipmentFailed { reason, outcome, .. } => {
                self.reason = Some(reason.clone());
                self.end(Stage::Failed, outcome);
            }
            ShipmentEvent::ShipmentCancelled { outcome } => self.end(Stage::Cancelled, outcome),
        }
    }

    fn wishes(&self) -> Vec<Wish> {
        let activity = |name, persistence| vec![Wish::Activity { name, queue: QUEUE, persistence }];
        match self.stage {
            Stage::Preparing => activity(PREPARE, Persistence::Policy),
            Stage::Ready => vec![Wish::Signal { name: signal::GO }],
            Stage::Dispatching if self.in_doubt => activity(DISPATCH, Persistence::UntilKnown),
            Stage::Dispatching => activity(DISPATCH, Persistence::Policy),
            Stage::Dispatched | Stage::Failed | Stage::Cancelled => Vec::new(),
        }
    }

    fn idempotency_key(&self, activity: &str) -> String {
        format!("{}/shipping/{}/{activity}", self.start.order_id, self.start.round)
    }

    fn activity_input(&self, _activity: &str) -> Value {
        json!({
            "order_id": self.start.order_id,
            "shipment_id": format!("{}/shipping/{}", self.start.order_id, self.start.round),
            "address": self.start.address,
            "package_ref": self.package_ref,
        })
    }

    fn messages(&self, event: &ShipmentEvent) -> Vec<Message> {
        let tell = |signal, payload| vec![Message { to: Recipient::Parent, signal, payload }];
        let outcome = || json!(self.last_words);
        match event {
            ShipmentEvent::PackagePrepared { .. } => {
                let shipment_id = WorkflowId::child(&self.start.order_id, KIND, self.start.round);
                tell(signal::READY, json!({ "shipment_id": shipment_id }))
            }
            ShipmentEvent::ShipmentDispatched { .. } => tell(signal::DISPATCHED, outcome()),
            ShipmentEvent::ShipmentFailed { .. } => tell(signal::FAILED, outcome()),
            ShipmentEvent::ShipmentCancelled { .. } => tell(signal::CANCELLED, outcome()),
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self.stage {
            Stage::Preparing | Stage::Ready => "preparing",
            Stage::Dispatching => "dispatching",
            Stage::Dispatched => "dispatched",
            Stage::Failed => "failed",
            Stage::Cancelled => "cancelled",
        }
    }

    fn is_terminal(&self) -> bool {
        matches!(self.stage, Stage::Dispatched | Stage::Failed | Stage::Cancelled)
    }

    fn deadline_ms(&self) -> Option<u64> {
        self.start.deadline_ms
    }

    fn clock_mode(&self) -> ClockMode {
        // Once it is only being found out what happened, no deadline shortens the attempts.
        if self.cancelling { ClockMode::Over } else { ClockMode::Running }
    }

    fn document(&self, core: &Core, _children: &[&dyn Machine], live: Option<&Live>) -> serde_json::Result<Document> {
        serde_json::value::to_raw_value(&json!({
            "shipment_id": core.id,
            "order_id": self.start.order_id,
            "state": self.state_name(),
            "terminal": self.is_terminal(),
            "attempt": self.start.round,
            "carrier_ref": self.carrier_ref,
            "package_ref": self.package_ref,
            "address": self.start.address,
            "reason": self.reason,
            "seq": core.seq,
            "attempts": core.attempts,
            "last_error": core.last_error(),
            "created_at": core.created_at,
            "updated_at": core.updated_at,
            "ended_at": core.ended_at,
            "live": live,
        }))
    }
}

impl Shipment {
    fn end(&mut self, stage: Stage, outcome: &ShipmentOutcome) {
        self.stage = stage;
        self.in_doubt = false;
        self.last_words = Some(Box::new(outcome.clone()));
    }
}
