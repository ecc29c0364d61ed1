//! The bodies of queues and outside workers as the OpenAPI document shows them; see `schema`.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

#[derive(ToSchema, Deserialize)]
pub struct Queues {
    pub queues: Vec<QueueDocument>,
}

/// A task queue. A worker of its pool is a slot: one call under way in this process.
#[derive(ToSchema, Deserialize)]
#[schema(as = Queue)]
pub struct QueueDocument {
    #[schema(example = "shipping")]
    pub name: String,
    /// Calls this process has under way at once, at most; 0: outside workers do them all.
    #[schema(example = 512)]
    pub concurrency: usize,
    /// Slots while it is idle, and at most; `max` is `concurrency`.
    pub min: usize,
    pub max: usize,
    /// Slots there are now: more while calls wait, fewer while it is idle.
    pub slots: usize,
    /// Calls under way, those that outside workers hold included.
    pub running: usize,
    /// Those that outside workers hold.
    pub leased: usize,
    /// Calls that wait.
    pub backlog: usize,
    /// How long the oldest of them has waited; 0 where none does.
    pub oldest_wait_ms: u64,
    /// How fast calls may start, whoever makes them.
    pub rate_limit: Option<RateLimitDocument>,
    /// Whether one 429 (or 503 with Retry-After) holds the whole queue back.
    pub shared_backoff: bool,
    /// Nothing starts before this instant: the other side asked to be left alone.
    #[schema(format = DateTime)]
    pub backoff_until: Option<String>,
    /// Nothing new starts; what runs may end.
    pub paused: bool,
    /// Outside workers that were heard of in the last 30 s.
    pub workers: usize,
    /// What outside workers hold, up to 100 of it; only where one queue is asked for.
    pub leases: Option<Vec<LeaseDocument>>,
}

#[derive(ToSchema, Deserialize)]
#[schema(as = Lease)]
pub struct LeaseDocument {
    pub workflow_id: String,
    pub activity: String,
    pub attempt: u32,
    pub worker_id: String,
    #[schema(format = DateTime)]
    pub deadline_at: String,
    /// What the last heartbeat said.
    pub progress: Option<Value>,
}

/// So many starts a second on average; after a rest, `burst` of them at once.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = RateLimit)]
pub struct RateLimitDocument {
    #[schema(example = 10.0, minimum = 0.001, maximum = 1_000_000)]
    pub per_second: f64,
    /// In a change: what comes in a second, where it is missing.
    #[schema(example = 20, minimum = 1, maximum = 1_000_000)]
    pub burst: Option<u32>,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueChangeBody {
    #[schema(example = 64, maximum = 100_000)]
    pub concurrency: Option<usize>,
    /// `null`: no limit.
    pub rate_limit: Option<RateLimitDocument>,
    pub paused: Option<bool>,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollBody {
    /// The worker's own name for itself; by it workers are counted.
    #[schema(example = "worker-7", min_length = 1, max_length = 128)]
    pub worker_id: String,
    /// How long to wait for something to do: 0 to 30, 0 by default.
    #[schema(example = 20.0, minimum = 0, maximum = 30)]
    pub wait_seconds: Option<f64>,
    /// The activities it does; missing or empty: any.
    #[schema(example = json!(["dispatch_carrier"]), max_items = 64)]
    pub activities: Option<Vec<ActivityName>>,
}

#[derive(ToSchema, Deserialize)]
#[schema(max_length = 128)]
pub struct ActivityName(pub String);

/// An attempt to make.
#[derive(ToSchema, Deserialize)]
#[schema(as = LeasedActivity)]
pub struct LeasedDocument {
    /// By which the worker speaks of this attempt. Keep it to yourself.
    pub token: String,
    pub queue: String,
    #[schema(example = "dispatch_carrier")]
    pub activity: String,
    #[schema(example = "o-1/shipping/1")]
    pub workflow_id: String,
    pub run_id: String,
    pub attempt: u32,
    pub input: Value,
    /// The same for every attempt: what was done under it must not be done again.
    pub idempotency_key: String,
    /// Without a heartbeat (or the end) before this instant the attempt is over and is made anew.
    #[schema(format = DateTime)]
    pub deadline_at: String,
    /// How long the attempt may take in all, heartbeats or not.
    pub timeout_ms: u64,
    /// The call may have been made before.
    pub recovered: bool,
    /// W3C Trace Context: send it on with the call.
    pub traceparent: String,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteBody {
    /// Any JSON; null where it is missing.
    pub result: Option<Value>,
}

#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailKind {
    Validation,
    Refused,
    Unreachable,
    RateLimited,
    Timeout,
    UnknownOutcome,
    Panic,
    Error,
    SecretsUnreadable,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailBody {
    #[schema(example = "the printer is on fire", min_length = 1, max_length = 4_096)]
    pub message: String,
    /// `error` where it is missing.
    pub kind: Option<FailKind>,
    /// False: never again, whatever the kind.
    pub retryable: Option<bool>,
    /// Not again before so many ms; holds the whole queue back where it has shared backoff.
    #[schema(maximum = 3_600_000)]
    pub retry_after_ms: Option<u64>,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatBody {
    /// Any JSON, up to 4 KiB; shown with the queue.
    pub progress: Option<Value>,
}

#[derive(ToSchema, Deserialize)]
pub struct Taken {
    #[schema(example = "taken")]
    pub status: String,
}

#[derive(ToSchema, Deserialize)]
pub struct HeartbeatAnswer {
    /// The workflow no longer wants the result: stop if you can, and report the end all the same.
    pub cancel_requested: bool,
    #[schema(format = DateTime)]
    pub deadline_at: String,
}
