//! A job's and a task's document, read as one: what the console shows of both.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::doc::Failure;
use crate::model::{Timestamp, redacted};
use crate::runtime::{Engine, EngineError};
use crate::store::{StoreError, StoredFact, StoredWorkflow};
use crate::workflows::job;

#[derive(Debug, Deserialize)]
pub struct Work {
    #[serde(alias = "job_id", alias = "task_id")]
    pub id: String,
    pub run_id: String,
    /// A job has none: it is its own type.
    #[serde(default = "job_type")]
    pub task_type: String,
    /// As the row has it: `stuck` as well.
    #[serde(rename = "status")]
    pub state: String,
    #[serde(default)]
    task_params: Option<Value>,
    #[serde(default)]
    pub progress: Progress,
    /// As it was written: a sum may be longer than any number of ours.
    pub result: Option<Box<RawValue>>,
    pub error: Option<Failure>,
    #[serde(default)]
    pub attempts: BTreeMap<String, u32>,
    #[serde(default)]
    attempts_taken: u32,
    pub created_at: Timestamp,
    pub completed_at: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    pub message: String,
}

fn job_type() -> String {
    job::KIND.to_owned()
}

impl Work {
    /// Reads a family of the store: its document, and its state as the row has it.
    ///
    /// # Errors
    /// Where it is not a job or a task.
    pub fn of(engine: &Engine, family: &[StoredWorkflow]) -> Result<Self, EngineError> {
        let document = engine.document(family)?;
        let mut work: Self = serde_json::from_str(document.get()).map_err(|e| {
            EngineError::Store(StoreError::Corrupt(format!("a job or task cannot be read by the console: {e}")))
        })?;
        if let Some(row) = family.first() {
            row.state.clone_into(&mut work.state);
        }
        if work.is_job() {
            work.progress = work.of_job();
            if work.attempts_taken > 0 {
                work.attempts.insert(job::SUM.to_owned(), work.attempts_taken);
            }
        }
        Ok(work)
    }

    pub fn is_job(&self) -> bool {
        self.task_type == job::KIND
    }

    /// A job is one call.
    fn of_job(&self) -> Progress {
        let message = match (self.completed_at, self.attempts_taken) {
            (Some(_), _) => self.state.clone(),
            (None, 0 | 1) => "summing".to_owned(),
            (None, n) => format!("summing, attempt {n}"),
        };
        Progress { done: u64::from(self.state == "completed"), total: Some(1), message }
    }

    pub fn attempts_in_all(&self) -> u32 {
        self.attempts.values().sum()
    }

    /// What it was given, without its secrets: a task's parameters; a job's numbers, which only its first fact has.
    pub fn input(&self, first: Option<&StoredFact>) -> Value {
        if let Some(params) = &self.task_params {
            return params.clone();
        }
        let data = first.map(|fact| redacted(fact.fact.data.get()).into_owned()).unwrap_or_default();
        let mut data: Value = serde_json::from_str(&data).unwrap_or_default();
        for field in ["job_id", "task_id", "fingerprint"] {
            if let Some(fields) = data.as_object_mut() {
                fields.remove(field);
            }
        }
        data
    }

    /// What it came to, to be read.
    pub fn result(&self) -> Option<String> {
        let raw = self.result.as_ref().map(|raw| raw.get()).filter(|raw| *raw != "null")?;
        if self.is_job() {
            return Some(raw.to_owned());
        }
        let value: Option<Value> = serde_json::from_str(raw).ok();
        value.and_then(|value| serde_json::to_string_pretty(&value).ok())
    }
}
