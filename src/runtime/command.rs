//! What is asked of the engine, and what it answers.

use serde_json::Value;

use crate::access::Owner;
use crate::kernel::Rejection;
use crate::model::{Failure, Name, PaymentId, WorkflowId};
use crate::store::{AuditEntry, StoreError};

/// Something asked of one workflow.
#[derive(Debug, Clone)]
pub struct Command {
    pub id: WorkflowId,
    /// The group of kinds it is asked of: a workflow of another group is not found under this id.
    pub group: &'static str,
    pub action: Action,
    pub idempotency: Option<IdempotencyKey>,
    pub by: Caller,
}

/// On whose behalf something is asked. By default nobody's in particular, who sees everything.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// What is started is this owner's, and what is not is not there.
    pub owner: Option<Owner>,
    /// Stored in the same commit, where the command changes something.
    pub audit: Option<Box<AuditEntry>>,
}

impl Caller {
    /// Whether what belongs to `owner` is there for this caller.
    pub fn sees(&self, owner: Option<&Owner>) -> bool {
        self.owner.is_none() || self.owner.as_ref() == owner
    }
}

#[derive(Debug, Clone)]
pub enum Action {
    /// `fingerprint`: a hash of the request, to tell a repetition from another start of the same id.
    Start {
        kind: &'static str,
        input: Value,
        fingerprint: String,
    },
    Signal {
        name: Name,
        payload: Value,
    },
    /// An outside worker tells how an attempt has ended. `to`: the instance whose attempt it is, perhaps a child of the one
    /// the command is for.
    Report {
        to: WorkflowId,
        activity: Name,
        attempt: u32,
        outcome: Result<Value, Failure>,
    },
    Pause,
    Resume,
    Retry,
}

impl Command {
    /// Whether it is asked of workflows of this group. What an outside worker reports is of any: its token says whose.
    pub(super) fn is_for(&self, group: &str) -> bool {
        self.group == group || matches!(self.action, Action::Report { .. })
    }

    /// Which instance of the family it is for.
    pub(super) fn to(&self) -> &WorkflowId {
        match &self.action {
            Action::Report { to, .. } => to,
            _ => &self.id,
        }
    }
}

/// A client's key for its request, and a hash of that request.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    pub key: String,
    pub fingerprint: String,
}

/// The answer to a command that was taken, given once it is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// False: it was so already, nothing new was stored.
    pub changed: bool,
    /// Whether the caller's audit entry was stored with it.
    pub audited: bool,
    /// The status document as JSON text, `live` included.
    pub document: String,
}

/// Until when a status request is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    Terminal,
    State(String),
}

/// Why a command or a read got no answer. Nothing was changed, unless it says [`EngineError::Timeout`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    #[error("there is no workflow of this id")]
    NotFound,
    #[error("there is no key of this id")]
    NoSuchKey,
    #[error(transparent)]
    Rejected(Rejection),
    #[error("the payment id {0} belongs to another order")]
    PaymentInUse(PaymentId),
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A limit was hit; try again after so many seconds.
    #[error("overloaded: {what}")]
    Overloaded { what: &'static str, retry_after_s: u32 },
    #[error("shutting down")]
    Draining,
    /// The store is away.
    #[error(transparent)]
    Store(StoreError),
    /// The actor crashed over this input and is being rebuilt.
    #[error("the workflow's actor crashed and is being rebuilt: {0}")]
    Crashed(String),
    /// The same request was answered a moment ago, under the same idempotency key.
    #[error("the request was answered already; ask again")]
    AnswerExists,
    /// No answer in time; the command may still take effect.
    #[error("no answer in time")]
    Timeout,
}

impl Until {
    /// Whether a state is the one that is waited for.
    pub fn is_met(&self, state: &str, terminal: bool) -> bool {
        match self {
            // Whatever was waited for, an end is the last that comes.
            Self::Terminal => terminal,
            Self::State(name) => terminal || name == state,
        }
    }
}
