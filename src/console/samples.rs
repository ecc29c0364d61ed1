//! What the charts show: a sample every few seconds, kept for minutes, and one a minute, kept for a day. In memory
//! only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::SetOnce;
use tokio::time::sleep;

use super::batch_run::Batches;
use super::latency::{Buckets, completed};
use super::list::counts;
use crate::http::MetricsFn;
use crate::model::Timestamp;
use crate::runtime::Engine;

/// Between two samples.
pub const STEP_S: u64 = 5;
/// Fine samples that are kept: a quarter of an hour.
const FINE_MAX: usize = 180;
/// A fine sample of so many is kept for long, and so many of those are kept: a day.
const COARSE_EVERY: u64 = 60 / STEP_S;
const COARSE_MAX: usize = 1_440;

/// The name under which refunds that were made are counted.
pub const REFUNDS: &str = "refunds";

/// States an order does not leave by itself.
pub const ENDS: [&str; 4] = ["completed", "cancelled", "failed", "timed_out"];

#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Timestamp,
    /// Orders by state.
    pub counts: BTreeMap<String, i64>,
    /// The last event.
    pub event: u64,
    /// How long the orders took that completed.
    pub took: Buckets,
    /// Metrics by name, summed over their labels.
    pub metrics: BTreeMap<String, f64>,
}

impl Sample {
    pub fn count(&self, state: &str) -> i64 {
        self.counts.get(state).copied().unwrap_or_default()
    }

    pub fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or_default()
    }
}

/// How this life of the server began.
#[derive(Debug, Clone)]
pub struct Boot {
    pub id: String,
    pub since: Timestamp,
    /// Orders that had not ended, and went on.
    pub open: i64,
    /// The last event of the life before.
    pub event: u64,
}

/// What the console remembers between two requests.
#[derive(Default)]
pub struct Console {
    boot: SetOnce<Boot>,
    fine: Mutex<VecDeque<Sample>>,
    coarse: Mutex<VecDeque<Sample>>,
    pub batches: Batches,
}

impl Console {
    /// Known a moment after the server began to listen.
    pub async fn boot(&self) -> &Boot {
        self.boot.wait().await
    }

    /// The samples of the last minutes, oldest first.
    pub fn fine(&self) -> Vec<Sample> {
        copy(&self.fine)
    }

    /// The samples of the last hours, oldest first; those of the last minutes while there are no others.
    pub fn coarse(&self) -> Vec<Sample> {
        let coarse = copy(&self.coarse);
        if coarse.len() < 5 { self.fine() } else { coarse }
    }

    /// Takes samples until the engine's journal closes.
    pub async fn watch(&self, engine: Engine, metrics: Option<MetricsFn>) {
        let news = engine.last_event();
        let (mut last, mut seen) = (None::<Sample>, u64::MAX);
        for n in 0_u64.. {
            if news.has_changed().is_err() {
                return;
            }
            let event = *news.borrow();
            let counts = match &last {
                Some(last) if event == seen => Some(last.counts.clone()),
                _ => engine.read(counts).await.ok(),
            };
            if let Some(counts) = counts {
                seen = event;
                // Gauges are brought up to date by whoever reads them.
                engine.refresh_metrics().await;
                let text = metrics.as_ref().map(|render| render()).unwrap_or_default();
                let (took, metrics) = (completed(&text), sums(&text));
                let sample = Sample { at: engine.now(), counts, event, took, metrics };
                if self.boot.get().is_none() {
                    // Nobody else sets it.
                    let _set = self.boot.set(began(&engine, &sample));
                }
                if n.is_multiple_of(COARSE_EVERY) {
                    push(&self.coarse, sample.clone(), COARSE_MAX);
                }
                push(&self.fine, sample.clone(), FINE_MAX);
                last = Some(sample);
            }
            sleep(Duration::from_secs(STEP_S)).await;
        }
    }
}

fn began(engine: &Engine, first: &Sample) -> Boot {
    let found = engine.recovery();
    Boot { id: uuid::Uuid::now_v7().to_string(), since: found.began, open: found.orders, event: first.event }
}

fn copy(ring: &Mutex<VecDeque<Sample>>) -> Vec<Sample> {
    ring.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

fn push(ring: &Mutex<VecDeque<Sample>>, sample: Sample, max: usize) {
    let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
    if ring.len() == max {
        ring.pop_front();
    }
    ring.push_back(sample);
}

/// The engine's metrics out of the Prometheus text, summed over labels; buckets are left out.
fn sums(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("ordain_")) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or_default();
        if name.ends_with("_bucket") || name.starts_with("ordain_http_") {
            continue;
        }
        if let Ok(value) = value.parse::<f64>() {
            *sums.entry(name.to_owned()).or_default() += value;
            if name == "ordain_activity_attempts_total"
                && series.contains("\"refund_payment\"")
                && series.contains("\"none\"")
            {
                *sums.entry(REFUNDS.to_owned()).or_default() += value;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text = "# HELP x\nordain_queue_backlog{queue=\"a b\"} 2\nordain_queue_backlog{queue=\"c\"} 3\n\
                    ordain_x_bucket{le=\"1\"} 9\nordain_http_requests_total 7\nordain_actors_live 4\nother 1\n";
        let expected = [("ordain_actors_live".to_owned(), 4.0), ("ordain_queue_backlog".to_owned(), 5.0)];
        assert_eq!(sums(text), BTreeMap::from(expected));
    }
}
