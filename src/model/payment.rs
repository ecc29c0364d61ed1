//! What is known of an order's payment, and its row in the table `payments`.

use serde::{Deserialize, Serialize};

use super::{Money, PaymentId};

/// Where a payment stands. `Unknown`: a charge was asked for and its outcome is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Pending,
    Charged,
    Unknown,
    Refunded,
    Failed,
}

impl PaymentStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Charged => "charged",
            Self::Unknown => "unknown",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }
}

/// A payment as it is kept beside its order, in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRow {
    pub payment_id: PaymentId,
    pub status: PaymentStatus,
    pub money: Money,
}
