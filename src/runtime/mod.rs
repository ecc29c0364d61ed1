//! The in-process host: shards of supervised actors over one journal.
//!
//! Everything an actor decides is handed to the journal first; only what the journal has acknowledged is applied,
//! answered and acted upon. No SQL here, and no HTTP.

mod actor;
mod admission;
mod auditor;
mod census;
mod command;
mod engine;
mod envelope;
mod journal;
mod keys;
mod life;
mod live;
mod local;
mod look;
mod messages;
mod meters;
mod metrics;
mod options;
mod outcome;
mod pool;
mod queue;
mod queues;
mod readers;
mod recovery;
mod shard;
mod shared;
mod timers;

pub use census::{Crash, EngineNow, Hot, RestartsNow, ShardNow, no_engine_metrics};
pub use command::{Action, Answer, Caller, Command, EngineError, IdempotencyKey, Until};
pub use engine::{Engine, StartError};
pub use life::{Life, Passage};
pub use meters::{CommitNow, JournalNow};
pub use metrics::describe as describe_metrics;
pub use options::Options;
pub use queue::{CONCURRENCY_MAX, HeldLease, QueueChange, QueueOptions, QueueView, RateLimit};
pub use queues::{AttemptOf, Beaten, LeasedCall, PollRequest, Report, WAIT_MS_MAX};
pub use recovery::Recovery;

use crate::kernel::{Family, Member, Registry, RestoreError};
use crate::store::StoredWorkflow;

/// A family out of its rows, the root first; `None` where there are none.
fn restore(registry: &Registry, rows: &[StoredWorkflow]) -> Result<Option<Family>, RestoreError> {
    let member =
        |row: &StoredWorkflow| Ok(Member { key: row.key, machine: registry.restore(&row.kind, &row.snapshot)? });
    let members = rows.iter().map(member).collect::<Result<Vec<_>, RestoreError>>()?;
    Ok(Family::restored(members))
}
