//! The kinds of workflow a process knows. A new kind is one line here: `registry.add::<MyWorkflow>()`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::FactRecord;
use super::instance::Instance;
use super::machine::{CodecError, Cx, Machine, Step};
use super::workflow::{Rejection, Workflow};
use crate::model::{RunId, Timestamp, WorkflowId};

/// Why a stored instance cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("no workflow kind {0:?} is registered")]
    UnknownKind(String),
    #[error("its first fact does not start it")]
    NoStart,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

type StartFn =
    fn(WorkflowId, RunId, Option<WorkflowId>, &Value, &Cx<'_>) -> Result<(Box<dyn Machine>, Step), Rejection>;
type RestoreFn = fn(&str) -> Result<Box<dyn Machine>, CodecError>;
type RebornFn =
    fn(WorkflowId, RunId, Option<WorkflowId>, &FactRecord, Timestamp) -> Result<Option<Box<dyn Machine>>, CodecError>;

struct Kind {
    group: &'static str,
    start: StartFn,
    restore: RestoreFn,
    reborn: RebornFn,
}

/// All kinds of workflow, by name.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Kind>,
}

impl Registry {
    /// Adds a kind.
    pub fn add<W: Workflow>(&mut self) -> &mut Self {
        let kind = Kind {
            group: W::GROUP,
            start: |id, run_id, parent, input, cx| {
                let (instance, step) = Instance::<W>::start(id, run_id, parent, input, cx)?;
                Ok((Box::new(instance), step))
            },
            restore: |snapshot| {
                let mut instance = serde_json::from_str::<Instance<W>>(snapshot)
                    .map_err(|source| CodecError { what: format!("snapshot of a {}", W::KIND), source })?;
                instance.core.mark_recovered();
                Ok(Box::new(instance))
            },
            reborn: |id, run_id, parent, fact, at| {
                let instance = Instance::<W>::reborn(id, run_id, parent, fact, at)?;
                Ok(instance.map(|instance| Box::new(instance) as Box<dyn Machine>))
            },
        };
        self.kinds.insert(W::KIND, kind);
        self
    }

    /// The names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// The kinds of a group; see [`Workflow::GROUP`].
    pub fn kinds_of(&self, group: &str) -> Vec<&'static str> {
        self.kinds.iter().filter(|(_, kind)| kind.group == group).map(|(name, _)| *name).collect()
    }

    pub(super) fn start(
        &self,
        kind: &str,
        id: WorkflowId,
        parent: Option<WorkflowId>,
        input: &Value,
        cx: &Cx<'_>,
    ) -> Result<(Box<dyn Machine>, Step), Rejection> {
        let entry = self
            .kinds
            .get(kind)
            .ok_or_else(|| Rejection::new("unknown_kind", format!("no workflow kind {kind:?} is registered")))?;
        (entry.start)(id, cx.ids.run_id(), parent, input, cx)
    }

    /// Brings an instance back from its snapshot.
    ///
    /// # Errors
    /// [`RestoreError`] where the kind is not known or the snapshot cannot be read.
    pub fn restore(&self, kind: &str, snapshot: &str) -> Result<Box<dyn Machine>, RestoreError> {
        let entry = self.kinds.get(kind).ok_or_else(|| RestoreError::UnknownKind(kind.to_owned()))?;
        Ok((entry.restore)(snapshot)?)
    }

    /// Brings an instance back by folding its facts, each with its instant.
    ///
    /// # Errors
    /// [`RestoreError`] where the kind is not known or a fact cannot be read.
    pub fn fold<'a>(
        &self,
        kind: &str,
        id: &WorkflowId,
        run_id: RunId,
        parent: Option<WorkflowId>,
        facts: impl IntoIterator<Item = (&'a FactRecord, Timestamp)>,
    ) -> Result<Box<dyn Machine>, RestoreError> {
        let entry = self.kinds.get(kind).ok_or_else(|| RestoreError::UnknownKind(kind.to_owned()))?;
        let mut facts = facts.into_iter();
        let (first, at) = facts.next().ok_or(RestoreError::NoStart)?;
        let mut machine = (entry.reborn)(id.clone(), run_id, parent, first, at)?.ok_or(RestoreError::NoStart)?;
        for (fact, at) in facts {
            machine.replay(fact, at)?;
        }
        Ok(machine)
    }
}
