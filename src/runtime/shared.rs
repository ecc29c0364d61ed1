//! What all threads of an engine share: limits, the journal's door, the readers, counters, the clock, new ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Options;
use super::admission::Steps;
use super::census::Crashes;
use super::journal::JournalDoor;
use super::queue::Signer;
use super::readers::Readers;
use crate::kernel::{Cx, IdSource, Registry, mix, seed};
use crate::model::{Key, RunId, Timestamp};
use crate::store::Fence;

pub(super) struct Shared {
    pub options: Options,
    pub registry: Registry,
    pub journal: JournalDoor,
    pub readers: Readers,
    pub ids: Ids,
    pub clock: Clock,
    /// Live actors over all shards.
    pub live: AtomicUsize,
    /// Steps under way; see `admission`.
    pub steps: Steps,
    /// Calls of activities under way over all pools.
    pub running: AtomicUsize,
    /// Units handed to the journal whose outcome has not been taken.
    pub committing: AtomicUsize,
    /// Whether the database is still ours.
    pub fence: Fence,
    /// Whether the database took the last write.
    pub stores: Arc<AtomicBool>,
    pub ready: AtomicBool,
    /// When recovery had handed out all calls that were outstanding, in ms; 0 until then.
    pub recovered_at: AtomicI64,
    /// What recovery found.
    pub recovery: super::recovery::Counts,
    /// Signs what outside workers show.
    pub signer: Signer,
    pub draining: AtomicBool,
    /// The deepest mailbox seen.
    pub mailbox_high: AtomicUsize,
    /// The newest crashes of actors.
    pub crashes: Crashes,
    /// The first far timer that was set since the last look at SQL, in ms; see `timers`.
    pub far_timer: super::timers::FarTimer,
}

impl Shared {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn cx(&self) -> Cx<'_> {
        Cx { now: self.now(), policies: &self.options.policies, registry: &self.registry, ids: &self.ids }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The shard an id lives on. Children hash like their root.
    pub fn shard_of(&self, id: &crate::model::WorkflowId) -> usize {
        (mix(seed(&[id.root()], 0)) >> 32) as usize % self.options.shards
    }
}

/// The wall clock, kept from going backwards: a step of the system's clock must not make time stand on its head.
#[derive(Default)]
pub(super) struct Clock {
    last: AtomicI64,
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        let ms = Self::wall().0;
        Timestamp(self.last.fetch_max(ms, Ordering::Relaxed).max(ms))
    }

    /// The system's clock as it is.
    pub fn wall() -> Timestamp {
        Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64))
    }
}

/// Keys in order of creation, and time-ordered run ids.
pub(super) struct Ids {
    next_key: AtomicI64,
}

impl Ids {
    pub fn starting_at(next: Key) -> Self {
        Self { next_key: AtomicI64::new(next.0) }
    }
}

impl IdSource for Ids {
    fn key(&self) -> Key {
        Key(self.next_key.fetch_add(1, Ordering::Relaxed))
    }

    fn run_id(&self) -> RunId {
        RunId(uuid::Uuid::now_v7())
    }
}

pub(super) type SharedRef = Arc<Shared>;
