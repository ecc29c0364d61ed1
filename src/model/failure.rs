//! How an attempt of an activity can fail, and what follows from the kind.

use serde::{Deserialize, Serialize};

use super::{Name, Timestamp};

/// The kind of a failed attempt. The kind, not the message, decides about the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A business rule of our own says no.
    Validation,
    /// The other side says no (402, 422): a declined card, a parcel it will not carry.
    Refused,
    /// The request never left: no connection. It had no effect.
    Unreachable,
    /// The other side asked for patience (429, 425): it had no effect.
    RateLimited,
    /// No answer in time: it may have had its effect.
    Timeout,
    /// An answer that does not say (409, 5xx, garbage, a connection lost): it may have had its effect.
    UnknownOutcome,
    /// The activity's own code panicked: it may have had its effect.
    Panic,
    /// The activity's own code, or a worker, said that it failed.
    Error,
    /// A secret it needs cannot be opened: the key it was sealed with is lost, or another. The call was not made.
    SecretsUnreadable,
}

/// What the retry policy does with a kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// Never again.
    Never,
    /// Up to the policy's number of attempts.
    Limited,
    /// Until the workflow's deadline.
    UntilDeadline,
}

impl FailureKind {
    pub fn class(self) -> RetryClass {
        match self {
            Self::Validation | Self::Refused | Self::SecretsUnreadable => RetryClass::Never,
            Self::Error => RetryClass::Limited,
            Self::Unreachable | Self::RateLimited | Self::Timeout | Self::UnknownOutcome | Self::Panic => {
                RetryClass::UntilDeadline
            }
        }
    }

    /// Whether the effect may have happened all the same, so that it must be asked again with the same key.
    pub fn in_doubt(self) -> bool {
        matches!(self, Self::Timeout | Self::UnknownOutcome | Self::Panic)
    }

    /// Whether it says that this attempt had no effect, but not that no attempt has. A refusal says both.
    pub fn claims_no_effect(self) -> bool {
        !self.in_doubt() && self.class() != RetryClass::Never
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Panic => "panic",
            Self::Error => "error",
            Self::SecretsUnreadable => "secrets_unreadable",
        }
    }
}

/// One failed attempt, as the activity reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// How long the other side asked us to wait, in ms; 0: it asked us to, and did not say how long.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None }
    }
}

/// A failed attempt, as status and history show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    pub kind: FailureKind,
    pub message: String,
    pub activity: Name,
    pub attempt: u32,
    pub at: Timestamp,
}
