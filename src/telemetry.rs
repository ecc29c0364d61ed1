//! Logs and the metrics recorder of the process.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::LogFormat;

/// Buckets of times, in seconds: from a commit's to a hung call's.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of whole lives and of steps with all their attempts, in seconds: to a day of manual review.
const LONG_SECONDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 86_400.0,
];
/// How often what was recorded is counted into its buckets; until then it takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// Buckets of batch sizes and of mailboxes.
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
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
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

/// The metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// All of them as Prometheus text.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// Installs the recorder of metrics. A thread of its own counts what is recorded, whether or not anybody scrapes.
///
/// # Errors
/// [`TelemetryError`] where there is one already.
pub fn metrics() -> Result<Metrics, TelemetryError> {
    let whole = |name: &str| Matcher::Full(name.to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(whole("ordain_workflow_seconds"), &LONG_SECONDS)?
        .set_buckets_for_metric(whole("ordain_step_seconds"), &LONG_SECONDS)?
        .set_buckets_for_metric(whole("ordain_journal_batch_transitions"), &SIZES)?
        .set_buckets_for_metric(whole("ordain_mailbox_depth"), &SIZES)?
        .install_recorder()?;
    let upkeep = handle.clone();
    std::thread::Builder::new().name("metrics".into()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP_EVERY);
            upkeep.run_upkeep();
        }
    })?;
    crate::runtime::describe_metrics();
    crate::http::describe_metrics();
    metrics::describe_gauge!("ordain_build_info", "1; the version is in the label");
    metrics::gauge!("ordain_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let process = Collector::default();
    process.describe();
    Ok(Metrics { handle, process })
}
