//! The trait a workflow implements: a pure state machine of facts and wishes.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::core::Core;
use super::machine::{Document, Live, Machine};
use super::retry::Policies;
use crate::model::{Failure, Name, PaymentRow, ResultRow, Timestamp, Trace, WorkflowId};

/// The signal an instance gets when it is started once more: it takes it where its content is the same (by the
/// `fingerprint` in the payload), and refuses it otherwise.
pub const START_AGAIN: &str = "start";

/// What may happen to a workflow, as far as it must decide on it itself.
#[derive(Debug)]
pub enum Stimulus<'a> {
    Signal {
        name: &'a str,
        payload: &'a Value,
    },
    ActivityCompleted {
        activity: &'a str,
        result: &'a Value,
    },
    /// An attempt failed. `gave_up`: there will be no further one.
    AttemptFailed {
        activity: &'a str,
        attempt: u32,
        failure: &'a Failure,
        gave_up: bool,
    },
    TimerFired {
        timer: &'a str,
    },
    DeadlineReached,
    /// An operator wants it to go on from the step that failed.
    Retry,
}

/// What a decision may look at besides the workflow's own state.
#[derive(Debug)]
pub struct View<'a> {
    pub now: Timestamp,
    pub core: &'a Core,
    pub policies: &'a Policies,
}

impl View<'_> {
    /// The instant timers are set from: in a pause the moment it began, since they are moved by all of it at its end.
    pub fn timers_from(&self) -> Timestamp {
        self.core.paused_at.unwrap_or(self.now)
    }
}

/// Something that must be under way in the present state. Derived from the state, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// An activity on a task queue.
    Activity { name: &'static str, queue: &'static str, persistence: Persistence },
    /// A durable timer.
    Timer { name: &'static str, due: Timestamp },
    /// A child workflow; its start input comes from [`Workflow::child_input`].
    Child { kind: &'static str, id: WorkflowId },
    /// Nothing but a signal of this name helps.
    Signal { name: &'static str },
}

/// How far an activity's retries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// As the retry policy says.
    Policy,
    /// Its effect may have happened: asked again, with the same key, until an answer or a refusal makes it known.
    UntilKnown,
    /// Compensation: until it is done, whatever the answer.
    UntilDone,
}

/// Why an input was not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// A stable snake_case word.
    pub code: Name,
    pub message: String,
}

impl Rejection {
    pub fn new(code: impl Into<Name>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// A signal to a relative, which follows from a fact and is delivered in the same commit where the host can.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub to: Recipient,
    pub signal: &'static str,
    pub payload: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    Parent,
    Child(WorkflowId),
}

/// Whether the deadline clock runs in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMode {
    Running,
    /// It stands still: the workflow waits for a person.
    Still,
    /// It no longer matters: compensation goes on past the deadline.
    Over,
}

/// A kind of workflow. All methods are pure functions of their arguments.
pub trait Workflow: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + 'static {
    /// The name of the kind, as in `workflows.kind`.
    const KIND: &'static str;
    /// What it counts as and is reached as from outside, where several kinds are one to people: every type of task is
    /// a kind of its own, and a `task`.
    const GROUP: &'static str = Self::KIND;
    /// The version its snapshots and facts are written in.
    const VERSION: u16 = 1;
    /// Facts of its own: past-tense names, written as `{"type", "data"}`.
    type Event: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send;

    /// The first fact of a new instance.
    ///
    /// # Errors
    /// A [`Rejection`] where the input is not one to start with.
    fn start(id: &WorkflowId, input: &Value, now: Timestamp) -> Result<Self::Event, Rejection>;

    /// The state after the first fact; `None` where the fact is not a first one.
    fn born(event: &Self::Event, at: Timestamp) -> Option<Self>;

    /// Facts that follow from a stimulus; none where it changes nothing (it is already so).
    ///
    /// # Errors
    /// A [`Rejection`] where the state forbids it.
    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Result<Vec<Self::Event>, Rejection>;

    /// The next fact that follows from the state alone, if there is one.
    fn advance(&self, view: &View<'_>) -> Option<Self::Event>;

    /// The state after one more fact.
    fn evolve(&mut self, event: &Self::Event, at: Timestamp);

    /// What must be under way now.
    fn wishes(&self) -> Vec<Wish>;

    /// The idempotency key of an activity it wishes for: one for all attempts of a step, and another for each step.
    fn idempotency_key(&self, activity: &str) -> String;

    /// The input of one of its activities.
    fn activity_input(&self, activity: &str) -> Value;

    /// The start input of one of its children.
    fn child_input(&self, _child: &WorkflowId) -> Value {
        Value::Null
    }

    /// Signals to relatives that follow from a fact, read in the state right after it.
    fn messages(&self, _event: &Self::Event) -> Vec<Message> {
        Vec::new()
    }

    /// The word for the present state.
    fn state_name(&self) -> &'static str;

    /// Whether it has ended.
    fn is_terminal(&self) -> bool;

    /// Whether an operator's retry can restart it from here, although it has ended.
    fn is_retriable(&self) -> bool {
        false
    }

    /// Its budget of running time in ms; `None`: no deadline.
    fn deadline_ms(&self) -> Option<u64> {
        None
    }

    fn clock_mode(&self) -> ClockMode {
        ClockMode::Running
    }

    /// Moves the timers it keeps by `ms`, after a pause.
    fn shift_timers(&mut self, _ms: u64) {}

    /// The trace its start came with.
    fn trace(&self) -> Option<Trace> {
        None
    }

    /// The payment to keep beside it.
    fn payment(&self) -> Option<PaymentRow> {
        None
    }

    /// Rows to keep beside it, in the commit of the facts that follow from a stimulus; read in the state before them, and
    /// kept once under each name: the first stands. For results that are too many or too large for the state.
    fn results(&self, _stimulus: &Stimulus<'_>) -> Vec<ResultRow> {
        Vec::new()
    }

    /// Its status document: the durable record, and `live` where it is asked for. `children`: its children that have
    /// not ended.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    fn document(&self, core: &Core, children: &[&dyn Machine], live: Option<&Live>) -> serde_json::Result<Document>;

    /// Signals of a person that end a parking after crashes (`stuck`), a cancel for instance.
    fn frees_when_stuck(&self, _signal: &str) -> bool {
        false
    }
}
