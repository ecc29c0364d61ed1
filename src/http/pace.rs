//! Refusals for overload leave at a bounded rate, each a little late if need be: a client that asks again at once, on
//! however many connections, must not cost the cores that accepted orders need.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two refusals, in µs.
const EVERY_US: u64 = 1_000;
/// The longest a refusal is held, in µs.
const HELD_MAX_US: u64 = 2_000_000;

/// Where refusals take their turn.
pub struct Pace {
    began: Instant,
    /// When the next refusal may leave, in µs since `began`.
    next_us: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { began: Instant::now(), next_us: AtomicU64::new(0) }
    }
}

impl Pace {
    /// Waits for its turn.
    pub async fn turn(&self) {
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let wait_us = self.wait_us(now_us);
        if wait_us > 0 {
            tokio::time::sleep(Duration::from_micros(wait_us)).await;
        }
    }

    /// A turn that would be too far off is not taken: whoever comes next is not held any longer for it.
    fn wait_us(&self, now_us: u64) -> u64 {
        let take = |next: u64| {
            let mine = next.max(now_us);
            (mine - now_us < HELD_MAX_US).then(|| mine + EVERY_US)
        };
        match self.next_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(next) => next.saturating_sub(now_us),
            Err(_) => HELD_MAX_US,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_refusal_leaves_at_once_and_many_one_after_another() {
        let pace = Pace::default();
        assert_eq!([0, 0, 0, 100].map(|now| pace.wait_us(now)), [0, 1_000, 2_000, 2_900]);
        // A pause later there is nothing left to wait for.
        assert_eq!(pace.wait_us(1_000_000), 0);
    }

    #[test]
    fn no_refusal_is_held_longer_than_two_seconds() {
        let pace = Pace::default();
        let waits: Vec<u64> = (0..10_000).map(|_| pace.wait_us(0)).collect();
        assert!(waits.iter().all(|wait| *wait <= HELD_MAX_US));
        assert_eq!(waits.last(), Some(&HELD_MAX_US));
        assert!(pace.wait_us(2 * HELD_MAX_US) == 0);
    }
}
