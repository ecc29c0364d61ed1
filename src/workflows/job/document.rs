//! The document of a job.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Job, SUM};
use crate::kernel::{Core, Document, Workflow};
use crate::model::{ErrorInfo, RunId, Timestamp, WorkflowId};

#[derive(Serialize)]
struct Shown<'a> {
    job_id: &'a WorkflowId,
    run_id: RunId,
    status: &'static str,
    result: Option<JobResult>,
    attempts_taken: u32,
    error: Option<&'a ErrorInfo>,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
}

/// The sum is written digit by digit: as a number of the JSON library it would be rounded.
#[derive(Serialize)]
struct JobResult {
    sum: Box<RawValue>,
}

pub fn write(job: &Job, core: &Core) -> serde_json::Result<Document> {
    let sum = job.sum.clone().map(RawValue::from_string).transpose()?;
    serde_json::value::to_raw_value(&Shown {
        job_id: &core.id,
        run_id: core.run_id,
        status: job.state_name(),
        result: sum.map(|sum| JobResult { sum }),
        attempts_taken: core.attempts.get(SUM).copied().unwrap_or(0),
        error: job.error.as_deref(),
        created_at: core.created_at,
        completed_at: core.ended_at,
    })
}
