//! The wire to the server: the four requests of a worker, and what their answers mean.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{WorkerError, WorkerOptions};
use crate::cli::CliError;
use crate::cli::client::{Client, encode, problem};
use crate::model::{Name, RunId, Trace, WorkflowId};

/// How long an answer may take, beyond what the server was asked to hold it.
const NO_HOLD: Duration = Duration::ZERO;

/// An attempt to make, as the server gives it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Leased {
    pub token: String,
    pub activity: Name,
    pub workflow_id: WorkflowId,
    pub run_id: RunId,
    pub attempt: u32,
    pub input: Value,
    pub idempotency_key: String,
    pub timeout_ms: u64,
    #[serde(default)]
    pub recovered: bool,
    pub traceparent: Trace,
}

pub(super) enum Polled {
    Work(Box<Leased>),
    Nothing,
    /// It did not answer, or asks for patience.
    Away(String),
    Refused(String),
}

/// What became of what was told of an attempt.
pub(super) enum Told {
    Taken,
    /// The lease is lost.
    Lost,
    Away(String),
    /// The server does not take it in this form.
    Refused(String),
}

pub(super) struct Link {
    client: Client,
    url: String,
    queue: String,
    worker_id: String,
    activities: Vec<String>,
}

impl Link {
    pub fn new(options: &WorkerOptions, activities: Vec<String>) -> Result<Self, WorkerError> {
        let client = Client::at(&options.url, &options.access).map_err(|e| WorkerError::Usage(e.to_string()))?;
        let made = || format!("worker-{}-{}", std::process::id(), &uuid::Uuid::now_v7().simple().to_string()[24..]);
        let worker_id = options.worker_id.clone().unwrap_or_else(made);
        Ok(Self { client, url: options.url.clone(), queue: encode(&options.queue), worker_id, activities })
    }

    pub fn worker_id(&self) -> &str {
        &self.worker_id
    }

    pub fn not_reachable(&self, why: String) -> WorkerError {
        WorkerError::NotReachable { url: self.url.clone(), why }
    }

    pub async fn poll(&self, wait: Duration) -> Polled {
        let body = json!({
            "worker_id": self.worker_id, "wait_seconds": wait.as_secs_f64(), "activities": self.activities,
        });
        let path = format!("/api/queues/{}/poll", self.queue);
        match self.client.exchange(&path, &body, wait).await {
            Ok((204, _)) => Polled::Nothing,
            Ok((200, text)) => match serde_json::from_str(&text) {
                Ok(leased) => Polled::Work(Box::new(leased)),
                Err(e) => Polled::Refused(format!("the server's answer cannot be read: {e}")),
            },
            Ok((status, text)) if may_pass(status) => Polled::Away(problem(status, &text)),
            Ok((status, text)) => Polled::Refused(problem(status, &text)),
            Err(error) => Polled::Away(why(&error)),
        }
    }

    /// Tells how an attempt ended (`complete`, `fail`) or that it goes on (`heartbeat`).
    pub async fn tell(&self, token: &str, what: &str, body: &Value) -> Told {
        match self.client.exchange(&format!("/api/activities/{token}/{what}"), body, NO_HOLD).await {
            Ok((200, _)) => Told::Taken,
            // A token of another database is as good as a lost one.
            Ok((404 | 409, _)) => Told::Lost,
            Ok((status, text)) if may_pass(status) => Told::Away(problem(status, &text)),
            Ok((status, text)) => Told::Refused(problem(status, &text)),
            Err(error) => Told::Away(why(&error)),
        }
    }

    /// Whether calls wait that only the queue's limits hold back; also where the server does not say.
    pub async fn is_held_back(&self) -> bool {
        let Ok(text) = self.client.get(&format!("/api/queues/{}", self.queue)).await else { return true };
        let queue: Value = serde_json::from_str(&text).unwrap_or_default();
        let limited = queue["paused"] == true || !queue["backoff_until"].is_null() || !queue["rate_limit"].is_null();
        limited && queue["backlog"].as_u64().is_some_and(|n| n > 0)
    }
}

fn may_pass(status: u16) -> bool {
    status == 408 || status == 429 || status >= 500
}

fn why(error: &CliError) -> String {
    match error {
        CliError::NotReachable { why, .. } => why.clone(),
        other => other.to_string(),
    }
}
