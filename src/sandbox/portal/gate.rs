//! Who is let in: a rate, storms, and the counts of who came.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::sandbox::Rate;
use crate::sandbox::world::locked;

/// Invoices whose fetches are counted one by one.
const COUNTED_MAX: usize = 1_000_000;

/// A request that is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turned {
    pub code: &'static str,
    pub retry_after_s: u32,
}

/// What came so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// All requests of clients, those turned away included.
    requests: u64,
    logins: u64,
    unauthorized: u64,
    /// Turned away by the rate.
    rate_limited: u64,
    /// The last storm.
    storm: Option<Storm>,
    fetches: Fetches,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Storm {
    active: bool,
    seconds: u64,
    retry_after: u32,
    /// Requests that came into it.
    requests: u64,
    /// The same by seconds since it began.
    per_second: Vec<u64>,
}

/// Fetches of single invoices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Fetches {
    total: u64,
    /// Different invoices.
    distinct: u64,
    /// The most fetches of one.
    max: u64,
    /// Fetches of one that was fetched already.
    duplicates: u64,
}

/// As many requests at once as come in a second, then so many a second.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// # Errors
    /// After how many seconds there is room.
    fn take(&mut self, now: Instant) -> Result<(), u32> {
        let filled = self.left + now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        (self.left, self.at) = (filled.min(self.rate.max(1.0)), now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err((((1.0 - self.left) / self.rate).ceil() as u32).max(1))
    }
}

#[derive(Debug)]
struct Inner {
    bucket: Option<Bucket>,
    /// The last storm's begin and end.
    storm: Option<(Instant, Instant)>,
    stats: Stats,
    fetched: HashMap<Box<str>, u64>,
}

pub struct Gate(Mutex<Inner>);

impl Gate {
    pub fn new(rate: Option<Rate>, now: Instant) -> Self {
        let bucket = rate.map(|Rate(rate)| Bucket { rate, left: rate.max(1.0), at: now });
        Self(Mutex::new(Inner { bucket, storm: None, stats: Stats::default(), fetched: HashMap::new() }))
    }

    /// Counts a request and lets it in.
    ///
    /// # Errors
    /// [`Turned`] in a storm or above the rate.
    pub fn enter(&self, now: Instant) -> Result<(), Turned> {
        let inner = &mut *locked(&self.0);
        inner.stats.requests += 1;
        if let (Some((begin, end)), Some(storm)) = (inner.storm, &mut inner.stats.storm)
            && now < end
        {
            storm.requests += 1;
            let second = now.saturating_duration_since(begin).as_secs() as usize;
            if let Some(count) = storm.per_second.get_mut(second) {
                *count += 1;
            }
            return Err(Turned { code: "storm", retry_after_s: storm.retry_after });
        }
        if let Some(bucket) = &mut inner.bucket {
            bucket.take(now).map_err(|retry_after_s| {
                inner.stats.rate_limited += 1;
                Turned { code: "rate_limited", retry_after_s }
            })?;
        }
        Ok(())
    }

    pub fn login(&self) {
        locked(&self.0).stats.logins += 1;
    }

    pub fn unauthorized(&self) {
        locked(&self.0).stats.unauthorized += 1;
    }

    /// Counts the fetch of an invoice.
    pub fn fetched(&self, id: &str) {
        let inner = &mut *locked(&self.0);
        let fetches = &mut inner.stats.fetches;
        fetches.total += 1;
        let room = inner.fetched.len() < COUNTED_MAX;
        match inner.fetched.get_mut(id) {
            Some(count) => {
                *count += 1;
                fetches.duplicates += 1;
                fetches.max = fetches.max.max(*count);
            }
            None if room => {
                inner.fetched.insert(id.into(), 1);
                fetches.distinct += 1;
                fetches.max = fetches.max.max(1);
            }
            None => {}
        }
    }

    /// Begins a storm, in place of one there may be.
    pub fn storm(&self, seconds: u64, retry_after: u32, now: Instant) {
        let inner = &mut *locked(&self.0);
        inner.storm = Some((now, now + Duration::from_secs(seconds)));
        let per_second = vec![0; usize::try_from(seconds).unwrap_or_default()];
        inner.stats.storm = Some(Storm { active: false, seconds, retry_after, requests: 0, per_second });
    }

    pub fn stats(&self, now: Instant) -> Stats {
        let inner = locked(&self.0);
        let mut stats = inner.stats.clone();
        if let (Some((_, end)), Some(storm)) = (inner.storm, &mut stats.storm) {
            storm.active = now < end;
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_seconds_worth_in_at_once_and_then_so_many_a_second() {
        let begin = Instant::now();
        let gate = Gate::new(Some(Rate(2.0)), begin);
        let at = |ms| gate.enter(begin + Duration::from_millis(ms)).map_err(|t| (t.code, t.retry_after_s));
        assert_eq!([at(0), at(0), at(0)], [Ok(()), Ok(()), Err(("rate_limited", 1))]);
        assert_eq!([at(500), at(500)], [Ok(()), Err(("rate_limited", 1))]);
        assert_eq!(gate.stats(begin).rate_limited, 2);
    }

    #[test]
    fn in_a_storm_everybody_is_turned_away_and_counted_by_the_second() {
        let begin = Instant::now();
        let gate = Gate::new(None, begin);
        gate.storm(2, 7, begin);
        let at = |ms| gate.enter(begin + Duration::from_millis(ms)).err();
        let turned = Some(Turned { code: "storm", retry_after_s: 7 });
        assert_eq!([at(0), at(1_500), at(1_999), at(2_000)], [turned, turned, turned, None]);
        let storm = gate.stats(begin).storm.unwrap();
        assert_eq!((storm.active, storm.requests, storm.per_second), (true, 3, vec![1, 2]));
        assert!(!gate.stats(begin + Duration::from_secs(2)).storm.unwrap().active);
    }

    #[test]
    fn fetches_are_counted_for_each_invoice() {
        let gate = Gate::new(None, Instant::now());
        for id in ["a", "b", "a", "a"] {
            gate.fetched(id);
        }
        let expected = Fetches { total: 4, distinct: 2, max: 3, duplicates: 2 };
        assert_eq!(gate.stats(Instant::now()).fetches, expected);
    }
}
