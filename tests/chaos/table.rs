//! What a run did, for people: rounds by blow, orders and how they ended, what the world was asked.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::bench::Struck;
use super::blow::Blow;
use super::support::judge::Outcome;

#[derive(Default)]
struct Line {
    rounds: u64,
    met: u64,
    slowest: Duration,
}

#[derive(Default)]
pub struct Table {
    blows: BTreeMap<&'static str, Line>,
    total: Outcome,
}

impl Table {
    pub fn rounds(&self) -> u64 {
        self.blows.values().map(|line| line.rounds).sum()
    }

    pub fn note(&mut self, blow: Blow, struck: Struck) {
        let line = self.blows.entry(blow.name()).or_default();
        line.rounds += 1;
        line.met += u64::from(struck.met);
        line.slowest = line.slowest.max(struck.restart);
    }

    pub fn judged(&mut self, outcome: &Outcome) {
        let total = &mut self.total;
        total.orders += outcome.orders;
        total.cancels.0 += outcome.cancels.0;
        total.cancels.1 += outcome.cancels.1;
        total.moved += outcome.moved;
        total.calls += outcome.calls;
        total.repeated += outcome.repeated;
        for (state, n) in &outcome.ends {
            *total.ends.entry(state.clone()).or_default() += n;
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<34}{:>8}{:>12}{:>18}", "blow", "rounds", "as chosen", "slowest restart")?;
        for (name, line) in &self.blows {
            writeln!(f, "{name:<34}{:>8}{:>12}{:>15} ms", line.rounds, line.met, line.slowest.as_millis())?;
        }
        let total = &self.total;
        let ends: Vec<String> = total.ends.iter().map(|(state, n)| format!("{n} {state}")).collect();
        writeln!(f, "{} rounds, {} orders acknowledged: {}", self.rounds(), total.orders, ends.join(", "))?;
        writeln!(f, "{} cancels taken, {} too late; {} sent elsewhere", total.cancels.0, total.cancels.1, total.moved)?;
        writeln!(f, "{} calls to the world, {} with a key that was used before", total.calls, total.repeated)?;
        writeln!(f, "0 violations: the first ends the run")
    }
}
