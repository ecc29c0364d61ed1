//! Facts every kind of workflow shares, and the form in which any fact is written down.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{FailureKind, Name, Timestamp};

/// What the kernel itself records, for orders, shipments and all other kinds alike. Past tense: a fact is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum KernelFact {
    /// An attempt was decided on. It is on disk before the call is made.
    ActivityScheduled {
        activity: Name,
        attempt: u32,
        queue: Name,
        idempotency_key: String,
        timeout_ms: u64,
    },
    ActivityCompleted {
        activity: Name,
        attempt: u32,
    },
    /// An attempt failed. Without `retry_at` it was the last.
    ActivityFailed {
        activity: Name,
        attempt: u32,
        kind: FailureKind,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The running time is used up.
    DeadlineReached {},
    Paused {},
    /// The pause lasted `paused_ms`; timers that were set move by as much.
    Resumed {
        paused_ms: u64,
    },
    /// Parked after repeated crashes of its own actor, until an operator's retry or a cancel.
    Stuck {
        reason: String,
    },
    /// A stuck workflow was let go again; the deadline starts anew.
    Unstuck {},
    /// An operator restarted it from the step that failed; the deadline starts anew.
    RetryRequested {},
}

impl KernelFact {
    /// The names, to tell these facts from a workflow's own.
    pub const TYPES: [&'static str; 9] = [
        "ActivityScheduled",
        "ActivityCompleted",
        "ActivityFailed",
        "DeadlineReached",
        "Paused",
        "Resumed",
        "Stuck",
        "Unstuck",
        "RetryRequested",
    ];
}

/// One fact as it is stored and shown: its type, and its data as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FactRecord {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default = "empty")]
    pub data: Box<RawValue>,
}

fn empty() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_fact_is_listed_under_its_name() {
        let facts = [
            KernelFact::ActivityScheduled {
                activity: "a".into(),
                attempt: 1,
                queue: "q".into(),
                idempotency_key: "k".into(),
                timeout_ms: 1,
            },
            KernelFact::ActivityCompleted { activity: "a".into(), attempt: 1 },
            KernelFact::ActivityFailed {
                activity: "a".into(),
                attempt: 1,
                kind: FailureKind::Error,
                message: "m".into(),
                retry_at: None,
            },
            KernelFact::DeadlineReached {},
            KernelFact::Paused {},
            KernelFact::Resumed { paused_ms: 1 },
            KernelFact::Stuck { reason: "r".into() },
            KernelFact::Unstuck {},
            KernelFact::RetryRequested {},
        ];
        let names: Vec<String> = facts
            .iter()
            .map(|f| serde_json::from_str::<FactRecord>(&serde_json::to_string(f).unwrap()).unwrap().kind)
            .collect();
        assert_eq!(names, KernelFact::TYPES);
    }
}
