//! The workflow `order`: receive, validate, review, charge, ship; and the way back: refund, cancel.
//!
//! Invariants: no charge stands unrefunded in an end other than `completed`; it ends only when it is known whether
//! the charge and the dispatch happened; the address is fixed in the same commit that lets the parcel go.

mod decide;
mod document;
mod event;
mod machine;
mod start;
mod state;

pub use event::OrderEvent;
pub use start::{Item, OrderStart, ReviewMode, ReviewPlan};
pub use state::{Order, Outcome, Stage};

/// The name of the kind.
pub const KIND: &str = "order";
/// The task queue of its own activities.
pub const QUEUE: &str = "orders";

/// The states an order can be in.
pub const STATES: [&str; 11] = [
    "received",
    "validated",
    "in_review",
    "charging",
    "shipping",
    "completed",
    "compensating",
    "cancelled",
    "failed",
    "timed_out",
    "stuck",
];

/// Names of its activities.
pub mod activity {
    pub const RECEIVE: &str = "receive_order";
    pub const VALIDATE: &str = "validate_order";
    pub const CHARGE: &str = "charge_payment";
    pub const REFUND: &str = "refund_payment";
}

/// Names of the signals people send.
pub mod signal {
    pub const APPROVE: &str = "approve";
    pub const CANCEL: &str = "cancel";
    pub const UPDATE_ADDRESS: &str = "update_address";
}

/// How often shipping is started in all before the order is given up.
pub const SHIPPING_ROUNDS_MAX: u32 = 3;
