//! Shared backoff: one call that is told to come back later holds back the whole queue, not only itself.
//!
//! Open → (pushed back) waiting → (the time is over) probing, one call at a time → (a probe succeeds) slow start, twice
//! as many at once with each round that succeeds → open. Whoever is pushed back on the way, all of them wait again.

use super::Ms;

/// The first wait where the other side does not say how long, and the longest.
const FIRST_MS: Ms = 1_000;
const LONGEST_MS: Ms = 60_000;
/// Calls at once when the probe has succeeded.
const SLOW_START: usize = 2;

/// What the end of a call says of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It served us, if only by a refusal.
    Served,
    /// It wants less: 429, or 503; and after how many ms it wants to be asked again, if it says so.
    PushedBack { retry_after_ms: Option<Ms> },
    /// Nothing: no connection, no answer.
    Nothing,
}

/// Whether a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Yes,
    /// Not before this instant.
    At(Ms),
    /// Not before a call has ended.
    Later,
}

/// Given to each call that starts, and back at its end: it tells calls of before a backoff from those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Waiting { until: Ms },
    Probing,
    SlowStart { limit: usize, served: usize },
}

#[derive(Debug)]
pub struct Backoff {
    phase: Phase,
    /// The next wait where the other side does not say how long.
    wait_ms: Ms,
    /// Counts the times it was pushed back.
    round: u64,
    /// Calls of this round under way.
    out: usize,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { phase: Phase::Open, wait_ms: FIRST_MS, round: 0, out: 0 }
    }
}

impl Backoff {
    /// Whether a call may start now.
    pub fn room(&self, now: Ms) -> Room {
        let free = match self.phase {
            Phase::Open => true,
            Phase::Waiting { until } if now < until => return Room::At(until),
            Phase::Waiting { .. } | Phase::Probing => self.out == 0,
            Phase::SlowStart { limit, .. } => self.out < limit,
        };
        if free { Room::Yes } else { Room::Later }
    }

    /// A call starts, for which there was room.
    pub fn started(&mut self, now: Ms) -> Permit {
        if matches!(self.phase, Phase::Waiting { until } if now >= until) {
            self.phase = Phase::Probing;
        }
        self.out += 1;
        Permit(self.round)
    }

    /// A call has ended. `ceiling`: calls at once from which on nothing more is held back.
    pub fn ended(&mut self, now: Ms, permit: Permit, word: Word, ceiling: usize) {
        let of_this_round = permit.0 == self.round;
        if of_this_round {
            self.out = self.out.saturating_sub(1);
        }
        match word {
            Word::PushedBack { retry_after_ms } => {
                self.push_back(now, retry_after_ms.filter(|ms| *ms > 0), of_this_round);
            }
            Word::Served if of_this_round => self.served(ceiling),
            // It was asked before the backoff and says nothing of the time after.
            Word::Served | Word::Nothing => {}
        }
    }

    fn push_back(&mut self, now: Ms, retry_after_ms: Option<Ms>, of_this_round: bool) {
        if let (Phase::Waiting { until }, false) = (&mut self.phase, of_this_round) {
            // One of those that were under way when it began: it is the same backoff, but may last longer.
            *until = (*until).max(now.saturating_add(retry_after_ms.unwrap_or(0)));
            return;
        }
        let wait = retry_after_ms.unwrap_or(self.wait_ms);
        if retry_after_ms.is_none() && of_this_round {
            self.wait_ms = (self.wait_ms * 2).min(LONGEST_MS);
        }
        self.phase = Phase::Waiting { until: now.saturating_add(wait) };
        self.round += 1;
        self.out = 0;
    }

    fn served(&mut self, ceiling: usize) {
        self.phase = match self.phase {
            Phase::Probing => Phase::SlowStart { limit: SLOW_START, served: 0 },
            Phase::SlowStart { limit, served } if served + 1 < limit => Phase::SlowStart { limit, served: served + 1 },
            Phase::SlowStart { limit, .. } if limit.saturating_mul(2) < ceiling => {
                Phase::SlowStart { limit: limit * 2, served: 0 }
            }
            Phase::SlowStart { .. } => {
                self.wait_ms = FIRST_MS;
                Phase::Open
            }
            phase @ (Phase::Open | Phase::Waiting { .. }) => phase,
        };
    }

    /// Until when nothing starts, if so.
    pub fn until(&self, now: Ms) -> Option<Ms> {
        match self.phase {
            Phase::Waiting { until } if now < until => Some(until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PUSH: Word = Word::PushedBack { retry_after_ms: None };

    fn after(seconds: Ms) -> Word {
        Word::PushedBack { retry_after_ms: Some(seconds * 1_000) }
    }

    #[test]
    fn retry_after_is_obeyed_then_one_probe_then_a_gradual_return() {
        let mut backoff = Backoff::default();
        let all: Vec<Permit> = (0..10).map(|_| backoff.started(0)).collect();
        backoff.ended(5, all[0], after(7), 16);
        // The others of the same moment neither double it nor shorten it.
        backoff.ended(6, all[1], after(3), 16);
        backoff.ended(7, all[2], PUSH, 16);
        backoff.ended(8, all[3], Word::Served, 16);
        assert_eq!(backoff.room(7_004), Room::At(7_005));
        assert_eq!(backoff.room(7_005), Room::Yes);
        let probe = backoff.started(7_005);
        assert_eq!(backoff.room(7_006), Room::Later);
        backoff.ended(7_100, probe, Word::Served, 16);
        let mut widths = Vec::new();
        for _ in 0..4 {
            let mut permits = Vec::new();
            while backoff.room(8_000) == Room::Yes && permits.len() < 50 {
                permits.push(backoff.started(8_000));
            }
            widths.push(permits.len());
            permits.into_iter().for_each(|permit| backoff.ended(8_001, permit, Word::Served, 16));
        }
        assert_eq!(widths, [2, 4, 8, 50]);
    }

    #[test]
    fn without_retry_after_the_waits_double_up_to_a_minute_and_begin_small_again() {
        let mut backoff = Backoff::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..9 {
            let permit = backoff.started(now);
            backoff.ended(now, permit, PUSH, 1);
            let until = backoff.until(now).unwrap();
            waits.push((until - now) / 1_000);
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for _ in 0..3 {
            let permit = backoff.started(now);
            backoff.ended(now, permit, Word::Served, 1);
        }
        let permit = backoff.started(now);
        backoff.ended(now, permit, PUSH, 1);
        assert_eq!(backoff.until(now), Some(now + 1_000));
    }

    #[test]
    fn a_probe_that_learns_nothing_is_followed_by_another_one_at_a_time() {
        let mut backoff = Backoff::default();
        let permit = backoff.started(0);
        backoff.ended(0, permit, after(1), 8);
        for _ in 0..3 {
            let probe = backoff.started(1_000);
            assert_eq!(backoff.room(1_000), Room::Later);
            backoff.ended(1_000, probe, Word::Nothing, 8);
            assert_eq!(backoff.room(1_000), Room::Yes);
        }
    }

    fn word() -> impl Strategy<Value = Word> {
        prop_oneof![
            3 => Just(Word::Served),
            1 => Just(Word::Nothing),
            1 => (0_u64..90).prop_map(after),
            1 => Just(PUSH),
        ]
    }

    proptest! {
        /// A host that asks before each start: whatever the other side says, nothing starts within a Retry-After, there
        /// is never more than one probe, and in the end, when it serves again, nothing is held back.
        #[test]
        fn whatever_is_said_the_waits_are_kept_and_all_is_well_in_the_end(
            script in prop::collection::vec((0_u64..4_000, 0_usize..6, word()), 1..200)
        ) {
            let mut backoff = Backoff::default();
            let mut out: Vec<Permit> = Vec::new();
            let (mut now, mut not_before) = (0, 0);
            let mut probes: Vec<u64> = Vec::new();
            for (ms, index, word) in script {
                now += ms;
                if backoff.room(now) == Room::Yes {
                    prop_assert!(now >= not_before, "started at {now}, not before {not_before}");
                    let permit = backoff.started(now);
                    if backoff.phase == Phase::Probing {
                        probes.push(permit.0);
                        prop_assert_eq!(out.iter().filter(|p| p.0 == permit.0).count(), 0, "two probes at once");
                    }
                    out.push(permit);
                }
                if index < out.len() {
                    backoff.ended(now, out.remove(index), word, 32);
                    if let Word::PushedBack { retry_after_ms: Some(ms) } = word {
                        not_before = not_before.max(now + ms);
                    }
                }
            }
            now = now.max(not_before) + LONGEST_MS;
            for permit in out.drain(..) {
                backoff.ended(now, permit, Word::Served, 32);
            }
            for _ in 0..100 {
                prop_assert_eq!(backoff.room(now), Room::Yes);
                let permit = backoff.started(now);
                backoff.ended(now, permit, Word::Served, 32);
            }
            prop_assert_eq!(backoff.phase, Phase::Open);
        }
    }
}
