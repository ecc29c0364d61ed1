//! The smallest story that still shows what a found one shows.

use super::{Bug, Plan, Violation, run};

/// Seeds that are tried under each smaller plan.
const SEEDS: u64 = 20;

/// A world with less in it may take so many lines more.
const LONGER: usize = 6;

/// A found story, and the plan it is told under.
#[derive(Debug)]
pub struct Shrunk {
    pub plan: Plan,
    pub violation: Box<Violation>,
}

/// Takes away orders, faults, crashes, signals, one kind after the other, as long as what is left still breaks the same
/// rule, with this seed or another: delta debugging (Zeller and Hildebrandt, 2002) over the plan's numbers. Deterministic.
pub fn shrink(found: Box<Violation>, plan: &Plan, bug: Option<Bug>) -> Shrunk {
    let mut best = Shrunk { plan: plan.clone(), violation: found };
    loop {
        let before = best.plan.clone();
        for smaller in smaller(&best.plan) {
            let first = best.violation.seed;
            let rule = rule(&best.violation.what);
            let again = (first..first + SEEDS).filter_map(|seed| run(seed, &smaller, bug).err());
            let again = again.filter(|violation| self::rule(&violation.what) == rule);
            if let Some(violation) = again.min_by_key(|violation| violation.story.len())
                && violation.story.len() <= best.violation.story.len() + LONGER
            {
                best = Shrunk { plan: smaller, violation };
            }
        }
        if best.plan == before {
            return best;
        }
    }
}

/// Plans with less of one thing.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut fields: Vec<_> = plan.fields().into_iter().collect();
    // With one order everything after it is quick.
    fields.sort_by_key(|(key, _)| key != "orders");
    for (key, value) in fields {
        let (Some(now), least) = (value.as_u64(), u64::from(key == "orders" || key == "storm_ms")) else { continue };
        for less in [least, now / 2] {
            if less < now && less >= least {
                let text = format!("{plan},{key}={less}");
                all.extend(text.parse::<Plan>().ok());
            }
        }
    }
    all
}

/// What a violation is about, without the order it is about, its numbers and its data.
fn rule(what: &str) -> String {
    let words = what.split(['{', '"', '(']).next().unwrap_or_default();
    words.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}
