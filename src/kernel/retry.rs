//! When a failed attempt is made again: a pure function of the policy, the kind of failure and the number of tries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::workflow::Persistence;
use crate::model::{Failure, RetryClass};

/// How one activity is retried. Times in ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// The wait before the second attempt.
    pub initial_ms: u64,
    /// What each further wait is multiplied by.
    pub factor: f64,
    /// The longest wait.
    pub cap_ms: u64,
    /// Each wait is spread by up to this share in both directions: 0.2 is 20 %.
    pub jitter: f64,
    /// Attempts in all for failures of kind `error`.
    pub max_attempts: u32,
    /// How long one attempt may take; less where the deadline is nearer.
    pub timeout_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { initial_ms: 100, factor: 2.0, cap_ms: 2_000, jitter: 0.2, max_attempts: 3, timeout_ms: 5_000 }
    }
}

impl RetryPolicy {
    /// The wait after try number `tries` (from 1), in ms. `seed` spreads it: the same seed gives the same wait, so a
    /// step can be repeated. Capped exponential backoff with bounded jitter.
    pub fn backoff_ms(&self, tries: u32, seed: u64) -> u64 {
        let exponent = i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = (self.initial_ms as f64 * self.factor.powi(exponent)).min(self.cap_ms as f64);
        let unit = (mix(seed) >> 11) as f64 / (1_u64 << 53) as f64;
        (wait * (1.0 + self.jitter * (2.0 * unit - 1.0))).round().max(1.0) as u64
    }

    /// Whether and after how many ms an attempt that failed is made again. A Retry-After of the other side is obeyed.
    pub fn next_wait_ms(&self, failure: &Failure, tries: u32, persistence: Persistence, pace: Pace) -> Option<u64> {
        let again = match (persistence, failure.kind.class()) {
            (Persistence::UntilDone, _) => true,
            (_, RetryClass::Never) => false,
            (Persistence::Policy, RetryClass::Limited) => tries < self.max_attempts,
            (Persistence::UntilKnown, RetryClass::Limited) | (_, RetryClass::UntilDeadline) => true,
        };
        let wait = || {
            let wait = self.backoff_ms(tries, pace.seed).saturating_sub(pace.elapsed_ms);
            let wait = pace.left_ms.map_or(wait, |left| wait.min(left / DEADLINE_SHARE));
            wait.max(failure.retry_after_ms.unwrap_or(0)).max(1)
        };
        again.then(wait)
    }
}

/// Of the running time left before a deadline, no wait takes more than this part: twenty more tries fit.
const DEADLINE_SHARE: u64 = 20;

/// What a wait is fitted to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// How long the attempt took, in ms: a backoff is counted from its start.
    pub elapsed_ms: u64,
    /// Running time left before the deadline, in ms.
    pub left_ms: Option<u64>,
    /// Spreads the waits.
    pub seed: u64,
}

/// The policies of all activities: one for each that is named, and one for all others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    pub default: RetryPolicy,
    pub named: BTreeMap<String, RetryPolicy>,
}

impl Policies {
    pub fn of(&self, activity: &str) -> &RetryPolicy {
        self.named.get(activity).unwrap_or(&self.default)
    }
}

/// A seed out of texts and a number (FNV-1a); stable over builds and machines.
pub(crate) fn seed(parts: &[&str], n: u64) -> u64 {
    let bytes = parts.iter().flat_map(|p| p.bytes().chain([0])).chain(n.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::FailureKind;

    #[test]
    fn refusals_are_final_errors_are_counted_and_doubts_go_on() {
        let policy = RetryPolicy::default();
        let wait =
            |kind, tries| policy.next_wait_ms(&Failure::new(kind, ""), tries, Persistence::Policy, Pace::default());
        assert_eq!(wait(FailureKind::Refused, 1), None);
        assert_eq!(wait(FailureKind::Validation, 1), None);
        assert!(wait(FailureKind::Error, 2).is_some());
        assert_eq!(wait(FailureKind::Error, 3), None);
        assert!(wait(FailureKind::Timeout, 500).is_some());
        let kept = |kind, persistence| policy.next_wait_ms(&Failure::new(kind, ""), 9, persistence, Pace::default());
        assert!(kept(FailureKind::Refused, Persistence::UntilDone).is_some());
        assert!(kept(FailureKind::Error, Persistence::UntilKnown).is_some());
        assert_eq!(kept(FailureKind::Refused, Persistence::UntilKnown), None);
    }

    #[test]
    fn retry_after_is_obeyed() {
        let failure = Failure { retry_after_ms: Some(7_000), ..Failure::new(FailureKind::RateLimited, "") };
        assert_eq!(RetryPolicy::default().next_wait_ms(&failure, 1, Persistence::Policy, Pace::default()), Some(7_000));
    }

    #[test]
    fn waits_shrink_with_the_time_an_attempt_took_and_the_time_that_is_left() {
        let policy = RetryPolicy { jitter: 0.0, ..RetryPolicy::default() };
        let wait = |elapsed_ms, left_ms| {
            let pace = Pace { elapsed_ms, left_ms, seed: 1 };
            policy.next_wait_ms(&Failure::new(FailureKind::Timeout, ""), 4, Persistence::Policy, pace)
        };
        assert_eq!(wait(0, None), Some(800));
        assert_eq!(wait(300, None), Some(500));
        assert_eq!(wait(5_000, None), Some(1));
        assert_eq!(wait(0, Some(4_000)), Some(200));
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_jitter(tries in 1_u32..2_000_000_000, seed: u64) {
            let policy = RetryPolicy::default();
            let wait = policy.backoff_ms(tries, seed);
            let middle = (100.0 * 2_f64.powi((tries - 1).min(60) as i32)).min(2_000.0);
            prop_assert!(wait as f64 >= middle * 0.8 - 1.0 && wait as f64 <= middle * 1.2 + 1.0);
        }
    }
}
