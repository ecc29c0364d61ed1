//! Months and days as texts: `2024-03`, `2024-03-31`. As such they are compared and stored.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A month, known by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The month a day lies in.
    pub fn of(day: &str) -> Option<Self> {
        Some(Self(day.parse::<Date>().ok()?.first_of_month()))
    }

    /// The one after; `None` at the end of time.
    pub fn next(self) -> Option<Self> {
        self.0.last_of_month().tomorrow().ok().map(Self)
    }

    pub fn first_day(self) -> String {
        self.0.to_string()
    }

    pub fn last_day(self) -> String {
        self.0.last_of_month().to_string()
    }

    /// How many months from this one to `last`, both included; 0 where it is later.
    pub fn count_to(self, last: Self) -> u32 {
        let number = |month: Self| i32::from(month.0.year()) * 12 + i32::from(month.0.month());
        u32::try_from(number(last) - number(self) + 1).unwrap_or(0)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of(&format!("{text}-01"))
            .filter(|month| month.to_string() == text)
            .ok_or("is not a month such as 2024-03")
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A day as it is written, a time of the day behind it being left out: `2024-03-31`.
pub fn day(text: &str) -> Option<String> {
    let (day, rest) = text.split_at_checked(10)?;
    let whole = rest.is_empty() || rest.starts_with(['T', ' ']);
    let date = whole.then(|| day.parse::<Date>().ok()).flatten()?;
    (date.to_string() == day && date.year() > 0).then(|| day.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other_and_have_their_own_last_day() {
        let month: Month = "2023-12".parse().unwrap();
        let next = month.next().unwrap();
        assert_eq!((next.to_string(), next.first_day(), next.next().unwrap().last_day()).0, "2024-01");
        assert_eq!("2024-02".parse::<Month>().unwrap().last_day(), "2024-02-29");
        assert_eq!((month.count_to(next), next.count_to(month), month.count_to(month)), (2, 0, 1));
        assert_eq!(serde_json::from_str::<Month>("\"2023-12\"").unwrap(), month);
        for bad in ["", "2023", "2023-13", "2023-1", "x", "2023-12-01"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_is_read_with_or_without_a_time() {
        for good in ["2024-03-31", "2024-03-31T00:00:00Z", "2024-03-31 12:00"] {
            assert_eq!(day(good).as_deref(), Some("2024-03-31"), "{good}");
        }
        for bad in ["", "2024-3-1", "2024-02-30", "31.03.2024", "2024-03-31x", "äöüäöüäöü"] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }
}
