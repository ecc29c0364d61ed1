//! An instance of any kind, seen from a host: what goes in, what comes out.

use std::fmt::Debug;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::core::Core;
use super::facts::FactRecord;
use super::family::IdSource;
use super::registry::Registry;
use super::retry::Policies;
use super::workflow::{Message, Rejection};
use crate::model::{ErrorInfo, Failure, Name, PaymentRow, ResultRow, RunId, Timestamp, Trace, WorkflowId};

/// What a host feeds an instance with.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Signal {
        name: Name,
        payload: Value,
    },
    ActivityCompleted {
        activity: Name,
        attempt: u32,
        result: Value,
    },
    ActivityFailed {
        activity: Name,
        attempt: u32,
        failure: Failure,
    },
    /// Time has passed: look at timers, backoffs and the deadline.
    Tick,
    Pause,
    Resume,
    /// An operator restarts what failed or is stuck.
    Retry,
    /// The host gave up restarting the actor.
    Crashed {
        reason: String,
    },
}

/// What a step may look at: the instant, the policies, the kinds, and a source of new ids.
pub struct Cx<'a> {
    pub now: Timestamp,
    pub policies: &'a Policies,
    pub registry: &'a Registry,
    pub ids: &'a dyn IdSource,
}

/// A call of an activity that a committed transition allows.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityCall {
    pub workflow_id: WorkflowId,
    pub run_id: RunId,
    /// The fact that scheduled it, or the newest one after a recovery; for logs.
    pub seq: u64,
    pub activity: Name,
    pub attempt: u32,
    pub queue: Name,
    pub idempotency_key: String,
    pub timeout_ms: u64,
    /// Since when this attempt waits to be made.
    pub scheduled_at: Timestamp,
    pub input: Value,
    /// It was found on disk after a restart: the call may have been made before.
    pub recovered: bool,
    /// The trace of the family's root; the span is this attempt's.
    pub trace: Trace,
}

/// A child to be created in the same commit.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildStart {
    pub kind: &'static str,
    pub id: WorkflowId,
    pub input: Value,
}

/// What one input brought about in one instance. Empty: it changed nothing.
#[derive(Debug, Default)]
pub struct Step {
    /// The facts, each as `{"type", "data"}`.
    pub facts: Vec<String>,
    pub calls: Vec<ActivityCall>,
    pub messages: Vec<Message>,
    pub children: Vec<ChildStart>,
    /// Rows to keep beside it; see [`super::Workflow::results`].
    pub results: Vec<ResultRow>,
}

/// What an instance waits for, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// `activity`, `timer`, `signal` or `child`.
    pub kind: &'static str,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ErrorInfo>,
}

/// A status document as JSON text.
pub type Document = Box<RawValue>;

/// The live part of a status document: the actor beside the durable record.
#[derive(Debug, Clone, Serialize)]
pub struct Live {
    /// `active` or `passivated`.
    pub actor: &'static str,
    /// Inputs that wait for it.
    pub mailbox: usize,
    /// How often it was rebuilt after a panic.
    pub restarts: u32,
    pub waiting_for: Vec<Waiting>,
}

/// Something stored cannot be read, or something cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct CodecError {
    pub what: String,
    #[source]
    pub source: serde_json::Error,
}

/// An instance of any kind.
pub trait Machine: Debug + Send {
    fn kind(&self) -> &'static str;
    /// See [`super::Workflow::GROUP`].
    fn group(&self) -> &'static str;
    fn core(&self) -> &Core;
    /// Takes an input. On an error, and where the step is empty, the instance is unchanged in what is stored of it.
    ///
    /// # Errors
    /// A [`Rejection`] where the state forbids the input.
    fn step(&mut self, input: &Input, cx: &Cx<'_>) -> Result<Step, Rejection>;
    /// Folds one stored fact, as a replay does.
    ///
    /// # Errors
    /// [`CodecError`] where the fact cannot be read.
    fn replay(&mut self, fact: &FactRecord, at: Timestamp) -> Result<(), CodecError>;
    fn boxed(&self) -> Box<dyn Machine>;
    /// The word for its state; `stuck` where it is parked.
    fn state_name(&self) -> &'static str;
    fn is_terminal(&self) -> bool;
    /// The whole state as JSON.
    ///
    /// # Errors
    /// [`CodecError`] where it cannot be written.
    fn snapshot(&self) -> Result<String, CodecError>;
    /// Its status document; see [`super::Workflow::document`].
    ///
    /// # Errors
    /// [`CodecError`] where it cannot be written.
    fn document(&self, children: &[&dyn Machine], live: Option<&Live>) -> Result<Document, CodecError>;
    /// The trace it belongs to: the one its start came with, or one of its own run.
    fn trace(&self) -> Trace;
    fn payment(&self) -> Option<PaymentRow>;
    fn waiting_for(&self) -> Vec<Waiting>;
    /// Calls that are on disk without a result.
    fn outstanding(&self) -> Vec<ActivityCall>;
    /// When it next has something to do by itself, but for results of calls.
    fn next_timer(&self) -> Option<Timestamp>;

    /// When it must be brought back to life after a restart: at once (the instant 0) while a call is outstanding,
    /// else at its next timer; never where only a signal helps, as while it is stuck.
    fn wake_at(&self) -> Option<Timestamp> {
        let core = self.core();
        let running = || core.activities.values().any(|run| run.phase == super::core::Phase::Running);
        let outstanding = core.stuck.is_none() && running();
        if outstanding { Some(Timestamp(0)) } else { self.next_timer() }
    }
}
