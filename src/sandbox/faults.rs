//! What goes wrong on purpose: a pure draw out of seed, key and attempt, or what was asked for in advance.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Kind;
use crate::kernel::{mix, seed};

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum FaultMode {
    #[default]
    Off,
    Light,
    Rough,
}

/// One way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 500, and nothing was done.
    ErrorBefore,
    /// 500, and it was done.
    ErrorAfter,
    /// It was done; the connection is closed without a word.
    LostReply,
    /// Nothing is ever said; whether it was done is drawn, too.
    Hang,
    /// It is done after a while.
    Slow,
    /// It was done; the answer is 200 and not JSON.
    Garbage,
    /// 429 with Retry-After: 1, and nothing was done.
    RateLimited,
}

impl FaultKind {
    pub const ALL: [Self; 7] = [
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::LostReply,
        Self::Hang,
        Self::Slow,
        Self::Garbage,
        Self::RateLimited,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorBefore => "error_before",
            Self::ErrorAfter => "error_after",
            Self::LostReply => "lost_reply",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
            Self::RateLimited => "rate_limited",
        }
    }

    /// Its share of all attempts, in percent.
    fn share(self, mode: FaultMode) -> u64 {
        let (light, rough) = match self {
            Self::ErrorBefore => (2, 9),
            Self::ErrorAfter => (1, 7),
            Self::LostReply => (2, 7),
            Self::Hang => (1, 3),
            Self::Slow => (2, 9),
            Self::Garbage => (1, 5),
            Self::RateLimited => (1, 5),
        };
        match mode {
            FaultMode::Off => 0,
            FaultMode::Light => light,
            FaultMode::Rough => rough,
        }
    }
}

/// What befalls one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Of a hang: it was done all the same.
    pub done: bool,
    /// Of a slow answer: how slow.
    pub delay: Duration,
}

/// Faults that were asked for, of one activity.
#[derive(Debug, Clone, Serialize)]
struct Ordered {
    kind: FaultKind,
    times: u32,
}

/// So many different orders for faults wait for one activity at most.
const ORDERED_MAX: usize = 100;

/// The faults in force.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Faults {
    mode: FaultMode,
    seed: u64,
    next: BTreeMap<Kind, VecDeque<Ordered>>,
}

impl Faults {
    pub fn new(mode: FaultMode, seed: u64) -> Self {
        Self { mode, seed, next: BTreeMap::new() }
    }

    /// Sets the mode, and the seed where one is given; forgets what was asked for in advance.
    pub fn set(&mut self, mode: FaultMode, seed: Option<u64>) {
        *self = Self::new(mode, seed.unwrap_or(self.seed));
    }

    /// Asks for a fault of the next `times` attempts of an activity. False where too many wait.
    pub fn order(&mut self, activity: Kind, kind: FaultKind, times: u32) -> bool {
        let waiting = self.next.entry(activity).or_default();
        let fits = waiting.len() < ORDERED_MAX;
        if fits && times > 0 {
            waiting.push_back(Ordered { kind, times });
        }
        fits
    }

    /// What befalls attempt number `attempt` (from 1) with this key: what was asked for first, else by lot.
    pub fn draw(&mut self, activity: Kind, key: &str, attempt: u32) -> Option<Fault> {
        let lot = mix(seed(&[key], u64::from(attempt)) ^ mix(self.seed));
        let kind = self.take(activity).or_else(|| self.by_lot(lot % 100))?;
        // Other bits than those that chose the kind.
        Some(Fault { kind, done: lot >> 63 == 1, delay: Duration::from_millis(100 + (lot >> 32) % 900) })
    }

    fn take(&mut self, activity: Kind) -> Option<FaultKind> {
        let waiting = self.next.get_mut(&activity)?;
        let first = waiting.front_mut()?;
        let kind = first.kind;
        first.times -= 1;
        if first.times == 0 {
            waiting.pop_front();
        }
        if waiting.is_empty() {
            self.next.remove(&activity);
        }
        Some(kind)
    }

    fn by_lot(&self, mut percent: u64) -> Option<FaultKind> {
        for kind in FaultKind::ALL {
            let share = kind.share(self.mode);
            if percent < share {
                return Some(kind);
            }
            percent -= share;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(faults: &mut Faults) -> Vec<Option<FaultKind>> {
        (0..20_000).map(|n| faults.draw(Kind::Charge, &format!("k-{}", n / 4), n % 4 + 1).map(|f| f.kind)).collect()
    }

    #[test]
    fn the_shares_are_as_promised_and_the_same_seed_gives_the_same() {
        for (mode, percent) in [(FaultMode::Off, 0.0), (FaultMode::Light, 10.0), (FaultMode::Rough, 45.0)] {
            let drawn = kinds(&mut Faults::new(mode, 1));
            let share = drawn.iter().flatten().count() as f64 / 200.0;
            assert!((share - percent).abs() < 1.5, "{mode:?}: {share}");
            assert_eq!(drawn, kinds(&mut Faults::new(mode, 1)));
            assert_eq!(mode == FaultMode::Off, drawn == kinds(&mut Faults::new(mode, 2)));
        }
    }

    #[test]
    fn what_was_asked_for_comes_first_for_its_activity_alone() {
        let mut faults = Faults::new(FaultMode::Off, 0);
        assert!(faults.order(Kind::Dispatch, FaultKind::ErrorBefore, 2));
        assert!(faults.order(Kind::Dispatch, FaultKind::Garbage, 1));
        assert_eq!(faults.draw(Kind::Charge, "k", 1), None);
        let drawn: Vec<_> = (1..5).map(|n| faults.draw(Kind::Dispatch, "k", n).map(|f| f.kind)).collect();
        let expected = [FaultKind::ErrorBefore, FaultKind::ErrorBefore, FaultKind::Garbage];
        assert_eq!(drawn, [expected.map(Some).as_slice(), &[None]].concat());
        let mut full = Faults::default();
        assert!((0..ORDERED_MAX).all(|_| full.order(Kind::Charge, FaultKind::Slow, 1)));
        assert!(!full.order(Kind::Charge, FaultKind::Slow, 1));
    }
}
