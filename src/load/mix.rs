//! Which orders a run is made of.

use std::fmt;
use std::str::FromStr;

use super::orders::mix;

/// What its client does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// A timer ends its review.
    Auto,
    /// The client approves it.
    Manual,
    /// The client cancels it at some moment; it may be too late.
    Cancel,
}

/// Shares of each course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    auto: u32,
    manual: u32,
    cancel: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self { auto: 100, manual: 0, cancel: 0 }
    }
}

impl Mix {
    /// The course of order `number`; it follows from the seed.
    pub fn course(&self, seed: u64, number: u64) -> Course {
        let all = u64::from(self.auto) + u64::from(self.manual) + u64::from(self.cancel);
        let draw = mix(seed.wrapping_add(0xC0_FFEE) ^ number.wrapping_mul(0x9E37_79B9)) % all.max(1);
        if draw < u64::from(self.auto) {
            Course::Auto
        } else if draw < u64::from(self.auto) + u64::from(self.manual) {
            Course::Manual
        } else {
            Course::Cancel
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "auto={},manual={},cancel={}", self.auto, self.manual, self.cancel)
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `auto=80,manual=15,cancel=5`; what is not named has no share.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be shares such as auto=80,manual=15,cancel=5".to_owned();
        let mut shares = Self { auto: 0, manual: 0, cancel: 0 };
        for part in text.split(',') {
            let (name, share) = part.trim().split_once('=').ok_or_else(wrong)?;
            let share: u32 = share.parse().map_err(|_| wrong())?;
            match name {
                "auto" => shares.auto = share,
                "manual" => shares.manual = share,
                "cancel" => shares.cancel = share,
                _ => return Err(wrong()),
            }
        }
        if u64::from(shares.auto) + u64::from(shares.manual) + u64::from(shares.cancel) == 0 {
            return Err(wrong());
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_follow_from_the_seed() {
        let mix: Mix = "auto=70,manual=20,cancel=10".parse().unwrap();
        assert_eq!(mix.to_string().parse::<Mix>(), Ok(mix));
        let count = |course| (0..10_000).filter(|n| mix.course(1, *n) == course).count();
        let (auto, manual, cancel) = (count(Course::Auto), count(Course::Manual), count(Course::Cancel));
        assert!((6_800..7_200).contains(&auto) && (1_850..2_150).contains(&manual) && cancel > 850, "{auto} {manual}");
        assert_eq!(mix.course(5, 77), mix.course(5, 77));
        assert_eq!(Mix::default().course(1, 1), Course::Auto);
    }

    #[test]
    fn what_is_no_mix_is_refused() {
        for wrong in ["", "auto", "auto=0", "auto=-1", "other=1", "auto=1;manual=2"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
