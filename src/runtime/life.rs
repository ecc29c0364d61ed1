//! The life of one instance as it is stored: its facts, and the states they led through.

use super::EngineError;
use crate::kernel::{Document, Machine, Registry};
use crate::model::Timestamp;
use crate::store::{StoreError, StoredFact, StoredWorkflow};

#[derive(Debug)]
pub struct Life {
    /// The oldest first.
    pub facts: Vec<StoredFact>,
    pub passages: Vec<Passage>,
    /// The fact up to which `record` tells of it.
    pub at: u64,
    /// The record after fact `at`.
    pub record: Document,
    /// The record before fact `at`; `None` where that was the first.
    pub before: Option<Document>,
}

/// An instance came into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// The fact that led there.
    pub seq: u64,
    pub at: Timestamp,
    pub state: &'static str,
}

/// Folds the facts one by one, once: notes where the state changes, and what the record was around fact `at` (the last
/// one where there is no such fact).
pub(super) fn of(
    registry: &Registry,
    row: &StoredWorkflow,
    facts: Vec<StoredFact>,
    at: Option<u64>,
) -> Result<Life, EngineError> {
    let corrupt = |e: &dyn std::fmt::Display| EngineError::Store(StoreError::Corrupt(e.to_string()));
    let (Some(first), Some(last)) = (facts.first(), facts.last()) else { return Err(EngineError::NotFound) };
    let at = at.unwrap_or(last.seq).clamp(first.seq, last.seq);
    let born = registry.fold(&row.kind, &row.id, row.run_id, row.parent.clone(), [(&first.fact, first.at)]);
    let mut machine = born.map_err(|e| corrupt(&e))?;
    let told = |machine: &dyn Machine| machine.document(&[], None).map_err(|e| corrupt(&e));
    let mut passages = vec![Passage { seq: first.seq, at: first.at, state: machine.state_name() }];
    let mut record = told(machine.as_ref())?;
    let mut before = None;
    for fact in facts.iter().skip(1) {
        if fact.seq == at {
            before = Some(told(machine.as_ref())?);
        }
        machine.replay(&fact.fact, fact.at).map_err(|e| corrupt(&e))?;
        if fact.seq == at {
            record = told(machine.as_ref())?;
        }
        let state = machine.state_name();
        if passages.last().is_none_or(|last| last.state != state) {
            passages.push(Passage { seq: fact.seq, at: fact.at, state });
        }
    }
    Ok(Life { facts, passages, at, record, before })
}
