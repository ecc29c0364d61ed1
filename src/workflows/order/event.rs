//! The facts of an order. They are history: a name or a field, once released, stays readable.

use serde::{Deserialize, Serialize};

use super::start::{OrderStart, ReviewMode};
use super::state::{Outcome, Step};
use crate::model::{Address, Timestamp, WorkflowId};
use crate::workflows::shipping::ShipmentOutcome;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum OrderEvent {
    OrderReceived(Box<OrderStart>),
    /// `receive_order` is done.
    OrderAccepted {},
    OrderValidated {},
    ReviewOpened {
        mode: ReviewMode,
        /// When it ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    ReviewApproved {
        by: ApprovedBy,
    },
    AddressUpdated {
        address: Address,
    },
    PaymentCharged {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge_ref: Option<String>,
    },
    /// An attempt ended without saying whether the money was taken.
    PaymentOutcomeUnknown {},
    /// It is known that no money was taken, and none will be.
    PaymentFailed {
        reason: String,
    },
    ShippingStarted {
        shipment_id: WorkflowId,
        round: u32,
        /// Running time left, in ms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
    },
    /// The parcel may go, to this address; from here on neither can be changed.
    DispatchStarted {
        shipment_id: WorkflowId,
        address: Option<Address>,
    },
    DispatchFailed {
        round: u32,
        reason: String,
        /// When shipping is started again; without it this was the last round.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        shipment: Box<ShipmentOutcome>,
    },
    ShipmentCancelled {
        shipment: Box<ShipmentOutcome>,
    },
    CancelRequested {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The way back has begun: what is charged is refunded, what is open is found out.
    CompensationStarted {
        outcome: Outcome,
        reason: String,
        /// A charge was under way at that moment.
        charge_asked: bool,
    },
    PaymentRefunded {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund_ref: Option<String>,
    },
    /// An operator let it go on from there.
    OrderRetried {
        from: Step,
    },
    OrderCompleted {
        shipment: Box<ShipmentOutcome>,
    },
    OrderCancelled {
        reason: String,
    },
    OrderFailed {
        reason: String,
    },
    OrderTimedOut {
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovedBy {
    Signal,
    Timer,
}
