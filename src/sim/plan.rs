//! How rough a simulated world is, and what orders are placed in it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rng::Rng;
use crate::model::{Address, Currency, Money, OrderId, PaymentId};
use crate::workflows::order::{Item, OrderStart, ReviewMode, ReviewPlan};

/// How much of what goes wrong. Shares are per mille; times are virtual ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Orders that live side by side in one process.
    pub orders: u32,
    /// Orders are placed, people send signals and the process crashes within this time; after it the world is kind
    /// and operators put right what waits for them, so that every order must end.
    pub storm_ms: u64,
    /// Attempts that fail in some way.
    pub faults: u64,
    /// Of the attempts that fail: those that hang until their timeout.
    pub hangs: u64,
    /// Declined charges, parcels refused, refunds turned down for now.
    pub refusals: u64,
    /// Results that are delivered twice.
    pub duplicates: u64,
    /// How long a commit takes, at most.
    pub commit_ms: u64,
    /// Commits that fail; what they held is tried again later.
    pub lost_commits: u64,
    /// Commits in which the process dies: before they took place or after.
    pub crashes_at_commit: u64,
    /// Crashes of the whole process at any instant, at most.
    pub crashes: u64,
    /// Jumps of the wall clock, at most.
    pub clock_jumps: u64,
    /// Signals sent to each order, at most.
    pub signals: u64,
    /// Orders whose own actor crashes until it is parked.
    pub stuck: u64,
    /// Whether the state is folded from its facts after every step, not only after crashes and in the end.
    pub fold_every_step: bool,
}

impl Plan {
    /// Nothing goes wrong and nobody interferes.
    pub fn calm() -> Self {
        Self {
            orders: 8,
            storm_ms: 20_000,
            faults: 0,
            hangs: 0,
            refusals: 0,
            duplicates: 0,
            commit_ms: 5,
            lost_commits: 0,
            crashes_at_commit: 0,
            crashes: 0,
            clock_jumps: 0,
            signals: 0,
            stuck: 0,
            fold_every_step: false,
        }
    }

    /// The outside world as it is on a bad day, some people who change their minds, now and then a crash.
    pub fn flaky() -> Self {
        Self {
            faults: 330,
            hangs: 300,
            refusals: 60,
            duplicates: 50,
            commit_ms: 30,
            lost_commits: 5,
            crashes_at_commit: 2,
            crashes: 2,
            signals: 3,
            stuck: 20,
            ..Self::calm()
        }
    }

    /// All that can go wrong does.
    pub fn rough() -> Self {
        Self {
            faults: 670,
            hangs: 500,
            refusals: 200,
            duplicates: 200,
            commit_ms: 300,
            lost_commits: 50,
            crashes_at_commit: 20,
            crashes: 6,
            clock_jumps: 2,
            signals: 8,
            stuck: 150,
            ..Self::flaky()
        }
    }

    pub(super) fn order(&self, rng: &mut Rng, n: u32) -> Option<OrderStart> {
        let id = OrderId::parse(&format!("o-{n}")).ok()?;
        let manual = self.signals > 0 && rng.chance(300);
        let mode = if manual { ReviewMode::Manual } else { ReviewMode::Auto };
        let deadline_ms = rng.chance(100).then(|| rng.between(2_000, 30_000));
        let invalid = self.refusals > 0 && rng.chance(30);
        let deadline = match rng.below(8) {
            0 => None,
            1 => Some(rng.between(300, 5_000)),
            _ => Some(15_000),
        };
        Some(OrderStart {
            payment_id: PaymentId::of_order(&id),
            order_id: id,
            money: Money { amount: Decimal::new(if invalid { -1 } else { 4_990 }, 2), currency: Currency::USD },
            address: rng.chance(900).then(|| address(rng)),
            items: vec![Item { sku: "sku-1".to_owned(), quantity: 1, unit_price: None }],
            review: ReviewPlan {
                mode,
                auto_ms: if rng.chance(200) { 0 } else { rng.between(1, 3_000) },
                deadline_ms: if manual { deadline_ms } else { None },
            },
            deadline_ms: deadline,
            metadata: BTreeMap::new(),
            trace: None,
            fingerprint: format!("content-{n}"),
        })
    }
}

/// The text is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    #[error("a plan begins with calm, flaky or rough, not with {0:?}")]
    Name(String),
    #[error("{0:?} is not KEY=NUMBER of a plan")]
    Part(String),
}

impl FromStr for Plan {
    type Err = NoPlan;

    /// `rough`, or `rough,orders=1,faults=0`.
    fn from_str(text: &str) -> Result<Self, NoPlan> {
        let mut parts = text.split(',');
        let plan = match parts.next().unwrap_or_default() {
            "calm" => Self::calm(),
            "flaky" => Self::flaky(),
            "rough" => Self::rough(),
            other => return Err(NoPlan::Name(other.to_owned())),
        };
        parts.try_fold(plan, |plan, part| plan.with(part).ok_or_else(|| NoPlan::Part(part.to_owned())))
    }
}

impl fmt::Display for Plan {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("calm")?;
        let (mine, calm) = (self.fields(), Self::calm().fields());
        for (key, value) in mine.iter().filter(|(key, value)| calm.get(*key) != Some(*value)) {
            write!(f, ",{key}={value}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// Its numbers by name.
    pub(super) fn fields(&self) -> BTreeMap<String, Value> {
        let all = serde_json::to_value(self).ok();
        all.and_then(|all| serde_json::from_value(all).ok()).unwrap_or_default()
    }

    fn with(&self, part: &str) -> Option<Self> {
        let (key, value) = part.split_once('=')?;
        let mut fields = self.fields();
        fields.insert(key.to_owned(), serde_json::from_str(value).ok()?);
        serde_json::from_value(serde_json::to_value(fields).ok()?).ok()
    }
}

pub(super) fn address(rng: &mut Rng) -> Address {
    Address::Line(format!("{} Main Street", rng.between(1, 999)))
}
