//! What is counted while the orders run. One of it, behind a lock that is held for a few additions.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// An hour in microseconds; what takes longer is counted as that.
const LONGEST_US: u64 = 3_600_000_000;

/// How far an order came, as its client saw it. One byte for each order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer to its start was ever read. It may or may not exist.
    Unanswered,
    Refused,
    Accepted,
    /// Ended, in the state with this number in [`Tally::states`].
    Ended(u8),
}

/// What came since the last sample, in µs.
#[derive(Clone)]
pub struct Window {
    pub completion_us: Histogram<u64>,
    /// Of the tries that were taken.
    pub taken_us: Histogram<u64>,
}

pub struct Tally {
    pub fates: Vec<Fate>,
    /// The states orders ended in, in the order they were first seen.
    pub states: Vec<String>,
    pub accepted: u64,
    pub ended: u64,
    /// Starts that were refused, by status and code.
    pub refused: BTreeMap<String, u64>,
    pub start_us: Histogram<u64>,
    pub completion_us: Histogram<u64>,
    /// Of the tries that were taken.
    pub taken_us: Histogram<u64>,
    /// From then to the end.
    pub life_us: Histogram<u64>,
    window: Window,
    /// Answers 429 and 503.
    pub overloaded: u64,
    /// Other answers of the 500s.
    pub server_errors: u64,
    /// Connections refused, lost or silent.
    pub connection_losses: u64,
    /// The last of these, for people.
    pub last_trouble: Option<String>,
}

impl Tally {
    /// # Errors
    /// If the histograms cannot be made.
    pub fn new(orders: u64) -> std::io::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_US, 3).map_err(std::io::Error::other);
        let orders = usize::try_from(orders).map_err(std::io::Error::other)?;
        Ok(Self {
            fates: vec![Fate::Unanswered; orders],
            states: Vec::new(),
            accepted: 0,
            ended: 0,
            refused: BTreeMap::new(),
            start_us: histogram()?,
            completion_us: histogram()?,
            taken_us: histogram()?,
            life_us: histogram()?,
            window: Window { completion_us: histogram()?, taken_us: histogram()? },
            overloaded: 0,
            server_errors: 0,
            connection_losses: 0,
            last_trouble: None,
        })
    }

    /// `after`: since the order should have started; `taken`: since the request that was taken was sent.
    pub fn accept(&mut self, number: u64, after: Duration, taken: Duration) {
        self.start_us.saturating_record(micros(after));
        self.taken_us.saturating_record(micros(taken));
        self.window.taken_us.saturating_record(micros(taken));
        self.accepted += 1;
        self.set(number, Fate::Accepted);
    }

    pub fn refuse(&mut self, number: u64, why: String) {
        *self.refused.entry(why).or_default() += 1;
        self.set(number, Fate::Refused);
    }

    /// `after`: since the order should have started; `life`: since it was accepted.
    pub fn end(&mut self, number: u64, state: &str, after: Duration, life: Duration) {
        self.life_us.saturating_record(micros(life));
        self.completion_us.saturating_record(micros(after));
        self.window.completion_us.saturating_record(micros(after));
        self.ended += 1;
        let known = self.states.iter().position(|s| s == state).unwrap_or_else(|| {
            self.states.push(state.to_owned());
            self.states.len() - 1
        });
        self.set(number, Fate::Ended(u8::try_from(known).unwrap_or(u8::MAX)));
    }

    /// What came since the last call.
    pub fn take_window(&mut self) -> Window {
        let window = self.window.clone();
        self.window.completion_us.reset();
        self.window.taken_us.reset();
        window
    }

    /// How many orders ended in which state.
    pub fn ends(&self) -> BTreeMap<String, u64> {
        let mut counts = vec![0_u64; self.states.len()];
        for fate in &self.fates {
            if let Fate::Ended(state) = fate
                && let Some(count) = counts.get_mut(usize::from(*state))
            {
                *count += 1;
            }
        }
        self.states.iter().cloned().zip(counts).collect()
    }

    fn set(&mut self, number: u64, fate: Fate) {
        if let Some(slot) = usize::try_from(number).ok().and_then(|n| self.fates.get_mut(n)) {
            *slot = fate;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_by_state() {
        let mut tally = Tally::new(4).unwrap();
        for (number, state) in [(0, "completed"), (1, "failed"), (3, "completed")] {
            tally.accept(number, Duration::from_micros(5), Duration::from_micros(5));
            tally.end(number, state, Duration::from_millis(2), Duration::from_millis(1));
        }
        tally.refuse(2, "422 invalid".into());
        assert_eq!(tally.ends(), BTreeMap::from([("completed".into(), 2), ("failed".into(), 1)]));
        assert_eq!(tally.fates[2], Fate::Refused);
        assert_eq!((tally.accepted, tally.ended), (3, 3));
    }
}
