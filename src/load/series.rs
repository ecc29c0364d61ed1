//! The course of a run over time: what was seen at regular instants, for the plots of the report.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::metrics::Scrape;
use super::tally::Window;

/// Between two samples.
pub const EVERY: Duration = Duration::from_millis(500);

/// What was seen at one instant, or since the one before.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// Since the beginning of the run.
    pub seconds: f64,
    /// Orders that ended, a second, since the sample before.
    pub ended_per_second: f64,
    pub in_flight: u64,
    /// Of the orders that ended since the sample before; 0 where none did.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of the starts that were accepted since the sample before, from the request to its answer; 0 where none was.
    pub taken_p99_ms: f64,
    /// Transitions a commit, in the mean since the sample before; `None` where the server did not say.
    pub batch_mean: Option<f64>,
    pub commit_p99_ms: Option<f64>,
    pub actors_live: Option<f64>,
    pub mailbox_high_water: Option<f64>,
    /// Calls of activities that wait for a worker, over all queues.
    pub queued: Option<f64>,
    pub server_rss_bytes: Option<u64>,
}

/// The samples, and the restarts of the server.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Series {
    pub samples: Vec<Sample>,
    pub restarts: Vec<Restart>,
}

/// The server was killed and started again.
#[derive(Debug, Clone, Serialize)]
pub struct Restart {
    /// When it was killed, since the beginning of the run.
    pub seconds: f64,
    /// From its start until it was ready.
    pub ready_ms: f64,
}

/// Takes the samples.
pub struct Sampler {
    begun: Instant,
    last: Instant,
    ended: u64,
    scrape: Scrape,
    pub series: Series,
}

/// What the generator knows at the instant of a sample.
pub struct Seen {
    pub ended: u64,
    pub in_flight: u64,
    pub window: Window,
    /// `None`: the server did not answer.
    pub scrape: Option<Scrape>,
    pub server_rss_bytes: Option<u64>,
}

impl Sampler {
    pub fn new(begun: Instant, scrape: Scrape) -> Self {
        Self { begun, last: begun, ended: 0, scrape, series: Series::default() }
    }

    pub fn since(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= EVERY
    }

    pub fn take(&mut self, seen: Seen) {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64().max(1e-9);
        let quantile =
            |of: &Histogram<u64>, q| if of.is_empty() { 0.0 } else { of.value_at_quantile(q) as f64 / 1_000.0 };
        let mut sample = Sample {
            seconds: (now - self.begun).as_secs_f64(),
            ended_per_second: seen.ended.saturating_sub(self.ended) as f64 / seconds,
            in_flight: seen.in_flight,
            p50_ms: quantile(&seen.window.completion_us, 0.50),
            p99_ms: quantile(&seen.window.completion_us, 0.99),
            taken_p99_ms: quantile(&seen.window.taken_us, 0.99),
            server_rss_bytes: seen.server_rss_bytes,
            ..Sample::default()
        };
        if let Some(scrape) = seen.scrape {
            let batch = scrape.distribution(&self.scrape, "ordain_journal_batch_transitions");
            let commit = scrape.distribution(&self.scrape, "ordain_journal_commit_seconds");
            sample.batch_mean = batch.and_then(|b| b.mean());
            sample.commit_p99_ms = commit.and_then(|c| c.quantile(0.99)).map(|s| s * 1_000.0);
            sample.actors_live = scrape.value("ordain_actors_live");
            sample.mailbox_high_water = scrape.value("ordain_mailbox_high_water");
            sample.queued = scrape.value("ordain_queue_backlog");
            self.scrape = scrape;
        }
        self.series.samples.push(sample);
        (self.last, self.ended) = (now, seen.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_what_came_since_the_one_before() {
        let begun = Instant::now() - Duration::from_secs(1);
        let mut sampler = Sampler::new(begun, Scrape::default());
        let histogram = || Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        let mut window = Window { completion_us: histogram(), taken_us: histogram() };
        window.completion_us.record(5_000).unwrap();
        window.taken_us.record(2_000).unwrap();
        let scrape = Some(Scrape::parse("ordain_actors_live 7"));
        sampler.take(Seen { ended: 100, in_flight: 3, window: window.clone(), scrape, server_rss_bytes: None });
        window.completion_us.reset();
        sampler.take(Seen { ended: 100, in_flight: 3, window, scrape: None, server_rss_bytes: None });
        let [first, second] = &sampler.series.samples[..] else { panic!("two") };
        assert!((90.0..=100.0).contains(&first.ended_per_second), "{first:?}");
        assert!((first.p99_ms - 5.0).abs() < 0.1 && first.actors_live == Some(7.0), "{first:?}");
        assert!((first.taken_p99_ms - 2.0).abs() < 0.1, "{first:?}");
        assert_eq!((second.ended_per_second, second.p99_ms, second.actors_live), (0.0, 0.0, None));
    }
}
