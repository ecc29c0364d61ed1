//! The flags of `ordain serve`: those settings that have one, under the names they have in the configuration.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::activities::ChaosMode;
use crate::config::LogFormat;
use crate::workflows::order::ReviewMode;

/// The settings that have a flag; absent where it is not given.
#[derive(Debug, Args, Serialize)]
pub(super) struct ServeArgs {
    /// A configuration file, in place of ordain.toml.
    #[arg(long, env = "ORDAIN_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8000].
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    bind: Option<String>,
    /// Allow to listen beyond loopback without API keys.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure: bool,
    /// Speak TLS with this certificate (PEM, its chain behind it); read again when it changes.
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// sqlite://PATH [default: sqlite://ordain.db].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database_url: Option<String>,
    /// error, warn, info, debug, trace, or a filter [default: info].
    #[arg(long, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// auto: a timer ends a review; manual: a person does [default: auto].
    #[arg(long, value_parser = review)]
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewMode>,
    /// How long an automatic review lasts [default: 2].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    review_seconds: Option<f64>,
    /// After how long an unanswered manual review ends the order; 0: never [default: 0].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    review_deadline_seconds: Option<f64>,
    /// Running time of a whole order; 0: no deadline [default: 15].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_seconds: Option<f64>,
    /// How long one attempt of an activity may take [default: 5].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout_seconds: Option<f64>,
    /// Make activities fail on purpose [default: off].
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    chaos: Option<ChaosMode>,
    /// The same seed gives the same failures [default: 0].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    chaos_seed: Option<u64>,
    /// Arbiters that host order actors [default: half the cores].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<usize>,
    /// Threads that serve HTTP [default: the cores].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<usize>,
    /// Live actors; beyond it new orders are refused with 503 [default: 20000].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    live_max: Option<usize>,
    /// Steps under way; beyond it new work is refused with 503 [default: 1000].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    steps_max: Option<usize>,
    /// Connections at once [default: 20000].
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// The largest body of a request [default: 1048576].
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    body_limit_bytes: Option<usize>,
    /// Every request is answered within this time [default: 10].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout_seconds: Option<f64>,
    /// How long what runs may take to end after SIGTERM [default: 10].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown_seconds: Option<f64>,
}

pub(super) fn review(text: &str) -> Result<ReviewMode, String> {
    match text {
        "auto" => Ok(ReviewMode::Auto),
        "manual" => Ok(ReviewMode::Manual),
        _ => Err("is auto or manual".to_owned()),
    }
}
