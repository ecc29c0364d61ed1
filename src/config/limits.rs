//! From settings to the limits and policies of the rooms below; each value that cannot be used is named by its key.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;

use super::ConfigError;
use super::settings::{ActivitySection, QueueSection, Retry, Settings, Time};
use crate::activities::{self, Activities, ActivitySettings, Chaos, SettingError, SetupError};
use crate::http::{OrderDefaults, ServerOptions};
use crate::kernel::{Policies, RetryPolicy};
use crate::runtime::{Options, QueueOptions};
use crate::store::Location;
use crate::telemetry;

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
    pub(super) fn engine(&self) -> Result<Options, ConfigError> {
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

    /// The activities, each done where its section says.
    pub(super) fn build_activities(&self) -> Result<Activities, ConfigError> {
        let of = |section: &ActivitySection| ActivitySettings {
            url: section.url.clone(),
            headers: section.headers.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        };
        let named = self.activities.iter().map(|(name, section)| (name.clone(), of(section))).collect();
        activities::build(&named, Chaos { mode: self.chaos, seed: self.chaos_seed }).map_err(|error| {
            let key = match &error {
                SetupError::Setting { activity, error: SettingError::Url(_) } | SetupError::NoUrl(activity) => {
                    format!("activities.{activity}.url")
                }
                SetupError::Setting { activity, error: SettingError::Header(name) } => {
                    format!("activities.{activity}.headers.{name}")
                }
                SetupError::Unknown(activity) => format!("activities.{activity}"),
            };
            ConfigError::value(&key, format!("cannot be used: {error}"))
        })
    }

    /// Where the database is.
    pub(super) fn location(&self) -> Result<Location, ConfigError> {
        Location::parse(&self.database_url)
            .map_err(|e| ConfigError::value("database_url", format!("cannot be used: {e}")))
    }

    pub(super) fn check_log_level(&self) -> Result<(), ConfigError> {
        match telemetry::filter(&self.log_level) {
            Ok(_) => Ok(()),
            Err(e) => Err(ConfigError::value("log_level", format!("is not a level or a filter: {e}"))),
        }
    }

    /// How the server listens.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that cannot be used.
    pub(super) fn server(&self) -> Result<ServerOptions, ConfigError> {
        let defaults = ServerOptions::default();
        let bind = self.address()?;
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
            keys: self.api_keys()?,
            rate_limit_per_second: NonZeroU32::new(self.rate_limit_per_second),
            allowed_hosts: self.allowed_hosts.clone(),
            insecure: self.insecure,
            ..defaults
        })
    }

    /// What is wrong if the database has no keys, either: nobody would need one to reach it from beyond this machine.
    pub(super) fn without_keys(&self) -> Result<Option<ConfigError>, ConfigError> {
        if self.address()?.ip().is_loopback() || self.insecure || self.admin_key.is_some() || !self.keys.is_empty() {
            return Ok(None);
        }
        let why = "would listen beyond loopback without API keys: anybody who reaches it could send and cancel \
                   orders. Make a key with \"ordain key create\" or set ORDAIN_ADMIN_KEY, bind to 127.0.0.1, or say \
                   --insecure where the network is trusted";
        Ok(Some(ConfigError::value("bind", why)))
    }

    fn address(&self) -> Result<SocketAddr, ConfigError> {
        let wrong = || ConfigError::value("bind", "is not HOST:PORT, such as 127.0.0.1:8000");
        self.bind.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
    }
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
