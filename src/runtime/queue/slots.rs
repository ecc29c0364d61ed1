//! Elastic pools: how many slots (calls at once) a pool has at a moment, between its `min` and its `max`.
//!
//! While calls wait for a slot their number doubles, a step at a time, so that an outside service is not hit by all of
//! them at once; while less than half of them are used it is halved.

use super::Ms;

/// Between two steps up, and two looks whether a step down is due.
const GROW_EVERY_MS: Ms = 20;
const SHRINK_EVERY_MS: Ms = 1_000;

#[derive(Debug)]
pub struct Slots {
    min: usize,
    max: usize,
    now: usize,
    grown_at: Option<Ms>,
    /// The most that were used since `since`.
    busiest: usize,
    since: Ms,
}

impl Slots {
    pub fn new(min: usize, max: usize) -> Self {
        let min = min.min(max);
        Self { min, max, now: min.max(max.min(1)), grown_at: None, busiest: 0, since: 0 }
    }

    /// How many there are now.
    pub fn limit(&self) -> usize {
        self.now
    }

    pub fn min(&self) -> usize {
        self.min
    }

    pub fn max(&self) -> usize {
        self.max
    }

    pub fn set_bounds(&mut self, min: usize, max: usize) {
        self.min = min.min(max);
        self.max = max;
        self.now = self.now.clamp(self.min.max(max.min(1)), max);
    }

    /// A step up or down, if one is due. `waiting`: whether a call waits for nothing but a slot.
    pub fn adjust(&mut self, at: Ms, running: usize, waiting: bool) {
        self.busiest = self.busiest.max(running);
        let full = waiting && running >= self.now && self.now < self.max;
        if full && self.grown_at.is_none_or(|grown| at >= grown + GROW_EVERY_MS) {
            self.now = self.now.saturating_mul(2).clamp(1, self.max);
            self.grown_at = Some(at);
            (self.busiest, self.since) = (running, at);
        } else if at >= self.since + SHRINK_EVERY_MS {
            if self.busiest <= self.now / 2 && !waiting {
                self.now = (self.now / 2).max(self.min).max(self.max.min(1));
            }
            (self.busiest, self.since) = (running, at);
        }
    }

    /// When to look again.
    pub fn look_at(&self, running: usize, waiting: bool) -> Option<Ms> {
        if waiting && running >= self.now && self.now < self.max {
            Some(self.grown_at.map_or(0, |grown| grown + GROW_EVERY_MS))
        } else {
            (self.now > self.min.max(1)).then_some(self.since + SHRINK_EVERY_MS)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pool_grows_with_its_backlog_in_steps_and_shrinks_when_idle() {
        let mut slots = Slots::new(2, 10);
        let grown: Vec<usize> = (0..4)
            .map(|n| {
                slots.adjust(n * GROW_EVERY_MS, slots.limit(), true);
                slots.limit()
            })
            .collect();
        assert_eq!(grown, [4, 8, 10, 10]);
        let mut idle = Vec::new();
        for second in 1..6 {
            slots.adjust(100 + second * SHRINK_EVERY_MS, 0, false);
            idle.push(slots.limit());
        }
        assert_eq!(idle, [10, 5, 2, 2, 2]);
        assert_eq!(slots.look_at(0, false), None);
    }

    #[test]
    fn no_more_than_asked_for_and_none_where_none_is_allowed() {
        let mut slots = Slots::new(16, 0);
        slots.adjust(5_000, 0, true);
        assert_eq!(slots.limit(), 0);
        slots.set_bounds(16, 4);
        assert_eq!((slots.limit(), slots.min(), slots.max()), (4, 4, 4));
        assert_eq!(Slots::new(0, 8).limit(), 1);
    }

    proptest! {
        #[test]
        fn the_number_stays_within_its_bounds_and_reaches_the_top_under_load(
            min in 0_usize..50, max in 1_usize..2_000, steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 0..40)
        ) {
            let mut slots = Slots::new(min, max);
            let mut at = 0;
            for (ms, busy) in steps {
                at += ms;
                slots.adjust(at, if busy { slots.limit() } else { 0 }, busy);
                prop_assert!(slots.limit() >= min.min(max).max(1) && slots.limit() <= max);
            }
            for _ in 0..12 {
                at += GROW_EVERY_MS;
                slots.adjust(at, slots.limit(), true);
            }
            prop_assert_eq!(slots.limit(), max);
        }
    }
}
