//! The limits and policies the engine runs under. Every one has a default that suits one small machine.

use std::collections::BTreeMap;

use super::queue::QueueOptions;
use crate::kernel::Policies;

#[derive(Debug, Clone)]
pub struct Options {
    /// Arbiters that host order actors.
    pub shards: usize,
    /// Live actors over all shards; beyond it new work is refused with `Overloaded`.
    pub live_max: usize,
    /// Steps under way over all shards; beyond it new work is refused with `Overloaded`.
    pub steps_max: usize,
    /// Inputs waiting for one actor; beyond it they are refused.
    pub mailbox_max: usize,
    /// Requests waiting in one shard's mailbox.
    pub shard_mailbox_max: usize,
    /// How long an actor with nothing to do stays alive, in ms.
    pub passivate_after_ms: u64,
    /// Transitions in one journal batch.
    pub batch_max: usize,
    /// How long a request may wait for its answer, in ms.
    pub request_timeout_ms: u64,
    /// How long an answer under an idempotency key is kept, in ms.
    pub answers_kept_ms: u64,
    /// Threads that read the database for requests.
    pub readers: usize,
    /// How often in a row an actor may panic before its order is parked.
    pub panics_max: u32,
    /// Stored histories the auditor folds in a second; 0: none.
    pub audit_per_second: usize,
    pub policies: Policies,
    /// Task queues by name; one that is not named gets the default.
    pub queues: BTreeMap<String, QueueOptions>,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shards: cores.div_ceil(2).min(8),
            live_max: 20_000,
            steps_max: 1_000,
            mailbox_max: 256,
            shard_mailbox_max: 8_192,
            passivate_after_ms: 1_000,
            batch_max: 4_096,
            request_timeout_ms: 10_000,
            answers_kept_ms: 7 * 24 * 3_600_000,
            readers: cores.clamp(2, 8),
            panics_max: 5,
            audit_per_second: 10,
            policies: Policies::default(),
            queues: BTreeMap::new(),
        }
    }
}
