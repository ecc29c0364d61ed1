//! Configuration of the server: flag, then environment, then `.env`, then `ordain.toml`, then defaults.
//!
//! Strict: an unknown key or a value that cannot be used is an error that names it and where it stands.

mod sources;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Serialize};

pub use sources::{ConfigError, load};

use crate::activities::{ActivitySettings, Chaos, ChaosMode};
use crate::http::{OrderDefaults, ServerOptions};
use crate::kernel::{Policies, RetryPolicy};
use crate::runtime::{Options, QueueOptions};
use crate::workflows::order::ReviewMode;

/// Everything that can be set. The names are those of the flags, of `ORDAIN_…` and of `ordain.toml`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `HOST:PORT`.
    pub bind: String,
    /// Allows to listen beyond loopback without API keys.
    pub insecure: bool,
    pub database_url: String,
    /// A level, or a filter such as `info,ordain::runtime=debug`.
    pub log_level: String,
    pub log_format: LogFormat,
    pub review: ReviewMode,
    pub review_seconds: f64,
    /// 0: a manual review waits for ever.
    pub review_deadline_seconds: f64,
    /// 0: no deadline.
    pub deadline_seconds: f64,
    pub body_limit_bytes: usize,
    pub request_timeout_seconds: f64,
    pub max_connections: usize,
    /// Threads that serve HTTP; 0: as many as cores.
    pub workers: usize,
    /// Arbiters that host order actors; 0: half as many as cores.
    pub shards: usize,
    /// Live actors; beyond it new orders are refused with 503.
    pub live_max: usize,
    /// Threads that read the database.
    pub readers: usize,
    /// How long an idle actor stays alive.
    pub passivate_after_seconds: f64,
    /// How long what runs may take to end after SIGTERM.
    pub shutdown_seconds: f64,
    pub chaos: ChaosMode,
    pub chaos_seed: u64,
    /// How long an attempt of an activity may take, unless its own section says otherwise.
    pub attempt_timeout_seconds: f64,
    /// The retry policy of all activities that have none of their own.
    pub retry: Retry,
    pub activities: BTreeMap<String, ActivitySection>,
    pub queues: BTreeMap<String, QueueSection>,
    pub order_task_queue: String,
    pub shipping_task_queue: String,
    /// For a host that is not there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal_target: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

/// A retry policy, each part optional.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

/// `[activities.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActivitySection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Seconds, or a text such as `500ms` or `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Time>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

/// A header's value; a number in the environment is a text here. Never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct HeaderText(String);

impl From<serde_json::Value> for HeaderText {
    fn from(value: serde_json::Value) -> Self {
        Self(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

impl std::fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for HeaderText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// A length of time: seconds as a number, or a text with a unit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Time {
    Seconds(f64),
    Text(String),
}

impl Time {
    fn ms(&self, key: &str) -> Result<u64, ConfigError> {
        let wrong = || ConfigError::value(key, "is not a length of time such as 5, \"500ms\" or \"5s\"");
        let seconds = match self {
            Self::Seconds(seconds) => *seconds,
            Self::Text(text) => {
                let text = text.trim();
                let (number, scale) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
                    (Some(ms), _) => (ms, 1e-3),
                    (None, Some(s)) => (s, 1.0),
                    (None, None) => (text, 1.0),
                };
                number.trim().parse::<f64>().map_err(|_| wrong())? * scale
            }
        };
        ms(key, seconds)
    }
}

/// `[queues.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        let engine = Options::default();
        Self {
            bind: "127.0.0.1:8000".to_owned(),
            insecure: false,
            database_url: "sqlite://ordain.db".to_owned(),
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
            review: ReviewMode::Auto,
            review_seconds: 2.0,
            review_deadline_seconds: 0.0,
            deadline_seconds: 15.0,
            body_limit_bytes: 1 << 20,
            request_timeout_seconds: 10.0,
            max_connections: 20_000,
            workers: 0,
            shards: 0,
            live_max: engine.live_max,
            readers: engine.readers,
            passivate_after_seconds: engine.passivate_after_ms as f64 / 1e3,
            shutdown_seconds: 10.0,
            chaos: ChaosMode::Off,
            chaos_seed: 0,
            attempt_timeout_seconds: 5.0,
            retry: Retry::default(),
            activities: BTreeMap::new(),
            queues: BTreeMap::new(),
            order_task_queue: crate::workflows::order::QUEUE.to_owned(),
            shipping_task_queue: crate::workflows::shipping::QUEUE.to_owned(),
            temporal_target: None,
        }
    }
}

/// The longest time that can be set: ten years, in seconds.
const SECONDS_MAX: f64 = 10.0 * 365.0 * 86_400.0;

fn ms(key: &str, seconds: f64) -> Result<u64, ConfigError> {
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        Ok((seconds * 1e3).round() as u64)
    } else {
        Err(ConfigError::value(key, "must be from 0 to ten years, in seconds"))
    }
}

fn from_1(key: &str, n: usize) -> Result<usize, ConfigError> {
    if n == 0 { Err(ConfigError::value(key, "must be at least 1")) } else { Ok(n) }
}

impl Settings {
    /// The engine's limits and policies.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that cannot be used.
    pub fn engine(&self) -> Result<Options, ConfigError> {
        let defaults = Options::default();
        let queue = |(name, section): (&String, &QueueSection)| {
            let plain = QueueOptions::default();
            let concurrency = section.concurrency.unwrap_or(plain.concurrency);
            let window = section.window.unwrap_or(plain.window);
            let key = |field| format!("queues.{name}.{field}");
            let options = QueueOptions {
                concurrency: from_1(&key("concurrency"), concurrency)?,
                window: from_1(&key("window"), window)?,
            };
            Ok((name.clone(), options))
        };
        Ok(Options {
            shards: if self.shards == 0 { defaults.shards } else { self.shards.min(64) },
            live_max: from_1("live_max", self.live_max)?,
            readers: from_1("readers", self.readers)?.min(64),
            passivate_after_ms: ms("passivate_after_seconds", self.passivate_after_seconds)?,
            request_timeout_ms: ms("request_timeout_seconds", self.request_timeout_seconds)?.max(1),
            policies: self.policies()?,
            queues: self.queues.iter().map(queue).collect::<Result<_, ConfigError>>()?,
            ..defaults
        })
    }

    fn policies(&self) -> Result<Policies, ConfigError> {
        let plain = RetryPolicy::default();
        let timeout_ms = from_1_ms("attempt_timeout_seconds", self.attempt_timeout_seconds)?;
        let default = merged("retry", &RetryPolicy { timeout_ms, ..plain }, &self.retry)?;
        let named = self.activities.iter().map(|(name, section)| {
            let key = format!("activities.{name}");
            let retry = Retry {
                initial_ms: section.initial_ms,
                factor: section.factor,
                cap_ms: section.cap_ms,
                jitter: section.jitter,
                max_attempts: section.max_attempts,
            };
            let mut policy = merged(&key, &default, &retry)?;
            if let Some(time) = &section.timeout {
                policy.timeout_ms = time.ms(&format!("{key}.timeout"))?.max(1);
            }
            Ok((name.clone(), policy))
        });
        Ok(Policies { named: named.collect::<Result<_, ConfigError>>()?, default })
    }

    /// Where each activity is done.
    pub fn activities(&self) -> BTreeMap<String, ActivitySettings> {
        let of = |section: &ActivitySection| ActivitySettings {
            url: section.url.clone(),
            headers: section.headers.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        };
        self.activities.iter().map(|(name, section)| (name.clone(), of(section))).collect()
    }

    pub fn chaos(&self) -> Chaos {
        Chaos { mode: self.chaos, seed: self.chaos_seed }
    }

    /// How the server listens.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that cannot be used; also where it would listen beyond loopback without keys.
    pub fn server(&self) -> Result<ServerOptions, ConfigError> {
        let defaults = ServerOptions::default();
        let bind = self.address()?;
        if !bind.ip().is_loopback() && !self.insecure {
            let why = "would listen beyond loopback without API keys: anybody who reaches it could send and cancel \
                       orders. Bind to 127.0.0.1, or say --insecure where the network is trusted";
            return Err(ConfigError::value("bind", why));
        }
        Ok(ServerOptions {
            bind,
            workers: if self.workers == 0 { defaults.workers } else { self.workers.min(256) },
            max_connections: from_1("max_connections", self.max_connections)?,
            body_limit_bytes: from_1("body_limit_bytes", self.body_limit_bytes)?,
            request_timeout_ms: from_1_ms("request_timeout_seconds", self.request_timeout_seconds)?,
            shutdown_timeout_s: ms("shutdown_seconds", self.shutdown_seconds)?.div_ceil(1_000),
            order: OrderDefaults {
                review: self.review,
                review_ms: ms("review_seconds", self.review_seconds)?,
                review_deadline_ms: ms("review_deadline_seconds", self.review_deadline_seconds)?,
                deadline_ms: ms("deadline_seconds", self.deadline_seconds)?,
            },
            ..defaults
        })
    }

    fn address(&self) -> Result<SocketAddr, ConfigError> {
        let wrong = || ConfigError::value("bind", "is not HOST:PORT, such as 127.0.0.1:8000");
        self.bind.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
    }

    /// What was set and has no effect, in words.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let plain = Self::default();
        for (key, value, fixed) in [
            ("order_task_queue", &self.order_task_queue, &plain.order_task_queue),
            ("shipping_task_queue", &self.shipping_task_queue, &plain.shipping_task_queue),
        ] {
            if value != fixed {
                warnings.push(format!("{key} = {value:?} has no effect: the queue is called {fixed:?}"));
            }
        }
        if self.temporal_target.is_some() {
            warnings.push("temporal_target has no effect: this build runs its workflows itself".to_owned());
        }
        warnings
    }
}

fn from_1_ms(key: &str, seconds: f64) -> Result<u64, ConfigError> {
    match ms(key, seconds)? {
        0 => Err(ConfigError::value(key, "must be at least 0.001")),
        ms => Ok(ms),
    }
}

fn merged(key: &str, base: &RetryPolicy, retry: &Retry) -> Result<RetryPolicy, ConfigError> {
    let policy = RetryPolicy {
        initial_ms: retry.initial_ms.unwrap_or(base.initial_ms),
        factor: retry.factor.unwrap_or(base.factor),
        cap_ms: retry.cap_ms.unwrap_or(base.cap_ms),
        jitter: retry.jitter.unwrap_or(base.jitter),
        max_attempts: retry.max_attempts.unwrap_or(base.max_attempts),
        timeout_ms: base.timeout_ms,
    };
    let value = |field: &str, why| Err(ConfigError::value(&format!("{key}.{field}"), why));
    if !(1.0..=100.0).contains(&policy.factor) {
        return value("factor", "must be from 1 to 100");
    }
    if !(0.0..=1.0).contains(&policy.jitter) {
        return value("jitter", "must be from 0 to 1");
    }
    if policy.max_attempts == 0 {
        return value("max_attempts", "must be at least 1");
    }
    if policy.cap_ms == 0 || policy.cap_ms > 86_400_000 {
        return value("cap_ms", "must be from 1 to 86400000");
    }
    Ok(policy)
}
