//! The door to the engine: what the faces (HTTP, tests, demos) call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Options;
use crate::activities::Activities;
use crate::kernel::{Registry, Rejection};
use crate::model::{Name, PaymentId, WorkflowId};
use crate::store::{Queries, Store, StoreError};

/// Something asked of one workflow.
#[derive(Debug, Clone)]
pub struct Command {
    pub id: WorkflowId,
    pub action: Action,
    pub idempotency: Option<IdempotencyKey>,
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
    Pause,
    Resume,
    Retry,
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
    /// No answer in time; the command may still take effect.
    #[error("no answer in time")]
    Timeout,
}

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {}

impl Engine {
    /// Starts the engine on a store and begins recovery. Must be called within an actix system.
    pub fn start(_options: Options, _registry: Registry, _activities: Activities, _store: Store) -> Self {
        todo!()
    }

    /// Whether recovery is done and the engine takes commands.
    pub fn is_ready(&self) -> bool {
        todo!()
    }

    /// Hands a command to its workflow and waits until its outcome is durable.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn submit(&self, _command: Command) -> Result<Answer, EngineError> {
        todo!()
    }

    /// The status document of a workflow as JSON text, `live` included; with `wait`, once it is in that state or the
    /// time is over.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn status(&self, _id: &WorkflowId, _wait: Option<(Until, Duration)>) -> Result<String, EngineError> {
        todo!()
    }

    /// The durable record of a workflow alone, read from SQL; `seq`: as it was after that fact.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn record(&self, _id: &WorkflowId, _seq: Option<u64>) -> Result<Value, EngineError> {
        todo!()
    }

    /// Runs a read on the readers' threads.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn read<T, F>(&self, _read: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Queries) -> Result<T, StoreError> + Send + 'static,
    {
        todo!()
    }

    /// The document of a family that was read from the store, `live` included (as passivated).
    ///
    /// # Errors
    /// [`EngineError::Store`] where it cannot be read.
    pub fn document(&self, _family: &[crate::store::StoredWorkflow]) -> Result<Value, EngineError> {
        todo!()
    }

    /// The retry policies in force and the kinds and activities known, as JSON, for people.
    pub fn describe(&self) -> Value {
        todo!()
    }

    /// Stops taking work, lets what runs end for at most `grace`, and stops all actors.
    pub async fn drain(&self, _grace: Duration) {
        todo!()
    }
}
