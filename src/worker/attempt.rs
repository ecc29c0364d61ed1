//! One attempt: made, kept alive by heartbeats, and told how it ended until the server has heard it.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_rt::time::{sleep, timeout};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::link::{Leased, Link, Told};
use crate::activities::Activities;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind, Timestamp};

/// Between heartbeats: a third of the shortest lease that a heartbeat extends.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);
/// Between two tries to tell the end: doubling, from and up to.
const TELL_FIRST: Duration = Duration::from_millis(100);
const TELL_MOST: Duration = Duration::from_secs(2);
/// For how long beyond the attempt's timeout its end is told to a server that is away.
const TELL_BEYOND: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Completed,
    Failed,
    Lost,
}

/// Makes an attempt to its end.
pub(super) async fn make(link: &Link, activities: &Activities, leased: Leased) -> Ended {
    let Leased { token, activity, workflow_id, attempt, timeout_ms, .. } = leased.clone();
    let began = Instant::now();
    let limit = Duration::from_millis(timeout_ms);
    let work = timeout(limit, call(activities, leased));
    let outcome = tokio::select! {
        outcome = work => outcome.unwrap_or_else(|_| {
            Err(Failure::new(FailureKind::Timeout, format!("no answer within {timeout_ms} ms")))
        }),
        () = heartbeats(link, &token) => return Ended::Lost,
    };
    tracing::debug!(%workflow_id, %activity, attempt, failed = outcome.is_err(), "an attempt has ended");
    tell(link, &token, &outcome, began + limit + TELL_BEYOND).await
}

async fn call(activities: &Activities, leased: Leased) -> Result<Value, Failure> {
    let Some(activity) = activities.get(&leased.activity) else {
        let message = format!("this worker does not know the activity {:?}", leased.activity);
        return Err(Failure::new(FailureKind::Error, message));
    };
    let call = ActivityCall {
        workflow_id: leased.workflow_id,
        run_id: leased.run_id,
        seq: 0,
        activity: leased.activity,
        attempt: leased.attempt,
        queue: "".into(),
        idempotency_key: leased.idempotency_key,
        timeout_ms: leased.timeout_ms,
        scheduled_at: Timestamp(0),
        input: leased.input,
        recovered: leased.recovered,
        trace: leased.traceparent,
    };
    let guarded = AssertUnwindSafe(async { activity.call(call).await }).catch_unwind();
    guarded.await.unwrap_or_else(|_| Err(Failure::new(FailureKind::Panic, "the activity panicked")))
}

/// Returns when the lease is lost; then nobody wants the result.
async fn heartbeats(link: &Link, token: &str) {
    loop {
        sleep(HEARTBEAT_EVERY).await;
        match link.tell(token, "heartbeat", &json!({})).await {
            Told::Lost => return,
            // These activities cannot be stopped half-way: whether they had their effect must be told.
            Told::Taken | Told::Away(_) | Told::Refused(_) => {}
        }
    }
}

/// Tells the end until it is heard. The server takes it once, however often it is told.
async fn tell(link: &Link, token: &str, outcome: &Result<Value, Failure>, until: Instant) -> Ended {
    let (what, body) = match outcome {
        Ok(result) => ("complete", json!({ "result": result })),
        Err(failure) => ("fail", fail_body(failure)),
    };
    let ended = if outcome.is_ok() { Ended::Completed } else { Ended::Failed };
    let mut pause = TELL_FIRST;
    loop {
        match link.tell(token, what, &body).await {
            Told::Taken => return ended,
            Told::Lost => return Ended::Lost,
            Told::Refused(why) => {
                tracing::error!(why, "the server does not take the end of an attempt");
                return Ended::Lost;
            }
            Told::Away(why) if Instant::now() >= until => {
                tracing::error!(why, "the end of an attempt could not be told; it is made again");
                return Ended::Lost;
            }
            Told::Away(_) => sleep(pause).await,
        }
        pause = (pause * 2).min(TELL_MOST);
    }
}

fn fail_body(failure: &Failure) -> Value {
    let message = if failure.message.is_empty() { failure.kind.as_str() } else { &failure.message };
    let mut body = json!({ "message": message, "kind": failure.kind });
    if let Some(ms) = failure.retry_after_ms {
        body["retry_after_ms"] = json!(ms);
    }
    body
}
