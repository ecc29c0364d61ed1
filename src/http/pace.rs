//! Refusals for overload leave at a bounded rate, each a little late if need be: a client that asks again at once, on
//! however many connections, must not cost the cores that accepted orders need.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two refusals, in µs.
const EVERY_US: u64 = 2_000;
/// They leave together at these instants, in µs: one wake-up for many.
const TOGETHER_US: u64 = 20_000;

/// Where refusals take their turn.
pub struct Pace {
    began: Instant,
    /// The longest a refusal is held, in µs.
    held_max_us: u64,
    /// When the next refusal may leave, in µs since `began`.
    next_us: AtomicU64,
}

impl Pace {
    /// `held_max_ms`: the longest a refusal is held.
    pub fn new(held_max_ms: u64) -> Self {
        Self { began: Instant::now(), held_max_us: held_max_ms.saturating_mul(1_000), next_us: AtomicU64::new(0) }
    }

    /// Waits for its turn.
    pub async fn turn(&self) {
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let wait_us = self.wait_us(now_us);
        if wait_us > 0 {
            tokio::time::sleep(Duration::from_micros(wait_us)).await;
        }
    }

    /// Where the next turn would be too far off, the turns of the last quarter are given out once more: more leave then, but
    /// never all that came together.
    fn wait_us(&self, now_us: u64) -> u64 {
        let mine = |next: u64| match next.max(now_us) {
            far if far - now_us > self.held_max_us => now_us + self.held_max_us / 4 * 3,
            mine => mine,
        };
        let take = |next: u64| Some(mine(next) + EVERY_US);
        let mine = self.next_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_or(now_us, mine);
        if mine <= now_us { 0 } else { mine.next_multiple_of(TOGETHER_US).saturating_sub(now_us) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_refusal_leaves_at_once_and_many_leave_in_bunches() {
        let pace = Pace::new(5_000);
        assert_eq!(pace.wait_us(100_000), 0);
        assert!((0..10).all(|_| pace.wait_us(100_000) == 20_000));
        assert_eq!(pace.wait_us(100_000), 40_000);
        // A pause later there is nothing left to wait for.
        assert_eq!(pace.wait_us(1_000_000), 0);
    }

    #[test]
    fn however_many_come_at_once_none_is_held_too_long_and_they_do_not_leave_at_once() {
        let pace = Pace::new(2_000);
        let waits: Vec<u64> = (0..10_000).map(|_| pace.wait_us(0)).collect();
        assert!(waits.iter().all(|wait| *wait <= 2_000_000), "{:?}", waits.iter().max());
        // 1,000 fit into two seconds, so each instant of the last half second is given out 36 times more.
        for from in (1_600_000..2_000_000).step_by(100_000) {
            let leaving = waits.iter().filter(|wait| (from..from + 100_000).contains(*wait)).count();
            assert!((1_700..=2_000).contains(&leaving), "{leaving} leave from {from} µs on");
        }
        assert_eq!(pace.wait_us(4_000_000), 0);
    }
}
