//! How fast calls may start: GCRA, by the crate `governor`.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::RateLimit;

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A rate limit and what is used up of it.
pub struct Rate<C: Clock = MonotonicClock> {
    limiter: Option<Limiter<C>>,
    clock: C,
}

impl<C: Clock + Clone> Rate<C> {
    pub fn new(limit: Option<RateLimit>, clock: C) -> Self {
        let limiter = limit.and_then(quota).map(|quota| RateLimiter::direct_with_clock(quota, clock.clone()));
        Self { limiter, clock }
    }

    /// Takes one start.
    ///
    /// # Errors
    /// How long it is until the next; then nothing was taken.
    pub fn take(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check().map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

/// `None` where the numbers are out of range, which configuration and API refuse before.
fn quota(limit: RateLimit) -> Option<Quota> {
    if !RateLimit::PER_SECOND.contains(&limit.per_second) {
        return None;
    }
    let burst = NonZeroU32::new(limit.burst)?;
    Some(Quota::with_period(Duration::from_secs_f64(limit.per_second.recip()))?.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_limit_nothing_waits() {
        let rate = Rate::new(None, FakeRelativeClock::default());
        assert!((0..10_000).all(|_| rate.take().is_ok()));
    }

    #[test]
    fn after_the_burst_starts_come_at_their_pace() {
        let clock = FakeRelativeClock::default();
        let rate = Rate::new(Some(RateLimit { per_second: 4.0, burst: 3 }), clock.clone());
        assert!((0..3).all(|_| rate.take().is_ok()));
        assert_eq!(rate.take(), Err(Duration::from_millis(250)));
        clock.advance(Duration::from_millis(249));
        assert_eq!(rate.take(), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(rate.take(), Ok(()));
        assert!(rate.take().is_err());
    }

    proptest! {
        /// Over any stretch of time no more start than the burst and what the rate allows; and nobody waits longer.
        #[test]
        fn never_faster_and_never_slower_than_asked_for(
            per_second in 0.5_f64..500.0, burst in 1_u32..50, waits in prop::collection::vec(0_u64..400, 1..60)
        ) {
            let clock = FakeRelativeClock::default();
            let rate = Rate::new(Some(RateLimit { per_second, burst }), clock.clone());
            let (mut ms, mut started) = (0_u64, 0_u64);
            for wait in waits {
                clock.advance(Duration::from_millis(wait));
                ms += wait;
                let next = loop {
                    match rate.take() {
                        Ok(()) => started += 1,
                        Err(next) => break next,
                    }
                };
                let allowed = f64::from(burst) + per_second * ms as f64 / 1e3;
                prop_assert!(started as f64 <= allowed + 0.001, "{started} started, {allowed} allowed");
                prop_assert!(next.as_secs_f64() <= per_second.recip() + 1e-6);
            }
        }
    }
}
