//! `sum_numbers`: the activity of a job.

use futures_util::future::{FutureExt, LocalBoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Activity;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind};
use crate::workflows::job::{self, NUMBERS_MAX};

/// Sums numbers given as texts; the first attempt fails where that is asked for.
pub struct SumNumbers;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    numbers: Vec<String>,
    fail_first_attempt: bool,
}

fn sum(call: ActivityCall) -> Result<Value, Failure> {
    let ActivityCall { workflow_id: job_id, run_id, seq, activity, attempt, input, .. } = call;
    let wrong = |why: String| Failure::new(FailureKind::Validation, why);
    let input: Input = serde_json::from_value(input).map_err(|e| wrong(e.to_string()))?;
    if input.numbers.len() > NUMBERS_MAX {
        return Err(wrong(format!("more than {NUMBERS_MAX} numbers")));
    }
    if input.fail_first_attempt && attempt == 1 {
        tracing::warn!(%job_id, %run_id, seq, %activity, attempt, "simulated failure, as the job asked for");
        return Err(Failure::new(FailureKind::Error, "simulated failure"));
    }
    let sum = job::sum(input.numbers.iter().map(String::as_str)).map_err(|e| wrong(e.to_string()))?;
    tracing::info!(%job_id, %run_id, seq, %activity, attempt, %sum, "the numbers are summed");
    Ok(json!({ "sum": sum }))
}

impl Activity for SumNumbers {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        ready(sum(call)).boxed_local()
    }
}
