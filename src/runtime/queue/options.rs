//! What can be set of a queue, and what of it can be changed while it runs.

use serde::{Deserialize, Deserializer, Serialize};

use crate::runtime::Options;
use crate::workflows::{order, shipping};

/// The most calls at once that a queue can be given.
pub const CONCURRENCY_MAX: usize = 100_000;

/// The limits of one task queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueOptions {
    /// Calls this process has under way at once, at most. 0: only outside workers take from the queue. What outside
    /// workers do comes on top: each brings its own capacity.
    pub concurrency: usize,
    /// Slots the pool has while it is idle; it grows with its backlog from here up to `concurrency`, and shrinks again.
    pub min: usize,
    /// Calls waiting in memory; what is beyond it waits in SQL.
    pub window: usize,
    /// How fast calls may start, whoever makes them. `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Whether one 429 (or 503 with Retry-After) holds the whole queue back. `None`: as suits the queue, see [`of`].
    pub shared_backoff: Option<bool>,
    /// Nothing new starts; what runs may end.
    pub paused: bool,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { concurrency: 512, min: 16, window: 4_096, rate_limit: None, shared_backoff: None, paused: false }
    }
}

/// So many starts a second on average; after a rest, `burst` of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub per_second: f64,
    pub burst: u32,
}

impl RateLimit {
    /// The most and the least that can be asked for.
    pub const PER_SECOND: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;
    pub const BURST: std::ops::RangeInclusive<u32> = 1..=1_000_000;

    /// With the burst that suits it: what comes in a second, at least one.
    pub fn per_second(per_second: f64) -> Self {
        Self { per_second, burst: (per_second.ceil() as u32).clamp(1, 1_000_000) }
    }
}

/// What an operator has changed of a queue while it ran; kept in SQL, where it stands above the configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// `Some(None)`: the limit was taken away.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub rate_limit: Option<Option<RateLimit>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// A value that is there, null included.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<RateLimit>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl QueueChange {
    /// This change, and on top of it a later one.
    pub fn then(&self, later: &Self) -> Self {
        Self {
            concurrency: later.concurrency.or(self.concurrency),
            rate_limit: later.rate_limit.or(self.rate_limit),
            paused: later.paused.or(self.paused),
        }
    }

    /// The options with this change.
    pub fn on(&self, options: &QueueOptions) -> QueueOptions {
        QueueOptions {
            concurrency: self.concurrency.unwrap_or(options.concurrency),
            rate_limit: self.rate_limit.unwrap_or(options.rate_limit),
            paused: self.paused.unwrap_or(options.paused),
            ..options.clone()
        }
    }
}

/// The limits of a queue as they are configured. A queue that stands for one outside service (an import's portal) backs
/// off as a whole unless it is told otherwise; the queues that serve many (orders, shipping, jobs) do not.
pub(in crate::runtime) fn of(options: &Options, name: &str) -> QueueOptions {
    let mut queue = options.queues.get(name).cloned().unwrap_or_default();
    let serves_many = [order::QUEUE, shipping::QUEUE, "jobs", "default"].contains(&name);
    queue.shared_backoff.get_or_insert(!serves_many);
    queue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_back_as_it_was_written_and_null_is_not_nothing() {
        let limit = RateLimit { per_second: 2.5, burst: 3 };
        for change in [
            QueueChange::default(),
            QueueChange { rate_limit: Some(None), ..QueueChange::default() },
            QueueChange { concurrency: Some(0), rate_limit: Some(Some(limit)), paused: Some(true) },
        ] {
            let text = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<QueueChange>(&text).unwrap(), change, "{text}");
        }
    }

    #[test]
    fn a_later_change_stands_above_an_earlier_one() {
        let first = QueueChange { concurrency: Some(3), paused: Some(true), ..QueueChange::default() };
        let both = first.then(&QueueChange { paused: Some(false), rate_limit: Some(None), ..QueueChange::default() });
        let limited = QueueOptions { rate_limit: Some(RateLimit::per_second(0.5)), ..QueueOptions::default() };
        let options = both.on(&limited);
        assert_eq!((options.concurrency, options.paused, options.rate_limit), (3, false, None));
    }
}
