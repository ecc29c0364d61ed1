//! The journal and the queries: the only place that speaks SQL.
//!
//! Two traits, [`Journal`] and [`Queries`]; a database is one implementation of both and passes the same contract suite.
//! Nothing here decides: a transition comes in whole and is stored whole, or not at all.

mod audit;
mod batch;
mod fence;
mod filter;
mod location;
mod postgres;
mod sql;
mod sqlite;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

pub use audit::{AuditEntry, AuditFilter, StoredAudit};
pub use fence::Fence;
pub use filter::{Cursor, KindFilter, KindPage, OrderFilter, Page, SORTED_MAX, Sort, SortField};
pub use location::{Location, OpenError, change_keys_beside, open, open_read_only, schema_versions};
pub use sql::Any;
pub use sqlite::backup;
pub use version::SchemaVersions;

use crate::access::{Key as ApiKey, KeyChange, Owner};
use crate::kernel::{FactRecord, Transition};
use crate::model::{Key, PaymentId, ResultRow, RunId, Timestamp, WorkflowId};

/// What is stored in one piece: the transitions of one family's step, the answer to the request that caused it, and who
/// that was.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    pub transitions: Vec<Transition>,
    pub answer: Option<StoredAnswer>,
    /// Whose the instances are that are born here.
    pub owner: Option<Owner>,
    pub audit: Option<Box<AuditEntry>>,
}

/// The first answer given under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub key: String,
    /// A hash of the request, to tell a repetition from another request under the same key.
    pub fingerprint: String,
    /// The outcome as JSON; the host's to read.
    pub outcome: String,
    pub at: Timestamp,
}

/// What became of one unit of a batch that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Stored,
    /// Nothing of the unit was stored; the rest of the batch was.
    Conflict(Conflict),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A workflow of this id exists already.
    WorkflowExists,
    /// Another order holds this payment id.
    PaymentInUse(PaymentId),
    /// The idempotency key has an answer already.
    KeyUsed,
}

/// Why the store could not do what was asked. Nothing of it was stored, unless it says [`StoreError::OutcomeUnknown`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or written now: locked, disk full, connection lost. May be tried again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A COMMIT got no answer; it must be read back.
    #[error("it is not known whether the commit took place: {0}")]
    OutcomeUnknown(String),
    /// Another process owns the database now. Nothing this one does will be stored any more.
    #[error("another process owns the database now")]
    NotOwner,
    /// What was asked breaks a rule of the schema. Trying again does not help.
    #[error("the database refused: {0}")]
    Refused(String),
    /// What is stored cannot be read.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

/// The single writer. Lives on a thread of its own; every call blocks.
pub trait Journal: Send {
    /// Appends units in one transaction, durable on return. The verdicts are in the order of the units. A unit that
    /// conflicts is left out and the others are stored.
    ///
    /// # Errors
    /// [`StoreError`]: the whole batch is not stored (or, if it says so, its outcome is unknown).
    fn append(&mut self, units: &[Unit]) -> Result<Vec<Verdict>, StoreError>;

    /// Whether the database takes writes: writes something that changes nothing, durably. For use after an append failed.
    ///
    /// # Errors
    /// [`StoreError`] where it does not.
    fn probe(&mut self) -> Result<(), StoreError>;

    /// Removes stored answers older than `before`. Writes nothing where there are none.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError>;

    /// Changes the keys, durable on return, with its entry in the audit. False: there is no key of this id.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is changed (or, if it says so, its outcome is unknown).
    fn change_keys(&mut self, change: &KeyChange, audit: Option<&AuditEntry>) -> Result<bool, StoreError>;

    /// The running number of the last event that was committed; 0 where there is none.
    fn last_event(&self) -> u64;

    /// Keeps what an operator changed of a queue, in place of what was kept of it; durable on return.
    ///
    /// # Errors
    /// [`StoreError`]: it is not kept.
    fn put_queue(&mut self, queue: &StoredQueue) -> Result<(), StoreError>;
}

/// What an operator changed of a task queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredQueue {
    pub name: String,
    /// The change as JSON; the host's to read.
    pub change: String,
}

/// Calls of a queue that are on disk without a result: those under way and those that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLoad {
    pub queue: String,
    pub calls: usize,
    /// When the oldest of them was scheduled.
    pub oldest: Timestamp,
}

/// One instance as it is stored.
#[derive(Debug, Clone)]
pub struct StoredWorkflow {
    pub key: Key,
    pub root: Key,
    pub id: WorkflowId,
    pub parent: Option<WorkflowId>,
    /// Whose it is; `None`: nobody's in particular.
    pub owner: Option<Owner>,
    pub kind: String,
    pub run_id: RunId,
    pub state: String,
    pub seq: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub snapshot: String,
}

/// One fact of a history.
#[derive(Debug, Clone, Serialize)]
pub struct StoredFact {
    pub seq: u64,
    #[serde(flatten)]
    pub fact: FactRecord,
    pub at: Timestamp,
}

/// One event out of the histories of all instances, as the view `events` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct StoredEvent {
    /// The running number over all histories, in the order of the commits; without gaps.
    pub id: u64,
    /// Whose it is: an order, or a child such as `o-1/shipping/1`.
    pub order_id: WorkflowId,
    pub seq: u64,
    #[serde(flatten)]
    pub fact: FactRecord,
    pub at: Timestamp,
}

/// Whose events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsOf {
    All,
    /// Of this instance alone.
    Instance(WorkflowId),
    /// Of this root and of all its children, ended or not.
    Family(WorkflowId),
    /// Of everything that is this owner's.
    Owner(Owner),
}

/// A payment row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayment {
    pub payment_id: String,
    pub order_id: String,
    pub status: String,
    pub amount: String,
    pub currency: String,
}

/// A family that has something to do at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub root: WorkflowId,
    pub key: Key,
    pub at: Timestamp,
}

/// Reads. Shared by many threads; every call blocks and sees all that was committed before it.
pub trait Queries: Send + Sync {
    /// Answers if the database does.
    ///
    /// # Errors
    /// [`StoreError`] where it does not.
    fn ping(&self) -> Result<(), StoreError>;

    /// The root of this id and its open children, the root first; empty where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn family(&self, root: &WorkflowId) -> Result<Vec<StoredWorkflow>, StoreError>;

    /// The families of several roots in one read, each as [`Queries::family`] gives it.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn families(&self, roots: &[WorkflowId]) -> Result<Vec<Vec<StoredWorkflow>>, StoreError>;

    /// One instance, root or child, ended or not.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn workflow(&self, id: &WorkflowId) -> Result<Option<StoredWorkflow>, StoreError>;

    /// Facts of one instance with `seq > after`, oldest first; `None` where there is no such instance.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn history(&self, id: &WorkflowId, after: u64, limit: usize) -> Result<Option<Vec<StoredFact>>, StoreError>;

    /// Events with an id greater than `after`, oldest first, of about `transitions_max` transitions at most. Empty:
    /// there are none yet. An id that is not there yet has none.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn events(&self, of: &EventsOf, after: u64, transitions_max: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// A page of orders.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn orders(&self, filter: &OrderFilter) -> Result<Page, StoreError>;

    /// A page of workflows by kind.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn of_kinds(&self, filter: &KindFilter) -> Result<KindPage, StoreError>;

    /// How many instances there are, by kind and state; exactly what counting the rows gives.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn stats(&self) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError>;

    /// The same of one owner's instances; states without any are left out.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn stats_of(&self, owner: &str) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError>;

    /// Whose an instance is: `None` where there is none of this id, `Some(None)` where it is nobody's in particular.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn owner(&self, id: &WorkflowId) -> Result<Option<Option<Owner>>, StoreError>;

    /// All API keys, revoked ones included.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// How many API keys there are, and how many of them are revoked.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn key_counts(&self) -> Result<(i64, i64), StoreError>;

    /// A page of the audit.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn audit(&self, filter: &AuditFilter) -> Result<Vec<StoredAudit>, StoreError>;

    /// Families due in `(after.0, until]`, ordered by (instant, key), beginning behind `after`.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn due(&self, after: (Timestamp, Key), until: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError>;

    /// The first instant later than `after` at which a family is due.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// The answer stored under an idempotency key.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError>;

    /// Rows of a root's results with a name greater than `after`, by name, `limit` of them at most; `None` where there is no
    /// such workflow. Names are compared byte by byte.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn results(&self, root: &WorkflowId, after: &str, limit: usize) -> Result<Option<Vec<ResultRow>>, StoreError>;

    /// The payment of an order.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn payment(&self, order: &WorkflowId) -> Result<Option<StoredPayment>, StoreError>;

    /// What operators changed of queues.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn queues(&self) -> Result<Vec<StoredQueue>, StoreError>;

    /// A text that only this database knows, to sign with; it stays the same as long as the database is there.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn secret(&self) -> Result<String, StoreError>;

    /// The calls outstanding of each queue, out of the instances that are due at once. Reads each of their snapshots: for
    /// a look, not for the hot path.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn outstanding(&self) -> Result<Vec<QueueLoad>, StoreError>;

    /// Instances with a key greater than `after`, by key; for checks that read everything.
    ///
    /// # Errors
    /// [`StoreError`] where the database is not available.
    fn scan(&self, after: Key, limit: usize) -> Result<Vec<StoredWorkflow>, StoreError>;
}

/// An open database, owned by this process until it is dropped.
pub struct Store {
    pub journal: Box<dyn Journal>,
    pub queries: Arc<dyn Queries>,
    /// What operators changed of queues.
    pub queues: Vec<StoredQueue>,
    /// A text that only this database knows, to sign with; it stays the same as long as the database is there.
    pub secret: String,
    /// Whether the owner before did not give it back: it was killed, or its machine went down.
    pub after_crash: bool,
    /// The first key that is free.
    pub next_key: Key,
    /// The API keys as they are now, revoked ones included.
    pub api_keys: Vec<ApiKey>,
    /// Keeps the database ours; released when dropped.
    pub ownership: Box<dyn Send>,
    /// Tells whether it still is.
    pub fence: Fence,
}
