//! What is asked of the engine and changes nothing: out of a live actor where there is one, else out of the store.

use std::time::Duration;

use actix_rt::time::timeout;
use tokio::sync::oneshot;

use super::Engine;
use super::command::{EngineError, Until};
use super::engine::refused;
use super::life::{self, Life};
use super::live::{document, passivated};
use super::messages::{Query, Seen};
use crate::kernel::{Document, Family, Machine};
use crate::model::WorkflowId;
use crate::store::{Queries, StoreError, StoredWorkflow};

impl Engine {
    /// The status document of a workflow as JSON text, `live` included; with `wait`, once it is in that state (or has
    /// ended) or the time is over.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn status(&self, id: &WorkflowId, wait: Option<(Until, Duration)>) -> Result<String, EngineError> {
        self.status_of(None, id, wait).await
    }

    /// The same of a workflow of a group alone; one of another group is not found.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn status_of(
        &self,
        group: Option<&str>,
        id: &WorkflowId,
        wait: Option<(Until, Duration)>,
    ) -> Result<String, EngineError> {
        let Some((until, limit)) = wait else { return Ok(self.look(group, id, None).await?.document) };
        let (told, document) = oneshot::channel();
        let now = self.look(group, id, Some((until.clone(), told))).await?;
        if until.is_met(now.state, now.terminal) {
            return Ok(now.document);
        }
        match timeout(limit, document).await {
            Ok(Ok(document)) => Ok(document),
            // The time is over, or the shard went away: what is durable now is the answer.
            Ok(Err(_)) | Err(_) => Ok(self.look(group, id, None).await?.document),
        }
    }

    /// The kinds of workflow of a group.
    pub fn kinds_of(&self, group: &str) -> Vec<&'static str> {
        self.inner.shared.registry.kinds_of(group)
    }

    async fn look(
        &self,
        group: Option<&str>,
        id: &WorkflowId,
        watch: Option<(Until, oneshot::Sender<String>)>,
    ) -> Result<Seen, EngineError> {
        let shared = &self.inner.shared;
        let (reply, seen) = oneshot::channel();
        let query = Query { id: id.clone(), reply, watch };
        self.inner.shards[shared.shard_of(id)].try_send(query).map_err(refused)?;
        let of_group = |seen: Seen| {
            if group.is_none_or(|group| group == seen.group) { Ok(seen) } else { Err(EngineError::NotFound) }
        };
        if let Ok(Some(seen)) = seen.await {
            return of_group(seen);
        }
        let id = id.clone();
        let rows = self.read(move |q| q.family(&id)).await?;
        let family = self.family(&rows)?;
        let root = &family.root().machine;
        let document = document(&family, &passivated(&family)).map_err(corrupt)?;
        of_group(Seen { document, group: root.group(), state: root.state_name(), terminal: root.is_terminal() })
    }

    pub(super) fn family(&self, rows: &[StoredWorkflow]) -> Result<Family, EngineError> {
        let restored = super::restore(&self.inner.shared.registry, rows);
        restored.map_err(corrupt)?.ok_or(EngineError::NotFound)
    }

    /// The durable record of a workflow alone, read from SQL; `seq`: as it was after that fact. `group`: the group of
    /// kinds it must belong to.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also where there is no such `seq`; else [`EngineError`].
    pub async fn record(
        &self,
        group: Option<&str>,
        id: &WorkflowId,
        seq: Option<u64>,
    ) -> Result<Document, EngineError> {
        let of_group = |machine: &dyn Machine| group.is_none_or(|group| group == machine.group());
        let wanted = id.clone();
        let Some(seq) = seq else {
            // A child stands alone; a root is shown with what is known of its open children.
            let rows = if id.root() == id.as_str() {
                self.read(move |q| q.family(&wanted)).await?
            } else {
                self.read(move |q| q.workflow(&wanted)).await?.into_iter().collect()
            };
            let family = self.family(&rows)?;
            if !of_group(family.root().machine.as_ref()) {
                return Err(EngineError::NotFound);
            }
            return family.document(None).map_err(corrupt);
        };
        let read = move |q: &dyn Queries| {
            let row = q.workflow(&wanted)?;
            let facts = q.history(&wanted, 0, usize::try_from(seq).unwrap_or(usize::MAX))?;
            Ok(row.zip(facts))
        };
        let (row, facts) = self.read(read).await?.ok_or(EngineError::NotFound)?;
        if seq == 0 || facts.last().is_none_or(|last| last.seq != seq) {
            return Err(EngineError::NotFound);
        }
        let facts = facts.iter().map(|f| (&f.fact, f.at));
        let registry = &self.inner.shared.registry;
        let machine = registry.fold(&row.kind, &row.id, row.run_id, row.parent, facts).map_err(corrupt)?;
        if !of_group(machine.as_ref()) {
            return Err(EngineError::NotFound);
        }
        machine.document(&[], None).map_err(corrupt)
    }

    /// The first `facts_max` facts of a workflow, the states they led through, and its record around fact `at` (the
    /// last without it), all from one read.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn life(&self, id: &WorkflowId, facts_max: usize, at: Option<u64>) -> Result<Life, EngineError> {
        let (wanted, shared) = (id.clone(), self.inner.shared.clone());
        let read = move |q: &dyn Queries| {
            let row = q.workflow(&wanted)?;
            let facts = q.history(&wanted, 0, facts_max)?;
            // Folded on the reader's thread: it may be long.
            Ok(row.zip(facts).map(|(row, facts)| life::of(&shared.registry, &row, facts, at)))
        };
        self.read(read).await?.unwrap_or(Err(EngineError::NotFound))
    }

    /// Runs a read on the readers' threads.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn read<T, F>(&self, read: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Queries) -> Result<T, StoreError> + Send + 'static,
    {
        let limit = Duration::from_millis(self.inner.shared.options.request_timeout_ms);
        timeout(limit, self.inner.shared.readers.read(read)).await.unwrap_or(Err(EngineError::Timeout))
    }

    /// The document of a family that was read from the store, `live` included (as passivated).
    ///
    /// # Errors
    /// [`EngineError::Store`] where it cannot be read.
    pub fn document(&self, family: &[StoredWorkflow]) -> Result<Document, EngineError> {
        let family = self.family(family)?;
        family.document(Some(&passivated(&family))).map_err(corrupt)
    }
}

fn corrupt(error: impl std::fmt::Display) -> EngineError {
    EngineError::Store(StoreError::Corrupt(error.to_string()))
}
