//! The invoices: a pure function of seed, company, month and place in the month.

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::kernel::{mix, seed};

/// Invoices on a page.
const PAGE: u32 = 20;
const COMPANY_CHARS_MAX: usize = 64;
const CURRENCY: &str = "USD";

const GOODS: [&str; 8] = [
    "Paper, A4, 500 sheets",
    "Toner cartridge",
    "Office chair",
    "Hosting, one month",
    "Consulting, hours",
    "Freight",
    "Coffee beans, 1 kg",
    "Cleaning, one visit",
];
const SELLERS: [&str; 5] = ["Acme Supplies", "Borealis Freight", "Cobalt Systems", "Delta Catering", "Evergreen Works"];

/// Whether this can be a company's id.
pub fn is_company(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
    (1..=COMPANY_CHARS_MAX).contains(&text.len()) && text.chars().all(plain)
}

/// A month of the years 1900 to 2999: its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month(Date);

impl Month {
    /// Reads `2024-03`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return None;
        }
        let year = year.parse().ok().filter(|y| (1_900..3_000).contains(y))?;
        Date::new(year, month.parse().ok()?, 1).ok().map(Self)
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

pub struct Archive {
    seed: u64,
    per_month: u32,
}

/// One line of an invoice; money in cents.
struct Line {
    goods: &'static str,
    quantity: u64,
    unit_cents: u64,
}

impl Line {
    fn cents(&self) -> u64 {
        self.quantity * self.unit_cents
    }
}

impl Archive {
    pub fn new(seed: u64, per_month: u32) -> Self {
        Self { seed, per_month }
    }

    /// The invoices of a page, and how many pages there are. Beyond the last page: none.
    pub fn page(&self, company: &str, month: Month, page: u32) -> (Vec<Value>, u32) {
        let from = u64::from(page - 1) * u64::from(PAGE) + 1;
        let until = (from + u64::from(PAGE)).min(u64::from(self.per_month) + 1);
        let places = (from..until).filter_map(|place| u32::try_from(place).ok());
        let invoices = places.map(|place| self.head(company, month, place).0).collect();
        (invoices, self.per_month.div_ceil(PAGE).max(1))
    }

    /// A whole invoice, if there is one of this id.
    pub fn invoice(&self, id: &str) -> Option<Value> {
        let mut parts = id.split(':');
        let (company, month, place) = (parts.next()?, Month::parse(parts.next()?)?, parts.next()?);
        let number = place.parse::<u32>().ok().filter(|n| (1..=self.per_month).contains(n))?;
        // One spelling for one invoice.
        if parts.next().is_some() || !is_company(company) || place != format!("{number:04}") {
            return None;
        }
        let (mut invoice, lines) = self.head(company, month, number);
        let draw = self.draw(company, month, number, 1_000);
        let issued: Date = invoice["issued_on"].as_str()?.parse().ok()?;
        invoice["company_id"] = json!(company);
        invoice["due_on"] = json!(issued.checked_add(30.days()).ok()?.to_string());
        let seller = SELLERS[(draw % SELLERS.len() as u64) as usize];
        invoice["seller"] = json!({"name": seller, "tax_id": format!("{:010}", (draw >> 8) % 10_000_000_000)});
        invoice["lines"] = lines
            .iter()
            .zip(1..)
            .map(|(line, number)| {
                json!({
                    "line": number,
                    "description": line.goods,
                    "quantity": line.quantity,
                    "unit_price": money(line.unit_cents),
                    "amount": money(line.cents()),
                })
            })
            .collect();
        Some(invoice)
    }

    /// What a list shows of an invoice, and its lines: they make up the amount.
    fn head(&self, company: &str, month: Month, place: u32) -> (Value, Vec<Line>) {
        let count = 1 + self.draw(company, month, place, 0) % 5;
        let line = |n| {
            let draw = self.draw(company, month, place, n);
            Line {
                goods: GOODS[(draw % GOODS.len() as u64) as usize],
                quantity: 1 + (draw >> 8) % 20,
                unit_cents: 50 + (draw >> 16) % 49_950,
            }
        };
        let lines: Vec<Line> = (1..=count).map(line).collect();
        // Spread over the month, in the order of their numbers.
        let days = u32::try_from(month.0.days_in_month()).unwrap_or(28);
        let day = (place - 1) * days / self.per_month.max(1) + 1;
        let head = json!({
            "id": format!("{company}:{month}:{place:04}"),
            "number": format!("INV-{month}-{place:04}"),
            "issued_on": format!("{month}-{day:02}"),
            "amount": money(lines.iter().map(Line::cents).sum()),
            "currency": CURRENCY,
        });
        (head, lines)
    }

    fn draw(&self, company: &str, month: Month, place: u32, n: u64) -> u64 {
        mix(seed(&[company, &month.to_string()], u64::from(place) << 16 | n) ^ mix(self.seed))
    }
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn cents(value: &Value) -> u64 {
        value.as_str().unwrap().replace('.', "").parse().unwrap()
    }

    #[test]
    fn the_pages_of_a_month_hold_every_invoice_once_and_its_lines_make_up_its_amount() {
        let archive = Archive::new(7, 45);
        let month = Month::parse("2024-02").unwrap();
        let pages: Vec<_> = (1..=4).map(|page| archive.page("acme", month, page)).collect();
        assert_eq!(
            pages.iter().map(|(list, pages)| (list.len(), *pages)).collect::<Vec<_>>(),
            [(20, 3), (20, 3), (5, 3), (0, 3)]
        );
        let all: Vec<&Value> = pages.iter().flat_map(|(list, _)| list).collect();
        let ids: BTreeSet<&str> = all.iter().map(|i| i["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 45);
        for head in all {
            let whole = archive.invoice(head["id"].as_str().unwrap()).unwrap();
            for field in ["id", "number", "issued_on", "amount", "currency"] {
                assert_eq!(whole[field], head[field]);
            }
            let sum: u64 = whole["lines"].as_array().unwrap().iter().map(|line| cents(&line["amount"])).sum();
            assert_eq!(sum, cents(&whole["amount"]));
            assert!(whole["issued_on"].as_str().unwrap().parse::<Date>().is_ok(), "{whole}");
        }
        assert_eq!(archive.page("acme", month, 1), Archive::new(7, 45).page("acme", month, 1));
        assert_ne!(archive.page("acme", month, 1), Archive::new(8, 45).page("acme", month, 1));
        assert_eq!(Archive::new(7, 0).page("acme", month, 1), (vec![], 1));
    }

    #[test]
    fn what_is_no_month_and_no_invoice_is_refused() {
        for bad in ["", "2024", "2024-13", "2024-00", "24-01", "2024-1", "+024-01", "1899-12", "3000-01"] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
        let archive = Archive::new(7, 45);
        for bad in ["", "acme:2024-02", "acme:2024-02:0046", "acme:2024-02:0000", "acme:2024-02:1", "a b:2024-02:0001"]
        {
            assert_eq!(archive.invoice(bad), None, "{bad}");
        }
    }
}
