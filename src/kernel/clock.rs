//! The deadline clock: counts running time only, and stands still in a manual review and in a pause.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// How much running time a workflow has, and how much of it is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadlineClock {
    /// The whole budget in ms; `None`: no deadline.
    limit_ms: Option<u64>,
    /// Spent up to the last time the clock stopped, in ms.
    spent_ms: u64,
    /// Since when it runs; `None`: it stands still.
    running_since: Option<Timestamp>,
}

impl DeadlineClock {
    /// A clock that starts to run at `now`.
    pub fn start(limit_ms: Option<u64>, now: Timestamp) -> Self {
        Self { limit_ms, spent_ms: 0, running_since: Some(now) }
    }

    /// Lets the clock run or stand still from `now` on.
    pub fn set_running(&mut self, running: bool, now: Timestamp) {
        match (self.running_since, running) {
            (None, true) => self.running_since = Some(now),
            (Some(since), false) => {
                self.spent_ms += now.ms_since(since);
                self.running_since = None;
            }
            _ => {}
        }
    }

    /// Gives the whole budget anew, as an operator's retry does.
    pub fn reset(&mut self, now: Timestamp) {
        self.spent_ms = 0;
        self.running_since = self.running_since.map(|_| now);
    }

    /// The instant the budget is used up; `None` without a deadline or while the clock stands still.
    pub fn deadline(&self) -> Option<Timestamp> {
        let left = self.limit_ms?.saturating_sub(self.spent_ms);
        Some(self.running_since?.plus_ms(left))
    }

    /// Running time left at `now`, in ms; `None` without a deadline.
    pub fn left_ms(&self, now: Timestamp) -> Option<u64> {
        let running = self.running_since.map_or(0, |since| now.ms_since(since));
        Some(self.limit_ms?.saturating_sub(self.spent_ms + running))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_stands_still_is_not_counted() {
        let mut clock = DeadlineClock::start(Some(1_000), Timestamp(0));
        assert_eq!(clock.deadline(), Some(Timestamp(1_000)));
        clock.set_running(false, Timestamp(400));
        assert_eq!(clock.deadline(), None);
        assert_eq!(clock.left_ms(Timestamp(90_000)), Some(600));
        clock.set_running(true, Timestamp(100_000));
        assert_eq!(clock.deadline(), Some(Timestamp(100_600)));
        clock.reset(Timestamp(100_500));
        assert_eq!(clock.deadline(), Some(Timestamp(101_500)));
    }

    #[test]
    fn without_a_limit_there_is_no_deadline() {
        let clock = DeadlineClock::start(None, Timestamp(0));
        assert_eq!((clock.deadline(), clock.left_ms(Timestamp(5))), (None, None));
    }
}
