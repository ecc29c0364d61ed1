//! The state and the facts of a task without a machine of its own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{Progress, TaskView};
use super::{Next, TaskStart, TaskType};
use crate::model::{ErrorInfo, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Task<T: TaskType> {
    pub start: TaskStart<T>,
    pub stage: Stage,
    /// Calls that are completed.
    pub done: u32,
    /// See [`TaskType::remember`].
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub memory: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
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

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", bound = "")]
pub enum TaskEvent<T: TaskType> {
    TaskStarted(TaskStart<T>),
    /// One more call is completed; what is remembered now.
    StepCompleted {
        done: u32,
        #[serde(default, skip_serializing_if = "Value::is_null")]
        memory: Value,
    },
    TaskCompleted {
        result: Value,
    },
    TaskFailed {
        error: Box<ErrorInfo>,
    },
    TaskCancelled {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl<T: TaskType> Task<T> {
    pub(super) fn next(&self) -> Next {
        self.start.params.next(self.done, &self.memory)
    }

    /// What follows from the state alone: its end, where the type says so.
    pub(super) fn ending(&self, at: Timestamp) -> Option<TaskEvent<T>> {
        if self.stage != Stage::Running {
            return None;
        }
        match self.next() {
            Next::Call { .. } => None,
            Next::Done(result) => Some(TaskEvent::TaskCompleted { result }),
            Next::Failed(message) => Some(self.failed(crate::model::FailureKind::Error, message, at)),
        }
    }

    /// A failure that no attempt has told of.
    pub(super) fn failed(&self, kind: crate::model::FailureKind, message: String, at: Timestamp) -> TaskEvent<T> {
        let error = ErrorInfo { kind, message, activity: T::NAME.into(), attempt: 0, at };
        TaskEvent::TaskFailed { error: Box::new(error) }
    }

    pub(super) fn fold(&mut self, event: &TaskEvent<T>) {
        match event {
            TaskEvent::TaskStarted(_) => {}
            TaskEvent::StepCompleted { done, memory } => {
                self.done = *done;
                self.memory.clone_from(memory);
            }
            TaskEvent::TaskCompleted { result } => {
                self.stage = Stage::Completed;
                self.result = Some(result.clone());
                self.memory = Value::Null;
            }
            TaskEvent::TaskFailed { error } => {
                self.stage = Stage::Failed;
                self.error = Some(error.clone());
            }
            TaskEvent::TaskCancelled { .. } => self.stage = Stage::Cancelled,
        }
    }

    pub(super) fn view(&self) -> TaskView<'_, T> {
        let message = match self.stage {
            Stage::Running => match self.next() {
                Next::Call { message, .. } => message,
                Next::Done(_) | Next::Failed(_) => String::new(),
            },
            ended => ended.as_str().to_owned(),
        };
        TaskView {
            task_type: T::NAME,
            status: self.stage.as_str(),
            params: &self.start.params,
            progress: Progress { done: self.done.into(), total: self.start.params.total().map(u64::from), message },
            result: self.result.as_ref(),
            error: self.error.as_deref(),
        }
    }
}
