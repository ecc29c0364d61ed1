//! From settings to the limits and policies of the rooms below; each value that cannot be used is named by its key.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;

use super::ConfigError;
use super::settings::{ActivitySection, PortalSection, QueueSection, Retry, Settings, Time};
use crate::activities::{
    self, Activities, ActivitySettings, Allow, Chaos, Outside, SettingError, SetupError, check_url,
};
use crate::http::{OrderDefaults, ServerOptions, TlsFiles};
use crate::kernel::{Policies, RetryPolicy};
use crate::runtime::{CONCURRENCY_MAX, Options, QueueOptions, RateLimit};
use crate::secrets::{KeySource, Secrets};
use crate::store::Location;
use crate::tasks::TaskTypes;
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

fn queue(name: &str, section: &QueueSection) -> Result<QueueOptions, ConfigError> {
    let plain = QueueOptions::default();
    let wrong = |field: &str, why: &str| Err(ConfigError::value(&format!("queues.{name}.{field}"), why));
    if section.max.is_some_and(|max| section.concurrency.is_some_and(|other| other != max)) {
        return wrong("max", "is another word for concurrency, and differs from it");
    }
    let concurrency = section.concurrency.or(section.max).unwrap_or(plain.concurrency);
    if concurrency > CONCURRENCY_MAX {
        return wrong("concurrency", "must be from 0 to 100,000");
    }
    if section.min.is_some_and(|min| min > concurrency) {
        return wrong("min", "must not be greater than max");
    }
    let rate_limit = section.rate_limit.map(|rate| {
        let plain = RateLimit::per_second(rate.per_second);
        RateLimit { burst: rate.burst.unwrap_or(plain.burst), ..plain }
    });
    if rate_limit.is_some_and(|rate| !RateLimit::PER_SECOND.contains(&rate.per_second)) {
        return wrong("rate_limit.per_second", "must be from 0.001 to 1,000,000");
    }
    if rate_limit.is_some_and(|rate| !RateLimit::BURST.contains(&rate.burst)) {
        return wrong("rate_limit.burst", "must be from 1 to 1,000,000");
    }
    Ok(QueueOptions {
        concurrency,
        min: section.min.unwrap_or(plain.min).min(concurrency),
        window: from_1(&format!("queues.{name}.window"), section.window.unwrap_or(plain.window))?,
        rate_limit,
        shared_backoff: section.shared_backoff,
        paused: section.paused.unwrap_or(plain.paused),
    })
}

impl Settings {
    /// The engine's limits and policies.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that cannot be used.
    pub(super) fn engine(&self) -> Result<Options, ConfigError> {
        let defaults = Options::default();
        let queue = |(name, section): (&String, &QueueSection)| Ok((name.clone(), queue(name, section)?));
        Ok(Options {
            shards: if self.shards == 0 { defaults.shards } else { self.shards.min(64) },
            live_max: from_1("live_max", self.live_max)?,
            steps_max: from_1("steps_max", self.steps_max)?,
            audit_per_second: self.audit_per_second,
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
    pub(super) fn build_activities(&self, tasks: &TaskTypes, secrets: &Secrets) -> Result<Activities, ConfigError> {
        let of = |section: &ActivitySection| ActivitySettings {
            url: section.url.clone(),
            outside: section.outside,
            headers: section.headers.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        };
        let allow = Allow::read(&self.outside.allow)
            .map_err(|entry| ConfigError::value("outside.allow", format!("{entry:?} is not HOST:PORT or HOST")))?;
        for (name, section) in &self.activities {
            let Some(url) = section.url.as_deref() else { continue };
            let key = format!("activities.{name}.url");
            // Before it is repeated by any other error.
            check_url(url).map_err(|error| ConfigError::value(&key, format!("cannot be used: {error}")))?;
            if !allow.permits(url) {
                let why = format!("{url:?} goes to a place that outside.allow does not name");
                return Err(ConfigError::value(&key, why));
            }
        }
        let named = self.activities.iter().map(|(name, section)| (name.clone(), of(section))).collect();
        check_url(&self.portal.url)
            .map_err(|error| ConfigError::value("portal.url", format!("cannot be used: {error}")))?;
        // The default is the sandbox of this machine.
        if self.portal.url != PortalSection::default().url && !allow.permits(&self.portal.url) {
            let why = format!("{:?} goes to a place that outside.allow does not name", self.portal.url);
            return Err(ConfigError::value("portal.url", why));
        }
        let outside = Outside { portal_url: self.portal.url.clone() };
        let chaos = Chaos { mode: self.chaos, seed: self.chaos_seed };
        activities::build(&named, tasks.activities(secrets, &outside), chaos).map_err(|error| {
            let key = match &error {
                SetupError::Setting { activity, error: SettingError::Url(_) | SettingError::Credentials }
                | SetupError::NoUrl(activity)
                | SetupError::UrlOutside(activity) => {
                    format!("activities.{activity}.url")
                }
                SetupError::Setting { activity, error: SettingError::Header(name) } => {
                    format!("activities.{activity}.headers.{name}")
                }
                SetupError::Unknown(activity) | SetupError::Taken(activity) => format!("activities.{activity}"),
            };
            ConfigError::value(&key, format!("cannot be used: {error}"))
        })
    }

    /// The same, for a worker outside: what a server leaves to outside workers is done here, as far as it is built in.
    pub(super) fn for_worker(mut self) -> Self {
        self.activities.retain(|name, section| !section.outside || activities::is_built_in(name));
        self.activities.values_mut().for_each(|section| section.outside = false);
        self
    }

    /// What secrets are sealed with; nothing is read or made yet.
    pub(super) fn secrets(&self, location: &Location) -> Result<Secrets, ConfigError> {
        let configured = self.secret_key.as_ref().map(|key| key.0.as_str());
        let source = KeySource::of(configured, location);
        source.map(Secrets::new).map_err(|error| ConfigError::value("secret_key", error.to_string()))
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
            requests_per_second_per_key: NonZeroU32::new(self.limits.requests_per_second_per_key),
            tls: self.tls()?,
            allowed_hosts: self.allowed_hosts.clone(),
            insecure: self.insecure,
            ..defaults
        })
    }

    /// Where the certificate is; nothing is read yet.
    fn tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
            (Some(_), None) => Err(ConfigError::value("tls_cert", "needs tls_key beside it")),
            (None, Some(_)) => Err(ConfigError::value("tls_key", "needs tls_cert beside it")),
        }
    }

    /// What is wrong if the database has no keys, either: nobody would need one to reach it from beyond this machine.
    pub(super) fn without_keys(&self) -> Result<Option<ConfigError>, ConfigError> {
        if self.address()?.ip().is_loopback() || self.insecure || !self.api_keys()?.is_empty() {
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
