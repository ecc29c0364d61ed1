//! What a batch comes to before it is written: which of its units conflict, and what they add to the counts.
//!
//! Pure: the databases bring what is stored already, and write what is left.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Conflict, Unit, Verdict};
use crate::kernel::Transition;

/// What must be looked up before a batch can be judged.
pub struct Asked<'a> {
    /// Ids of instances that are born.
    pub ids: Vec<&'a str>,
    /// Payment ids they claim.
    pub tokens: Vec<&'a str>,
    /// Idempotency keys under which an answer is to be kept.
    pub keys: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    pub fn of(units: &'a [Unit]) -> Self {
        let born = || units.iter().flat_map(|u| &u.transitions).filter(|t| t.is_new);
        Self {
            ids: born().map(|t| t.id.as_str()).collect(),
            tokens: born().filter_map(|t| t.payment.as_ref()).map(|p| p.payment_id.as_str()).collect(),
            keys: units.iter().filter_map(|u| u.answer.as_ref()).map(|a| a.key.as_str()).collect(),
        }
    }
}

/// Of what was asked, what is stored already.
#[derive(Default)]
pub struct Taken {
    pub ids: HashSet<String>,
    /// Orders by the payment id they hold.
    pub holders: HashMap<String, String>,
    pub keys: HashSet<String>,
}

impl Taken {
    /// Finds the units that conflict with what is stored, or with an earlier unit of the same batch.
    pub fn judge(mut self, units: &[Unit]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(units.len());
        for unit in units {
            let verdict = self.conflict(unit).map_or(Verdict::Stored, Verdict::Conflict);
            if verdict == Verdict::Stored {
                self.take(unit);
            }
            verdicts.push(verdict);
        }
        verdicts
    }

    fn take(&mut self, unit: &Unit) {
        for t in unit.transitions.iter().filter(|t| t.is_new) {
            self.ids.insert(t.id.as_str().to_owned());
            if let Some(payment) = &t.payment {
                self.holders.insert(payment.payment_id.as_str().to_owned(), t.id.as_str().to_owned());
            }
        }
        self.keys.extend(unit.answer.iter().map(|a| a.key.clone()));
    }

    fn conflict(&self, unit: &Unit) -> Option<Conflict> {
        if unit.answer.as_ref().is_some_and(|a| self.keys.contains(&a.key)) {
            return Some(Conflict::KeyUsed);
        }
        for t in unit.transitions.iter().filter(|t| t.is_new) {
            if self.ids.contains(t.id.as_str()) {
                return Some(Conflict::WorkflowExists);
            }
            let payment = t.payment.as_ref();
            let held = payment.filter(|p| self.holders.get(p.payment_id.as_str()).is_some_and(|o| o != t.id.as_str()));
            if let Some(payment) = held {
                return Some(Conflict::PaymentInUse(payment.payment_id.clone()));
            }
        }
        None
    }
}

/// The units that are to be stored.
pub fn stored<'a>(units: &'a [Unit], verdicts: &'a [Verdict]) -> impl Iterator<Item = &'a Unit> {
    units.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Stored).map(|(unit, _)| unit)
}

/// What each state of each kind gains or loses by the transitions; those that stay as they are are left out.
pub fn gains<'a>(all: &[&'a Transition]) -> BTreeMap<(&'a str, &'a str), i64> {
    let mut gains: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for t in all.iter().filter(|t| t.state_before != Some(t.state)) {
        *gains.entry((t.kind, t.state)).or_default() += 1;
        if let Some(before) = t.state_before {
            *gains.entry((t.kind, before)).or_default() -= 1;
        }
    }
    gains.retain(|_, gain| *gain != 0);
    gains
}
