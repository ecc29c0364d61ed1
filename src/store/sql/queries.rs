//! The readers' side.

use std::collections::{BTreeMap, HashMap};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::r2d2::Pool;
use diesel::sql_types::{BigInt, Bool};

use super::connection::{Any, Connect};
use super::error::classify;
use super::schema::{
    AnswerRead, PaymentRead, WorkflowRead, answers, payments, results, state_counts, transitions, workflows,
};
use super::{access, events, kept, list};
use crate::access::{Key as ApiKey, Owner};
use crate::kernel::FactRecord;
use crate::model::{Key, ResultRow, Timestamp, WorkflowId};
use crate::store::{
    AuditFilter, Due, EventsOf, KindFilter, KindPage, OrderFilter, Page, Queries, QueueLoad, StoreError, StoredAnswer,
    StoredAudit, StoredEvent, StoredFact, StoredPayment, StoredQueue, StoredWorkflow,
};

pub struct SqlQueries {
    pool: Pool<Connect>,
}

impl SqlQueries {
    pub fn new(pool: Pool<Connect>) -> Self {
        Self { pool }
    }

    /// Reads on a connection of the pool. A connection may have died since it was last used (the database was
    /// restarted), which says nothing of the database now: so a read that fails is made again on others, until it was
    /// one that is new.
    fn with<T>(&self, read: impl Fn(&mut Any) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut tries_left = self.pool.max_size() + 1;
        loop {
            tries_left -= 1;
            let mut pooled = self.pool.get().map_err(|e| StoreError::Unavailable(e.to_string()))?;
            let result = read(&mut pooled.connection);
            pooled.suspect = matches!(result, Err(StoreError::Unavailable(_)));
            if !pooled.suspect || tries_left == 0 {
                return result;
            }
        }
    }
}

/// The rows of some roots and their open children, each family together, its root first.
pub fn families_of(c: &mut Any, roots: &[i64]) -> Result<Vec<Vec<StoredWorkflow>>, StoreError> {
    // Two reads, each on its own index: the roots by their key, the children by the partial index on `root`.
    let of_roots = workflows::table.filter(workflows::key.eq_any(roots)).select(WorkflowRead::as_select());
    let rows = of_roots.load(c).map_err(classify)?;
    let children = workflows::table
        .filter(workflows::root.eq_any(roots))
        .filter(workflows::root.ne(workflows::key))
        .filter(workflows::ended_at.is_null())
        .order(workflows::key)
        .select(WorkflowRead::as_select());
    let children = children.load(c).map_err(classify)?;
    let mut by_root: HashMap<i64, Vec<StoredWorkflow>> = HashMap::with_capacity(roots.len());
    for row in rows.into_iter().chain(children) {
        by_root.entry(row.root).or_default().push(row.try_into()?);
    }
    Ok(roots.iter().filter_map(|root| by_root.remove(root)).collect())
}

impl Queries for SqlQueries {
    fn ping(&self) -> Result<(), StoreError> {
        self.with(|c| {
            let one = diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1"));
            one.get_result::<i32>(c).map(|_| ()).map_err(classify)
        })
    }

    fn family(&self, root: &WorkflowId) -> Result<Vec<StoredWorkflow>, StoreError> {
        Ok(self.families(std::slice::from_ref(root))?.into_iter().next().unwrap_or_default())
    }

    fn families(&self, roots: &[WorkflowId]) -> Result<Vec<Vec<StoredWorkflow>>, StoreError> {
        self.with(|c| {
            let ids: Vec<&str> = roots.iter().map(WorkflowId::as_str).collect();
            let keys = workflows::table
                .filter(workflows::id.eq_any(ids))
                .filter(workflows::root.eq(workflows::key))
                .select(workflows::key)
                .load::<i64>(c)
                .map_err(classify)?;
            families_of(c, &keys)
        })
    }

    fn workflow(&self, id: &WorkflowId) -> Result<Option<StoredWorkflow>, StoreError> {
        self.with(|c| {
            let row = workflows::table.filter(workflows::id.eq(id.as_str())).select(WorkflowRead::as_select());
            let row: Option<WorkflowRead> = row.first(c).optional().map_err(classify)?;
            row.map(TryInto::try_into).transpose()
        })
    }

    fn history(&self, id: &WorkflowId, after: u64, limit: usize) -> Result<Option<Vec<StoredFact>>, StoreError> {
        let rows = self.with(|c| transitions_of(c, id, after, limit))?;
        let Some(rows) = rows else { return Ok(None) };
        let mut facts = Vec::new();
        for (seq, at, json) in rows {
            let records: Vec<FactRecord> = serde_json::from_str(&json)
                .map_err(|e| StoreError::Corrupt(format!("facts of {id} from seq {seq}: {e}")))?;
            for (record, seq) in records.into_iter().zip(seq as u64..) {
                if seq > after && facts.len() < limit {
                    facts.push(StoredFact { seq, fact: record, at: Timestamp(at) });
                }
            }
        }
        Ok(Some(facts))
    }

    fn events(&self, of: &EventsOf, after: u64, transitions_max: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.with(|c| events::events(c, of, after, transitions_max))
    }

    fn orders(&self, filter: &OrderFilter) -> Result<Page, StoreError> {
        self.with(|c| list::orders(c, filter))
    }

    fn of_kinds(&self, filter: &KindFilter) -> Result<KindPage, StoreError> {
        self.with(|c| list::of_kinds(c, filter))
    }

    fn stats(&self) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError> {
        let rows = self.with(|c| {
            let counts = state_counts::table.select((state_counts::kind, state_counts::state, state_counts::n));
            counts.load::<(String, String, i64)>(c).map_err(classify)
        })?;
        let mut stats: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for (kind, state, n) in rows {
            stats.entry(kind).or_default().insert(state, n);
        }
        Ok(stats)
    }

    fn stats_of(&self, owner: &str) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError> {
        self.with(|c| access::stats_of(c, owner))
    }

    fn owner(&self, id: &WorkflowId) -> Result<Option<Option<Owner>>, StoreError> {
        self.with(|c| access::owner(c, id))
    }

    fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.with(access::keys)
    }

    fn key_counts(&self) -> Result<(i64, i64), StoreError> {
        self.with(access::key_counts)
    }

    fn audit(&self, filter: &AuditFilter) -> Result<Vec<StoredAudit>, StoreError> {
        self.with(|c| access::audit(c, filter))
    }

    fn due(&self, after: (Timestamp, Key), until: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        use workflows::{id, key, wake_at};
        let rows = self.with(|c| {
            // One comparison of pairs, so that the index on (wake_at, key) is walked from where the last page ended.
            let behind = sql::<Bool>("(wake_at, key) > (").bind::<BigInt, _>(after.0.0).sql(", ");
            let query = workflows::table
                .filter(behind.bind::<BigInt, _>(after.1.0).sql(")"))
                .filter(wake_at.le(until.0))
                .order((wake_at, key))
                .limit(i64::try_from(limit).unwrap_or(i64::MAX))
                .select((id, key, wake_at.assume_not_null()));
            query.load::<(String, i64, i64)>(c).map_err(classify)
        })?;
        let due = |(child, at_key, at): (String, i64, i64)| {
            let root = WorkflowId::new(WorkflowId::new(child).root().to_owned());
            Due { root, key: Key(at_key), at: Timestamp(at) }
        };
        Ok(rows.into_iter().map(due).collect())
    }

    fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next = self.with(|c| {
            let later = workflows::table.filter(workflows::wake_at.gt(after.0));
            let first = later.select(diesel::dsl::min(workflows::wake_at));
            first.get_result::<Option<i64>>(c).map_err(classify)
        })?;
        Ok(next.map(Timestamp))
    }

    fn answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        let row: Option<AnswerRead> = self.with(|c| {
            let row = answers::table.filter(answers::key.eq(key)).select(AnswerRead::as_select()).first(c);
            row.optional().map_err(classify)
        })?;
        Ok(row.map(Into::into))
    }

    fn results(&self, root: &WorkflowId, after: &str, limit: usize) -> Result<Option<Vec<ResultRow>>, StoreError> {
        self.with(|c| {
            let key = workflows::table.filter(workflows::id.eq(root.as_str())).select(workflows::key);
            let Some(key) = key.first::<i64>(c).optional().map_err(classify)? else { return Ok(None) };
            let rows = results::table
                .filter(results::workflow.eq(key))
                .filter(results::name.gt(after))
                .order(results::name)
                .limit(i64::try_from(limit).unwrap_or(i64::MAX))
                .select((results::name, results::body))
                .load::<(String, String)>(c)
                .map_err(classify)?;
            Ok(Some(rows.into_iter().map(|(name, body)| ResultRow { name, body }).collect()))
        })
    }

    fn payment(&self, order: &WorkflowId) -> Result<Option<StoredPayment>, StoreError> {
        // By the order's own token: `payments` is keyed by it.
        let Some(row) = self.workflow(order)? else { return Ok(None) };
        let snapshot: serde_json::Value =
            serde_json::from_str(&row.snapshot).map_err(|e| StoreError::Corrupt(format!("{order}: {e}")))?;
        let Some(token) = snapshot.pointer("/state/start/payment_id").and_then(|token| token.as_str()) else {
            return Ok(None);
        };
        let row: Option<PaymentRead> = self.with(|c| {
            let row = payments::table.filter(payments::payment_id.eq(token)).select(PaymentRead::as_select());
            row.first(c).optional().map_err(classify)
        })?;
        Ok(row.map(Into::into))
    }

    fn queues(&self) -> Result<Vec<StoredQueue>, StoreError> {
        self.with(kept::queues)
    }

    fn secret(&self) -> Result<String, StoreError> {
        self.with(kept::secret)
    }

    fn outstanding(&self) -> Result<Vec<QueueLoad>, StoreError> {
        self.with(kept::outstanding)
    }

    fn scan(&self, after: Key, limit: usize) -> Result<Vec<StoredWorkflow>, StoreError> {
        let rows: Vec<WorkflowRead> = self.with(|c| {
            let behind = workflows::table.filter(workflows::key.gt(after.0)).order(workflows::key);
            let page = behind.limit(i64::try_from(limit).unwrap_or(i64::MAX));
            page.select(WorkflowRead::as_select()).load(c).map_err(classify)
        })?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

type TransitionRead = (i64, i64, String);

/// The transitions that hold the facts behind `after`, oldest first: `(seq, at, facts)`.
fn transitions_of(
    c: &mut Any,
    id: &WorkflowId,
    after: u64,
    limit: usize,
) -> Result<Option<Vec<TransitionRead>>, StoreError> {
    let key = workflows::table.filter(workflows::id.eq(id.as_str())).select(workflows::key);
    let Some(key) = key.first::<i64>(c).optional().map_err(classify)? else { return Ok(None) };
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    // The transition that holds fact `after + 1` begins at or before it.
    let first = transitions::table
        .filter(transitions::workflow.eq(key))
        .filter(transitions::seq.le(after.saturating_add(1)))
        .select(diesel::dsl::max(transitions::seq))
        .get_result::<Option<i64>>(c)
        .map_err(classify)?;
    let rows = transitions::table
        .filter(transitions::workflow.eq(key))
        .filter(transitions::seq.ge(first.unwrap_or(0)))
        .order(transitions::seq)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((transitions::seq, transitions::at, transitions::facts))
        .load::<TransitionRead>(c)
        .map_err(classify)?;
    Ok(Some(rows))
}
