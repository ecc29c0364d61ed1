//! Logs and the metrics recorder of the process.

#[cfg(feature = "otlp")]
mod otlp;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// Buckets of times, in seconds: from a commit's to a hung call's.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of whole lives and of steps with all their attempts, in seconds: to a day of manual review.
const LONG_SECONDS: [f64; 24] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0,
    300.0, 600.0, 1_800.0, 3_600.0, 86_400.0,
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
    #[cfg(feature = "otlp")]
    #[error("spans cannot be sent: {0}")]
    Otlp(String),
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
    // The library counts characters without the space before a directive and cuts with it: a wrong target, or a panic.
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    EnvFilter::try_new(directives.join(","))
}

/// Sends the logs of the process to standard error; with the feature `otlp`, spans to a collector where one is set.
///
/// # Errors
/// [`TelemetryError`] where the level cannot be read, or logs go somewhere already.
pub fn logs(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    let all = tracing_subscriber::registry().with(lines.with_filter(filter(level)?));
    #[cfg(feature = "otlp")]
    let all = all.with(otlp::layer()?);
    all.try_init().map_err(|_| TelemetryError::Twice)
}

/// At the end of the process: what is still to be sent is sent, for at most so long.
pub fn flush(limit: Duration) {
    #[cfg(feature = "otlp")]
    otlp::flush(limit);
    #[cfg(not(feature = "otlp"))]
    let _nothing_is_sent = limit;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_a_filter_change_nothing() {
        let plain = filter("info,ordain::runtime=debug").unwrap().to_string();
        for spaced in [" info,ordain::runtime=debug ", "info, ordain::runtime=debug", "info\n,\t ordain::runtime=debug"]
        {
            assert_eq!(filter(spaced).unwrap().to_string(), plain, "{spaced:?}");
        }
        assert_eq!(filter("info, é=debug").unwrap().to_string(), filter("info,é=debug").unwrap().to_string());
    }
}
