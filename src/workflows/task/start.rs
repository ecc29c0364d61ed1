//! What every task is started with.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::Rejection;
use crate::model::WorkflowId;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStart<P> {
    pub task_id: WorkflowId,
    /// Secrets in them are sealed.
    pub params: P,
    /// A keyed hash of the request, to tell a repetition from another task of the same id.
    pub fingerprint: String,
}

impl<P: DeserializeOwned> TaskStart<P> {
    /// Reads the start input of the task `id`.
    ///
    /// # Errors
    /// `invalid_input` where it is not one.
    pub fn read(id: &WorkflowId, input: &Value) -> Result<Self, Rejection> {
        let invalid = |why: String| Rejection::new("invalid_input", why);
        let start = Self::deserialize(input).map_err(|e| invalid(e.to_string()))?;
        if start.task_id == *id { Ok(start) } else { Err(invalid(format!("the task {id} is given another id"))) }
    }

    /// What a start of the same id comes to: nothing where it is the same request.
    ///
    /// # Errors
    /// `task_exists` where it is another.
    pub fn again(&self, payload: &Value) -> Result<(), Rejection> {
        if payload["fingerprint"] == self.fingerprint.as_str() {
            Ok(())
        } else {
            Err(Rejection::new("task_exists", "there is another task of this id"))
        }
    }
}
