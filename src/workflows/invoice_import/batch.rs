//! The child `invoice_batch`: fetches a few invoices, one after the other, and keeps each as a row of the results in the
//! commit that records it. What is kept is not fetched again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::Credentials;
use super::{FETCH, QUEUE, signal};
use crate::kernel::{
    Core, Document, Live, Machine, Message, Persistence, Recipient, Rejection, Stimulus, View, Wish, Workflow,
};
use crate::model::{ErrorInfo, ResultRow, Timestamp, WorkflowId};
use crate::workflows::task::Stage;

pub const KIND: &str = "invoice_batch";

/// The start input, from the import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchStart {
    pub task_id: WorkflowId,
    pub number: u32,
    /// The invoices, by the portal's ids.
    pub ids: Vec<String>,
    /// Sealed.
    pub credentials: Credentials,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvoiceBatch {
    start: BatchStart,
    stage: Stage,
    /// Invoices that are kept: the first so many.
    done: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum BatchEvent {
    BatchStarted(BatchStart),
    /// The invoice is a row of the results.
    InvoiceFetched {
        invoice_id: String,
    },
    BatchImported {},
    BatchFailed {
        error: Box<ErrorInfo>,
    },
    BatchCancelled {},
}

impl InvoiceBatch {
    fn id(&self) -> Option<&String> {
        self.start.ids.get(self.done)
    }
}

impl Workflow for InvoiceBatch {
    const KIND: &'static str = KIND;
    type Event = BatchEvent;

    fn start(_id: &WorkflowId, input: &Value, _now: Timestamp) -> Result<BatchEvent, Rejection> {
        let start = BatchStart::deserialize(input);
        start.map(BatchEvent::BatchStarted).map_err(|e| Rejection::new("invalid_input", e.to_string()))
    }

    fn born(event: &BatchEvent, _at: Timestamp) -> Option<Self> {
        let BatchEvent::BatchStarted(start) = event else { return None };
        Some(Self { start: start.clone(), stage: Stage::Running, done: 0 })
    }

    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Result<Vec<BatchEvent>, Rejection> {
        if self.stage != Stage::Running {
            return Ok(Vec::new());
        }
        Ok(match stimulus {
            Stimulus::ActivityCompleted { .. } => {
                self.id().map(|id| BatchEvent::InvoiceFetched { invoice_id: id.clone() }).into_iter().collect()
            }
            Stimulus::AttemptFailed { gave_up: true, .. } => {
                // The kernel has noted this failure a moment ago.
                let error = view.core.last_error().cloned();
                error.map(|error| BatchEvent::BatchFailed { error: Box::new(error) }).into_iter().collect()
            }
            Stimulus::Signal { name: signal::CANCEL, .. } => vec![BatchEvent::BatchCancelled {}],
            _ => Vec::new(),
        })
    }

    fn advance(&self, _view: &View<'_>) -> Option<BatchEvent> {
        (self.stage == Stage::Running && self.id().is_none()).then_some(BatchEvent::BatchImported {})
    }

    fn evolve(&mut self, event: &BatchEvent, _at: Timestamp) {
        match event {
            BatchEvent::BatchStarted(_) => {}
            BatchEvent::InvoiceFetched { .. } => self.done += 1,
            BatchEvent::BatchImported {} => self.stage = Stage::Completed,
            BatchEvent::BatchFailed { .. } => self.stage = Stage::Failed,
            BatchEvent::BatchCancelled {} => self.stage = Stage::Cancelled,
        }
    }

    fn results(&self, stimulus: &Stimulus<'_>) -> Vec<ResultRow> {
        let Stimulus::ActivityCompleted { result, .. } = stimulus else { return Vec::new() };
        self.id().map(|id| ResultRow { name: id.clone(), body: result.to_string() }).into_iter().collect()
    }

    fn wishes(&self) -> Vec<Wish> {
        let fetch = Wish::Activity { name: FETCH, queue: QUEUE, persistence: Persistence::Policy };
        let running = self.stage == Stage::Running;
        self.id().filter(|_| running).map(|_| fetch).into_iter().collect()
    }

    fn idempotency_key(&self, activity: &str) -> String {
        format!("{}/{activity}/{}", self.start.task_id, self.id().map_or("", String::as_str))
    }

    fn activity_input(&self, _activity: &str) -> Value {
        json!({ "invoice_id": self.id(), "credentials": self.start.credentials })
    }

    fn messages(&self, event: &BatchEvent) -> Vec<Message> {
        let tell = |signal, payload| vec![Message { to: Recipient::Parent, signal, payload }];
        let number = self.start.number;
        match event {
            BatchEvent::BatchImported {} => tell(signal::IMPORTED, json!({ "batch": number, "invoices": self.done })),
            BatchEvent::BatchFailed { error } => tell(signal::FAILED, json!({ "batch": number, "error": error })),
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        self.stage.as_str()
    }

    fn is_terminal(&self) -> bool {
        self.stage != Stage::Running
    }

    fn document(&self, core: &Core, _children: &[&dyn Machine], live: Option<&Live>) -> serde_json::Result<Document> {
        serde_json::value::to_raw_value(&json!({
            "batch_id": core.id,
            "task_id": self.start.task_id,
            "status": self.state_name(),
            "done": self.done,
            "total": self.start.ids.len(),
            "invoice_ids": self.start.ids,
            "attempts": core.attempts,
            "last_error": core.last_error(),
            "created_at": core.created_at,
            "completed_at": core.ended_at,
            "live": live,
        }))
    }
}
