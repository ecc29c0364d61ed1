//! The workflow `job`: one activity that sums numbers, tried again where it fails.
//!
//! Invariant: a job that completed has a sum, and one that ended otherwise has none.

mod document;
mod number;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use number::{NumberError, SumError, check, sum};

use crate::kernel::{
    Core, Document, Live, Machine, Persistence, Rejection, START_AGAIN, Stimulus, View, Wish, Workflow,
};
use crate::model::{ErrorInfo, FailureKind, Timestamp, WorkflowId};

/// The name of the kind.
pub const KIND: &str = "job";
/// The task queue of its activity.
pub const QUEUE: &str = "jobs";
/// Its activity.
pub const SUM: &str = "sum_numbers";
/// How many numbers a job sums at most.
pub const NUMBERS_MAX: usize = 100_000;
/// The states a job can be in, `stuck` of the kernel aside.
pub const STATES: [&str; 4] = ["running", "completed", "failed", "cancelled"];

/// Names of the signals people send.
pub mod signal {
    pub const CANCEL: &str = "cancel";
}

/// The content of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStart {
    pub job_id: WorkflowId,
    /// As they were written: a number never passes through a float on its way. Shared, for a step copies the state.
    pub numbers: Arc<Vec<String>>,
    /// The first attempt is to fail on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_first_attempt: bool,
    /// A hash of the request, to tell a repetition from another job.
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub start: JobStart,
    pub stage: Stage,
    /// The exact sum, as a JSON number is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<ErrorInfo>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Running,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum JobEvent {
    JobReceived(JobStart),
    JobCompleted {
        sum: String,
        attempt: u32,
    },
    JobFailed {
        error: Box<ErrorInfo>,
    },
    JobCancelled {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Job {
    fn signal(&self, name: &str, payload: &Value) -> Result<Vec<JobEvent>, Rejection> {
        match (name, self.stage) {
            (START_AGAIN, _) if payload["fingerprint"] == self.start.fingerprint.as_str() => Ok(Vec::new()),
            (START_AGAIN, _) => Err(Rejection::new("job_exists", "there is another job of this id")),
            (signal::CANCEL, Stage::Running) => {
                let reason = payload.get("reason").and_then(Value::as_str).map(str::to_owned);
                Ok(vec![JobEvent::JobCancelled { reason }])
            }
            (signal::CANCEL, Stage::Cancelled) => Ok(Vec::new()),
            (signal::CANCEL, _) => {
                Err(Rejection::new("job_not_cancellable", format!("the job is {}", self.state_name())))
            }
            (other, _) => Err(Rejection::new("unknown_signal", format!("a job does not know the signal {other:?}"))),
        }
    }

    /// What an attempt's result comes to: it must be a sum.
    fn completed(result: &Value, view: &View<'_>) -> JobEvent {
        let attempt = view.core.attempts.get(SUM).copied().unwrap_or(0);
        match result.get("sum").and_then(Value::as_str) {
            Some(sum) if check(sum).is_ok() => JobEvent::JobCompleted { sum: sum.to_owned(), attempt },
            _ => JobEvent::JobFailed {
                error: Box::new(ErrorInfo {
                    kind: FailureKind::Error,
                    message: format!("the result of {SUM} is not a sum"),
                    activity: SUM.into(),
                    attempt,
                    at: view.now,
                }),
            },
        }
    }
}

impl Workflow for Job {
    const KIND: &'static str = KIND;
    type Event = JobEvent;

    fn start(id: &WorkflowId, input: &Value, _now: Timestamp) -> Result<JobEvent, Rejection> {
        match JobStart::deserialize(input) {
            Ok(start) if start.job_id == *id => Ok(JobEvent::JobReceived(start)),
            Ok(start) => Err(Rejection::new("invalid_input", format!("the job {id} is given as {}", start.job_id))),
            Err(e) => Err(Rejection::new("invalid_input", e.to_string())),
        }
    }

    fn born(event: &JobEvent, _at: Timestamp) -> Option<Self> {
        let JobEvent::JobReceived(start) = event else { return None };
        Some(Self { start: start.clone(), stage: Stage::Running, sum: None, error: None })
    }

    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Result<Vec<JobEvent>, Rejection> {
        match stimulus {
            Stimulus::Signal { name, payload } => self.signal(name, payload),
            Stimulus::ActivityCompleted { result, .. } if self.stage == Stage::Running => {
                Ok(vec![Self::completed(result, view)])
            }
            Stimulus::AttemptFailed { gave_up: true, .. } if self.stage == Stage::Running => {
                // The kernel has noted this failure a moment ago.
                let error = view.core.last_error().cloned();
                Ok(error.map(|error| JobEvent::JobFailed { error: Box::new(error) }).into_iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn advance(&self, _view: &View<'_>) -> Option<JobEvent> {
        None
    }

    fn evolve(&mut self, event: &JobEvent, _at: Timestamp) {
        match event {
            JobEvent::JobReceived(_) => return,
            JobEvent::JobCompleted { sum, .. } => {
                self.stage = Stage::Completed;
                self.sum = Some(sum.clone());
            }
            JobEvent::JobFailed { error } => {
                self.stage = Stage::Failed;
                self.error = Some(error.clone());
            }
            JobEvent::JobCancelled { .. } => self.stage = Stage::Cancelled,
        }
        // The first fact has them; a row of a job that has ended stays small.
        self.start.numbers = Arc::default();
    }

    fn wishes(&self) -> Vec<Wish> {
        match self.stage {
            Stage::Running => {
                vec![Wish::Activity { name: SUM, queue: QUEUE, persistence: Persistence::Policy }]
            }
            Stage::Completed | Stage::Failed | Stage::Cancelled => Vec::new(),
        }
    }

    fn idempotency_key(&self, activity: &str) -> String {
        format!("{}/{activity}", self.start.job_id)
    }

    fn activity_input(&self, _activity: &str) -> Value {
        json!({ "numbers": self.start.numbers, "fail_first_attempt": self.start.fail_first_attempt })
    }

    fn state_name(&self) -> &'static str {
        match self.stage {
            Stage::Running => "running",
            Stage::Completed => "completed",
            Stage::Failed => "failed",
            Stage::Cancelled => "cancelled",
        }
    }

    fn is_terminal(&self) -> bool {
        self.stage != Stage::Running
    }

    fn document(&self, core: &Core, _children: &[&dyn Machine], _live: Option<&Live>) -> serde_json::Result<Document> {
        document::write(self, core)
    }

    fn frees_when_stuck(&self, signal: &str) -> bool {
        signal == signal::CANCEL
    }
}
