//! What every handler has at hand: the engine, the limits, the defaults of a start.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Seat;
use super::access::{Asker, Gate, Refusal, Rule};
use super::pace::Pace;
use super::problem::Problem;
use super::tls::TlsFiles;
use crate::access::{Digest, Key};
use crate::console::Console;
use crate::runtime::{Engine, EngineError};
use crate::secrets::{KeySource, Secrets};
use crate::tasks::{self, TaskTypes};
use crate::workflows::order::ReviewMode;

/// Renders the metrics of the process as Prometheus text.
pub type MetricsFn = Arc<dyn Fn() -> String + Send + Sync>;

/// What a start gets where the client does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderDefaults {
    pub review: ReviewMode,
    /// How long an automatic review lasts.
    pub review_ms: u64,
    /// After how long an unanswered manual review ends the order; 0: never.
    pub review_deadline_ms: u64,
    /// The running time of a whole order; 0: no deadline.
    pub deadline_ms: u64,
}

impl Default for OrderDefaults {
    fn default() -> Self {
        Self { review: ReviewMode::Auto, review_ms: 2_000, review_deadline_ms: 0, deadline_ms: 15_000 }
    }
}

/// How the server listens, and its limits.
#[derive(Clone)]
pub struct ServerOptions {
    pub bind: SocketAddr,
    pub workers: usize,
    /// Connections at once, over all workers.
    pub max_connections: usize,
    pub backlog: u32,
    /// The largest body; a larger one is 413.
    pub body_limit_bytes: usize,
    /// A request is answered within this time, reading its body included.
    pub request_timeout_ms: u64,
    /// The head of a request must be there within this time.
    pub head_timeout_ms: u64,
    pub keep_alive_ms: u64,
    /// Streams of events at once, over all workers.
    pub streams_max: usize,
    /// How long a stopping server waits for requests under way.
    pub shutdown_timeout_s: u64,
    pub order: OrderDefaults,
    /// The types of task that can be started.
    pub tasks: Arc<TaskTypes>,
    /// What their secrets are sealed with.
    pub secrets: Secrets,
    /// Keys out of the configuration, beside those of the database.
    pub keys: Vec<Key>,
    /// Requests a second each key may make; `None`: any number.
    pub requests_per_second_per_key: Option<NonZeroU32>,
    /// Names under which the server answers on loopback, beside this machine's own.
    pub allowed_hosts: Vec<String>,
    /// Speaks TLS, and nothing else, with this certificate; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Listens beyond loopback also without keys.
    pub insecure: bool,
    /// `None`: `/metrics` is empty.
    pub metrics: Option<MetricsFn>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8000)),
            workers: std::thread::available_parallelism().map_or(1, usize::from).min(16),
            max_connections: 20_000,
            backlog: 4_096,
            body_limit_bytes: 1 << 20,
            request_timeout_ms: 10_000,
            head_timeout_ms: 5_000,
            keep_alive_ms: 30_000,
            streams_max: 256,
            shutdown_timeout_s: 10,
            order: OrderDefaults::default(),
            tasks: Arc::new(tasks::builtin()),
            secrets: Secrets::new(KeySource::File("ordain.key".into())),
            keys: Vec::new(),
            requests_per_second_per_key: None,
            allowed_hosts: Vec::new(),
            tls: None,
            insecure: false,
            metrics: None,
        }
    }
}

/// Shared by all workers.
pub struct Site {
    seat: Seat,
    pub options: ServerOptions,
    /// Places for streams of events.
    streams: Arc<Semaphore>,
    pub console: Console,
    pub gate: Gate,
    /// Refusals for overload.
    pub refusals: Pace,
}

impl Site {
    pub fn new(options: ServerOptions, seat: Seat) -> Self {
        let streams = Arc::new(Semaphore::new(options.streams_max));
        let gate = Gate::new(&options);
        // Within the time in which every request is answered.
        let refusals = Pace::new(options.request_timeout_ms / 10 * 9);
        Self { seat, options, streams, console: Console::default(), gate, refusals }
    }

    /// A place for a stream, given back when it is dropped.
    pub fn stream_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| Problem::unavailable("too_many_streams", "as many streams of events are open as may be"))
    }

    /// Refuses new work that would find no room, before anything is made of it.
    pub fn admit_new(&self) -> Result<(), Problem> {
        // Where there is no engine, that is said later, after the request's own faults.
        self.engine().map_or(Ok(()), |engine| Ok(engine.admit_new()?))
    }

    /// Whether anything needs a key.
    pub fn needs_keys(&self) -> bool {
        self.gate.is_closed(&self.seat)
    }

    /// The valid key of a digest.
    pub fn key(&self, digest: &Digest) -> Option<Arc<Key>> {
        self.gate.find(&self.seat, digest)
    }

    /// Lets a request in by the rule of its route.
    pub fn admit(&self, rule: Rule, req: &ServiceRequest) -> Result<Asker, Box<Refusal>> {
        self.gate.admit(&self.seat, rule, req)
    }

    /// The engine, where there is one; otherwise a 503 that says why there is none.
    pub fn engine(&self) -> Result<Engine, Problem> {
        self.seat.engine()
    }

    /// Until when a request that comes now is answered.
    pub fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.options.request_timeout_ms)
    }
}

/// Waits for the engine, but not beyond the deadline.
pub async fn by<T>(deadline: Instant, call: impl Future<Output = Result<T, EngineError>>) -> Result<T, Problem> {
    match tokio::time::timeout_at(deadline, call).await {
        Ok(outcome) => outcome.map_err(Problem::from),
        Err(_) => Err(Problem::timeout()),
    }
}
