//! The document of a task, the same for every type.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::kernel::{Core, Document};
use crate::model::{ErrorInfo, RunId, Timestamp, WorkflowId, redacted};

/// The longest parameters that are shown; a page has hundreds of them. The first fact of the history has them all.
const PARAMS_BYTES_MAX: usize = 16 * 1024;

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Units of its own that are done: calls, files, invoices.
    pub done: u64,
    /// All of them, where that is known.
    pub total: Option<u64>,
    /// What is under way, for people.
    pub message: String,
}

/// What a task shows of itself.
pub struct TaskView<'a, P> {
    pub task_type: &'static str,
    pub status: &'static str,
    pub params: &'a P,
    pub progress: Progress,
    pub result: Option<&'a Value>,
    pub error: Option<&'a ErrorInfo>,
}

#[derive(Serialize)]
struct Shown<'a> {
    task_id: &'a WorkflowId,
    run_id: RunId,
    task_type: &'static str,
    status: &'static str,
    status_url: String,
    task_params: Option<Box<RawValue>>,
    progress: &'a Progress,
    result: Option<&'a Value>,
    error: Option<&'a ErrorInfo>,
    attempts: &'a std::collections::BTreeMap<crate::model::Name, u32>,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
}

impl<P: Serialize> TaskView<'_, P> {
    /// The document; sealed secrets are not shown.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn document(&self, core: &Core) -> serde_json::Result<Document> {
        let params = serde_json::value::to_raw_value(self.params)?;
        let text = serde_json::to_string(&Shown {
            task_id: &core.id,
            run_id: core.run_id,
            task_type: self.task_type,
            status: self.status,
            status_url: format!("/api/tasks/{}", core.id),
            task_params: (params.get().len() <= PARAMS_BYTES_MAX).then_some(params),
            progress: &self.progress,
            result: self.result,
            error: self.error,
            attempts: &core.attempts,
            created_at: core.created_at,
            completed_at: core.ended_at,
        })?;
        RawValue::from_string(redacted(&text).into_owned())
    }
}
