//! The shapes of jobs and tasks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{ErrorView, EventView, Id};

/// A job. Unknown fields and options are refused.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"input": {"numbers": [10, 20, 30]}, "options": {"fail_first_attempt": true}}))]
pub struct JobBody {
    pub input: JobInput,
    pub options: Option<JobOptions>,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobInput {
    /// Integers of any size, and floats; each must be finite as a float of 64 bits.
    #[schema(max_items = 100_000, example = json!([10, 20, 30]))]
    pub numbers: Vec<f64>,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobOptions {
    /// The first attempt fails on purpose.
    #[schema(nullable = false)]
    pub fail_first_attempt: Option<bool>,
}

#[derive(ToSchema, Deserialize)]
pub struct JobStarted {
    pub job_id: String,
    pub status: JobStatus,
}

#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    Running,
    Completed,
    Failed,
    Cancelled,
}

#[derive(ToSchema, Deserialize)]
pub struct JobSum {
    /// Exact where all numbers are integers, digit by digit.
    #[schema(example = json!(60))]
    pub sum: f64,
}

#[derive(ToSchema, Deserialize)]
#[schema(example = json!({
    "job_id": "job-0193e3a4-7a6c-7cc0-8000-3b1f5d7e9a42", "run_id": "0193e3a4-7a6c-7cc0-8000-3b1f5d7e9a43",
    "status": "completed", "result": {"sum": 60}, "attempts_taken": 2, "error": null,
    "created_at": "2026-01-01T00:00:00.000Z", "completed_at": "2026-01-01T00:00:00.120Z"
}))]
pub struct JobDocument {
    pub job_id: String,
    pub run_id: String,
    pub status: JobStatus,
    pub result: Option<JobSum>,
    pub attempts_taken: u32,
    /// Why it failed.
    pub error: Option<ErrorView>,
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ended, however.
    #[schema(format = DateTime)]
    pub completed_at: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct JobList {
    pub jobs: Vec<JobDocument>,
    /// The `cursor` of the next page; null: this was the last.
    pub next_cursor: Option<String>,
}

/// A task. Unknown fields are refused.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"task_type": "checksum_text", "task_params": {"text": "hello", "parts": 2}}))]
pub struct TaskBody {
    /// One of `GET /api/tasks/types`.
    #[schema(max_length = 64)]
    pub task_type: String,
    /// As the schema of the type says.
    #[schema(value_type = Object, required = false)]
    pub task_params: Option<BTreeMap<String, Value>>,
    /// 1 to 128 characters out of `A-Z a-z 0-9 . _ : ~ -`; one is made where it is not given.
    pub task_id: Option<Id>,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskStarted {
    pub task_id: String,
    pub task_type: String,
    pub status: JobStatus,
    #[schema(example = "/api/tasks/task-0193e3a4-7a6c-7cc0-8000-3b1f5d7e9a42")]
    pub status_url: String,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskProgress {
    pub done: u64,
    /// Null where it is not known.
    pub total: Option<u64>,
    /// What is under way, for people.
    pub message: String,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskDocument {
    pub task_id: String,
    pub run_id: String,
    pub task_type: String,
    pub status: JobStatus,
    pub status_url: String,
    /// Secrets are `***`; null where they are longer than 16 KiB.
    pub task_params: Option<BTreeMap<String, Value>>,
    pub progress: TaskProgress,
    pub result: Option<Value>,
    /// Why it failed; `secrets_unreadable` where the key of its secrets is lost.
    pub error: Option<ErrorView>,
    /// Attempts by activity.
    pub attempts: BTreeMap<String, u32>,
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ended, however.
    #[schema(format = DateTime)]
    pub completed_at: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskList {
    pub tasks: Vec<TaskDocument>,
    /// The `cursor` of the next page; null: this was the last.
    pub next_cursor: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskHistory {
    pub task_id: String,
    pub events: Vec<EventView>,
    pub next_after: Option<u64>,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskTypeView {
    #[schema(example = "checksum_text")]
    pub name: String,
    pub description: String,
    pub queue: String,
    /// JSON Schema, draft 2020-12.
    pub params_schema: Value,
}

#[derive(ToSchema, Deserialize)]
pub struct TaskTypeList {
    pub types: Vec<TaskTypeView>,
}

/// Filters of a list of jobs or tasks.
#[derive(IntoParams, Deserialize)]
#[into_params(parameter_in = Query)]
pub struct KindListParams {
    /// `running`, `completed`, `failed`, `cancelled`; several with commas. `status` is another name of it.
    #[param(
        example = "running,failed",
        pattern = "^((running|completed|failed|cancelled|stuck)(,(running|completed|failed|cancelled|stuck))*)?$"
    )]
    pub state: Option<String>,
    /// 1 to 500, 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[0-7][0-9a-fA-F]{15}$")]
    pub cursor: Option<String>,
}
