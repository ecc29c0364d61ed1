//! What an import is started with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::month::{Month, day};

/// The longest range, in months: a hundred years.
const MONTHS_MAX: u32 = 1_200;

/// Whose invoices, of which days, and by which login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportParams {
    /// The company, as the portal knows it.
    #[schemars(length(min = 1, max = 64))]
    pub company_id: String,
    /// For people.
    #[schemars(length(max = 200))]
    #[serde(default)]
    pub company_name: String,
    /// The portal's login. Sealed before anything is stored.
    pub credentials: Credentials,
    /// The first day, such as 2024-01-01.
    #[schemars(length(min = 10, max = 40))]
    pub date_range_start: String,
    /// The last day, itself included.
    #[schemars(length(min = 10, max = 40))]
    pub date_range_end: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[schemars(length(min = 1))]
    pub username: String,
    #[schemars(length(min = 1))]
    pub password: String,
}

/// The days of an import, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub first: String,
    pub last: String,
}

impl Range {
    pub fn of(params: &ImportParams) -> Option<Self> {
        let (first, last) = (day(&params.date_range_start)?, day(&params.date_range_end)?);
        (first <= last).then_some(Self { first, last })
    }

    pub fn holds(&self, day: &str) -> bool {
        self.first.as_str() <= day && day <= self.last.as_str()
    }

    /// Whether every day of a month is in it.
    pub fn holds_all_of(&self, month: Month) -> bool {
        self.holds(&month.first_day()) && self.holds(&month.last_day())
    }

    pub fn first_month(&self) -> Option<Month> {
        Month::of(&self.first)
    }

    /// The month behind another, where it is still in the range.
    pub fn month_after(&self, month: Month) -> Option<Month> {
        month.next().filter(|next| next.first_day() <= self.last)
    }

    pub fn months(&self) -> u32 {
        Month::of(&self.first).zip(Month::of(&self.last)).map_or(0, |(first, last)| first.count_to(last))
    }
}

/// What the schema cannot say: pointers and sentences.
pub fn faults(params: &ImportParams) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let (first, last) = (day(&params.date_range_start), day(&params.date_range_end));
    for (pointer, day) in [("/date_range_start", &first), ("/date_range_end", &last)] {
        if day.is_none() {
            faults.push((pointer, "must be a day such as 2024-01-31".to_owned()));
        }
    }
    if faults.is_empty() {
        match Range::of(params).map(|range| range.months()) {
            None => faults.push(("/date_range_end", "must not be before date_range_start".to_owned())),
            Some(months) if months > MONTHS_MAX => {
                faults.push(("/date_range_end", format!("must be within {MONTHS_MAX} months")));
            }
            Some(_) => {}
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(first: &str, last: &str) -> ImportParams {
        ImportParams {
            company_id: "c".into(),
            company_name: String::new(),
            credentials: Credentials { username: "u".into(), password: "p".into() },
            date_range_start: first.into(),
            date_range_end: last.into(),
        }
    }

    #[test]
    fn a_range_is_checked_and_knows_its_months() {
        let pointers = |first, last| faults(&params(first, last)).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(pointers("2024-01-31", "2024-01-31"), [""; 0]);
        assert_eq!(pointers("2024-02-30", "x"), ["/date_range_start", "/date_range_end"]);
        assert_eq!(pointers("2024-02-02", "2024-02-01"), ["/date_range_end"]);
        assert_eq!(pointers("1900-01-01", "2024-02-01"), ["/date_range_end"]);
        let range = Range::of(&params("2023-12-15", "2024-02-29")).unwrap();
        let month = range.first_month().unwrap();
        assert!(!range.holds_all_of(month) && range.months() == 3);
        let next = range.month_after(month).unwrap();
        assert!(range.holds_all_of(next) && range.holds_all_of(range.month_after(next).unwrap()));
        assert_eq!(range.month_after(range.month_after(next).unwrap()), None);
        assert!(range.holds("2023-12-15") && !range.holds("2023-12-14") && !range.holds("2024-03-01"));
    }
}
