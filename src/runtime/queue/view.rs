//! A queue as people see it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RateLimit;
use crate::model::{Name, Timestamp, WorkflowId};

/// A queue at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueueView {
    pub name: Name,
    /// Calls this process has under way at once, at most; the same as `max`.
    pub concurrency: usize,
    pub min: usize,
    pub max: usize,
    /// Slots there are now, between `min` and `max`.
    pub slots: usize,
    /// Calls under way, those of outside workers included.
    pub running: usize,
    /// Of those, calls that outside workers hold.
    pub leased: usize,
    /// Calls that wait.
    pub backlog: usize,
    /// How long the oldest of them has waited; 0 where none does.
    pub oldest_wait_ms: u64,
    pub rate_limit: Option<RateLimit>,
    pub shared_backoff: bool,
    /// Nothing starts before this instant: the other side wants to be left alone.
    pub backoff_until: Option<Timestamp>,
    pub paused: bool,
    /// Outside workers that were heard of in the last 30 s.
    pub workers: usize,
    /// What outside workers hold, some of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leases: Option<Vec<HeldLease>>,
}

/// An attempt in the hands of an outside worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldLease {
    pub workflow_id: WorkflowId,
    pub activity: Name,
    pub attempt: u32,
    pub worker_id: String,
    pub deadline_at: Timestamp,
    /// What its last heartbeat said.
    pub progress: Option<Value>,
}
