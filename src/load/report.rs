//! What a run found out.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::check::Check;
use super::metrics::Scrape;
use super::options::Output;
use super::series::Series;
use super::table;

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Every order was accepted and ended, and the check, where one was made, found nothing.
    pub ok: bool,
    pub url: String,
    /// Orders that were to be run.
    pub orders: u64,
    /// Orders in flight at most.
    pub in_flight: usize,
    /// Orders that arrived a second; `None`: a new one whenever another had ended.
    pub rate: Option<f64>,
    pub mix: String,
    pub seed: u64,
    pub accepted: u64,
    /// Orders that ended, in which state ever.
    pub ended: u64,
    pub completed: u64,
    /// How many ended in which state.
    pub ends: BTreeMap<String, u64>,
    /// Starts that were refused, by status and code.
    pub refused: BTreeMap<String, u64>,
    pub seconds: f64,
    /// Orders that ended, a second.
    pub orders_per_second: f64,
    /// From the start request to its answer.
    pub start_ms: Latency,
    /// From the start request to the answer that the order ended.
    pub completion_ms: Latency,
    /// From the request that was taken to its answer: without what was refused before.
    pub taken_ms: Latency,
    /// From that answer to the one that the order ended.
    pub life_ms: Latency,
    pub retries: Retries,
    pub generator_cpu_seconds: Option<f64>,
    pub server: ServerFigures,
    /// `None`: nothing was checked in SQL.
    pub check: Option<Check>,
    pub notes: Vec<String>,
    /// The course of the run.
    pub series: Series,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// Requests that were sent again.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Retries {
    /// After 429 or 503.
    pub overloaded: u64,
    /// After another answer of the 500s.
    pub server_errors: u64,
    /// After a connection that was refused, lost or silent.
    pub connection_losses: u64,
    /// The last thing that went wrong.
    pub last: Option<String>,
}

/// What the server says of itself, for the time of the run; `None` where it does not.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServerFigures {
    pub batches: Option<f64>,
    pub batch_mean: Option<f64>,
    pub batch_p50: Option<f64>,
    /// The bound of the highest bucket in use.
    pub batch_max: Option<f64>,
    pub commit_p50_ms: Option<f64>,
    pub commit_p99_ms: Option<f64>,
    pub mailbox_high_water: Option<f64>,
    pub actors_started: Option<f64>,
    pub actors_restarted: Option<f64>,
    pub actors_stuck: Option<f64>,
    pub actors_live: Option<f64>,
    pub actors_passivated: Option<f64>,
    /// Of a server of our own.
    pub peak_rss_bytes: Option<u64>,
    pub cpu_seconds: Option<f64>,
}

impl Latency {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            mean: histogram.mean() / 1_000.0,
            p50: ms(histogram.value_at_quantile(0.50)),
            p95: ms(histogram.value_at_quantile(0.95)),
            p99: ms(histogram.value_at_quantile(0.99)),
            max: ms(histogram.max()),
        }
    }
}

impl ServerFigures {
    pub fn between(before: &Scrape, after: &Scrape) -> Self {
        let batch = after.distribution(before, "ordain_journal_batch_transitions");
        let commit = after.distribution(before, "ordain_journal_commit_seconds");
        let commit_ms = |q| commit.as_ref().and_then(|c| c.quantile(q)).map(|seconds| seconds * 1_000.0);
        Self {
            batches: batch.as_ref().map(|b| b.count),
            batch_mean: batch.as_ref().and_then(|b| b.mean()),
            batch_p50: batch.as_ref().and_then(|b| b.quantile(0.5)),
            batch_max: batch.as_ref().and_then(|b| b.max_bound()),
            commit_p50_ms: commit_ms(0.50),
            commit_p99_ms: commit_ms(0.99),
            mailbox_high_water: after.value("ordain_mailbox_high_water"),
            actors_started: after.growth(before, "ordain_actors_started_total"),
            actors_restarted: after.growth(before, "ordain_actors_restarted_total"),
            actors_stuck: after.growth(before, "ordain_actors_stuck_total"),
            actors_live: after.value("ordain_actors_live"),
            actors_passivated: after.value("ordain_actors_passivated"),
            peak_rss_bytes: None,
            cpu_seconds: None,
        }
    }
}

impl Report {
    /// The report for a person or for a script.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn render(&self, output: Output) -> std::io::Result<String> {
        match output {
            Output::Table => Ok(table::render(self)),
            Output::Json => serde_json::to_string_pretty(self).map_err(std::io::Error::other),
        }
    }
}

/// A report for tests.
#[cfg(test)]
pub(super) fn example() -> Report {
    Report {
        ok: true,
        url: "http://127.0.0.1:1".into(),
        orders: 10,
        in_flight: 2,
        rate: None,
        mix: "auto=1".into(),
        seed: 1,
        accepted: 10,
        ended: 10,
        completed: 9,
        ends: [("completed".into(), 9), ("failed".into(), 1)].into(),
        refused: [].into(),
        seconds: 0.5,
        orders_per_second: 20.0,
        start_ms: Latency { mean: 1.0, p50: 1.0, p95: 2.0, p99: 3.0, max: 40.125 },
        completion_ms: Latency::default(),
        taken_ms: Latency::default(),
        life_ms: Latency::default(),
        retries: Retries::default(),
        generator_cpu_seconds: None,
        server: ServerFigures::default(),
        check: Some(Check { orders: 10, events: 120, ..Check::default() }),
        notes: vec!["fewer".into()],
        series: Series::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_milliseconds_and_an_empty_run_has_none() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        assert_eq!(Latency::of(&histogram), Latency::default());
        for micros in 1..=1_000 {
            histogram.record(micros * 10).unwrap();
        }
        let latency = Latency::of(&histogram);
        assert!((latency.p50 - 5.0).abs() < 0.02 && (latency.p99 - 9.9).abs() < 0.02, "{latency:?}");
        assert!((latency.max - 10.0).abs() < 0.02);
    }

    #[test]
    fn a_server_that_says_nothing_of_itself_leaves_gaps() {
        let figures = ServerFigures::between(&Scrape::default(), &Scrape::default());
        assert!(figures.batches.is_none() && figures.mailbox_high_water.is_none());
    }
}
