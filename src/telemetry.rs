//! Logs and the metrics recorder of the process.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::LogFormat;

/// Buckets of times, in seconds: from a commit's to a hung call's.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of batch sizes.
const SIZES: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log_level is not a level or a filter: {0}")]
    Level(#[from] ParseError),
    #[error("logs are set up already")]
    Twice,
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
}

/// What is logged at a level (`info`) or by a filter (`info,ordain::runtime=debug`).
///
/// # Errors
/// Where the text is neither.
pub fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(level)
}

/// Sends the logs of the process to standard error.
///
/// # Errors
/// [`TelemetryError`] where the level cannot be read, or logs go somewhere already.
pub fn logs(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    done.map_err(|_| TelemetryError::Twice)
}

/// Installs the recorder of metrics; the handle renders them.
///
/// # Errors
/// [`TelemetryError`] where there is one already.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("ordain_journal_batch_transitions".to_owned()), &SIZES)?
        .install_recorder()?;
    crate::runtime::describe_metrics();
    Ok(handle)
}
