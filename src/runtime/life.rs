//! The life of one instance as it is stored: its facts, and the states they led through.

use super::EngineError;
use crate::kernel::Registry;
use crate::model::Timestamp;
use crate::store::{StoreError, StoredFact, StoredWorkflow};

#[derive(Debug)]
pub struct Life {
    /// The oldest first.
    pub facts: Vec<StoredFact>,
    pub passages: Vec<Passage>,
}

/// An instance came into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// The fact that led there.
    pub seq: u64,
    pub at: Timestamp,
    pub state: &'static str,
}

/// Folds the facts one by one and notes where the state changes.
pub(super) fn of(registry: &Registry, row: &StoredWorkflow, facts: Vec<StoredFact>) -> Result<Life, EngineError> {
    let corrupt = |e: &dyn std::fmt::Display| EngineError::Store(StoreError::Corrupt(e.to_string()));
    let Some(first) = facts.first() else { return Err(EngineError::NotFound) };
    let born = registry.fold(&row.kind, &row.id, row.run_id, row.parent.clone(), [(&first.fact, first.at)]);
    let mut machine = born.map_err(|e| corrupt(&e))?;
    let mut passages = vec![Passage { seq: first.seq, at: first.at, state: machine.state_name() }];
    for fact in facts.iter().skip(1) {
        machine.replay(&fact.fact, fact.at).map_err(|e| corrupt(&e))?;
        let state = machine.state_name();
        if passages.last().is_none_or(|last| last.state != state) {
            passages.push(Passage { seq: fact.seq, at: fact.at, state });
        }
    }
    Ok(Life { facts, passages })
}
