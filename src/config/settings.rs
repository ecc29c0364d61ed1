//! What can be set, its names and its defaults. What a value means, and whether it can be used, is told in `limits`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keys::KeySection;
use crate::activities::ChaosMode;
use crate::runtime::Options;
use crate::workflows::order::ReviewMode;

/// Everything that can be set. The names are those of the flags, of `ORDAIN_…` and of `ordain.toml`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `HOST:PORT`.
    pub bind: String,
    /// Allows to listen beyond loopback without API keys.
    pub insecure: bool,
    /// The server's certificate, and those that lead to its authority, in PEM; with it the server speaks TLS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    pub limits: LimitSection,
    pub outside: OutsideSection,
    /// Names under which the server answers on loopback, beside this machine's own; in a variable with commas.
    #[serde(deserialize_with = "names")]
    pub allowed_hosts: Vec<String>,
    /// An API key with all scopes, for a container that is started for the first time. Never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_key: Option<HeaderText>,
    /// API keys beside those of the database.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeySection>,
    /// Shown without its password.
    #[serde(serialize_with = "without_password")]
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
    /// Steps under way; beyond it new work is refused with 503.
    pub steps_max: usize,
    /// Threads that read the database.
    pub readers: usize,
    /// Stored histories that are folded and compared with their rows in a second, in the background; 0: none.
    pub audit_per_second: usize,
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
    pub portal: PortalSection,
    /// What secrets in the parameters of tasks are sealed with, in base64 or hexadecimal digits; without it a key is made
    /// in the file `ordain.key` when it is first needed. Never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<HeaderText>,
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
    /// Done by outside workers only; also an activity that is not built in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
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

/// `[portal]`: the invoice portal that `gdt_invoice_import` calls.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortalSection {
    /// Where its `/login` and `/invoices` are; by default `ordain sandbox`.
    pub url: String,
}

impl Default for PortalSection {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:8100/portal".to_owned() }
    }
}

/// A header's value; a number in `ordain.toml` is a text here. Never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct HeaderText(pub(super) String);

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
#[serde(untagged, expecting = "a length of time such as 5, \"500ms\" or \"5s\"")]
pub enum Time {
    Seconds(f64),
    Text(String),
}

/// `[limits]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSection {
    /// Requests a second each API key may make; 0: any number.
    pub requests_per_second_per_key: u32,
}

/// `[outside]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutsideSection {
    /// `HOST:PORT`, or `HOST` for any port: where activities may go; empty: wherever their settings say. In a variable with
    /// commas.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// `[queues.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Slots while it is idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<usize>,
    /// Another word for `concurrency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_backoff: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// `rate_limit = { per_second = 10, burst = 20 }`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateSection {
    pub per_second: f64,
    /// What comes in a second, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        let engine = Options::default();
        Self {
            bind: "127.0.0.1:8000".to_owned(),
            insecure: false,
            tls_cert: None,
            tls_key: None,
            limits: LimitSection::default(),
            outside: OutsideSection::default(),
            allowed_hosts: Vec::new(),
            admin_key: None,
            keys: Vec::new(),
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
            steps_max: engine.steps_max,
            readers: engine.readers,
            audit_per_second: engine.audit_per_second,
            passivate_after_seconds: engine.passivate_after_ms as f64 / 1e3,
            shutdown_seconds: 10.0,
            chaos: ChaosMode::Off,
            chaos_seed: 0,
            attempt_timeout_seconds: 5.0,
            retry: Retry::default(),
            activities: BTreeMap::new(),
            queues: BTreeMap::new(),
            portal: PortalSection::default(),
            secret_key: None,
            order_task_queue: crate::workflows::order::QUEUE.to_owned(),
            shipping_task_queue: crate::workflows::shipping::QUEUE.to_owned(),
            temporal_target: None,
        }
    }
}

/// A list of names, or a text with commas between them.
fn names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of names")]
    enum Names {
        List(Vec<String>),
        Text(String),
    }
    let own = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    Ok(match Names::deserialize(deserializer)? {
        Names::List(list) => list.iter().filter_map(|name| own(name)).collect(),
        Names::Text(text) => text.split(',').filter_map(own).collect(),
    })
}

fn without_password<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_url(url))
}

/// A database URL as it may be shown: the password of `scheme://user:password@host/…?password=…` is hidden.
fn shown_url(url: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let base = match base.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (user, host))) => {
            let user = user.split_once(':').map_or(user.to_owned(), |(name, _)| format!("{name}:***"));
            format!("{scheme}://{user}@{host}")
        }
        None => base.to_owned(),
    };
    let hidden = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if name.to_lowercase().contains("password") => format!("{name}=***"),
        _ => pair.to_owned(),
    };
    match query {
        Some(query) => format!("{base}?{}", query.split('&').map(hidden).collect::<Vec<_>>().join("&")),
        None => base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("sqlite://ordain.db", "sqlite://ordain.db"),
            ("ordain.db", "ordain.db"),
            ("postgres://me@host/db", "postgres://me@host/db"),
            ("postgres://me:a:b@c@host:5432/db", "postgres://me:***@host:5432/db"),
            ("postgres://host/db?sslmode=require&password=x", "postgres://host/db?sslmode=require&password=***"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
