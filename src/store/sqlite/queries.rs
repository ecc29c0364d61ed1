//! The readers' side.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use diesel::sql_types::{BigInt, Text};

use super::error::classify;
use super::schema::{AnswerRead, PaymentRead, WorkflowRead, answers, payments, state_counts, transitions, workflows};
use super::{events, list};
use crate::kernel::FactRecord;
use crate::model::{Key, Timestamp, WorkflowId};
use crate::store::{
    Due, EventsOf, OrderFilter, Page, Queries, StoreError, StoredAnswer, StoredEvent, StoredFact, StoredPayment,
    StoredWorkflow,
};

pub type Connection = PooledConnection<ConnectionManager<SqliteConnection>>;

pub struct SqliteQueries {
    pool: Pool<ConnectionManager<SqliteConnection>>,
}

impl SqliteQueries {
    pub fn new(pool: Pool<ConnectionManager<SqliteConnection>>) -> Self {
        Self { pool }
    }

    fn connection(&self) -> Result<Connection, StoreError> {
        self.pool.get().map_err(|e| StoreError::Unavailable(e.to_string()))
    }
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    key: i64,
    #[diesel(sql_type = BigInt)]
    wake_at: i64,
}

/// The rows of some roots and their open children, each family together, its root first.
pub fn families_of(c: &mut SqliteConnection, roots: &[i64]) -> Result<Vec<Vec<StoredWorkflow>>, StoreError> {
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

impl Queries for SqliteQueries {
    fn ping(&self) -> Result<(), StoreError> {
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1"))
            .get_result::<i32>(&mut self.connection()?)
            .map(|_| ())
            .map_err(classify)
    }

    fn family(&self, root: &WorkflowId) -> Result<Vec<StoredWorkflow>, StoreError> {
        Ok(self.families(std::slice::from_ref(root))?.into_iter().next().unwrap_or_default())
    }

    fn families(&self, roots: &[WorkflowId]) -> Result<Vec<Vec<StoredWorkflow>>, StoreError> {
        let c = &mut self.connection()?;
        let ids: Vec<&str> = roots.iter().map(WorkflowId::as_str).collect();
        let keys = workflows::table
            .filter(workflows::id.eq_any(ids))
            .filter(workflows::root.eq(workflows::key))
            .select(workflows::key)
            .load::<i64>(c)
            .map_err(classify)?;
        families_of(c, &keys)
    }

    fn workflow(&self, id: &WorkflowId) -> Result<Option<StoredWorkflow>, StoreError> {
        let row = workflows::table.filter(workflows::id.eq(id.as_str())).select(WorkflowRead::as_select());
        let row = row.first(&mut self.connection()?).optional().map_err(classify)?;
        row.map(TryInto::try_into).transpose()
    }

    fn history(&self, id: &WorkflowId, after: u64, limit: usize) -> Result<Option<Vec<StoredFact>>, StoreError> {
        let c = &mut self.connection()?;
        let key = workflows::table.filter(workflows::id.eq(id.as_str())).select(workflows::key);
        let Some(key) = key.first::<i64>(c).optional().map_err(classify)? else { return Ok(None) };
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
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
            .limit(limit_rows)
            .select((transitions::seq, transitions::at, transitions::facts))
            .load::<(i64, i64, String)>(c)
            .map_err(classify)?;
        let mut facts = Vec::new();
        for (seq, at, json) in rows {
            let records: Vec<FactRecord> = serde_json::from_str(&json)
                .map_err(|e| StoreError::Corrupt(format!("facts of {id} from seq {seq}: {e}")))?;
            for (record, seq) in records.into_iter().zip(seq..) {
                if seq > after && facts.len() < limit {
                    facts.push(StoredFact { seq: seq as u64, fact: record, at: Timestamp(at) });
                }
            }
        }
        Ok(Some(facts))
    }

    fn events(&self, of: &EventsOf, after: u64, transitions_max: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let c = &mut self.connection()?;
        events::events(c, of, after, transitions_max)
    }

    fn orders(&self, filter: &OrderFilter) -> Result<Page, StoreError> {
        let c = &mut self.connection()?;
        list::orders(c, filter)
    }

    fn stats(&self) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError> {
        let rows = state_counts::table
            .select((state_counts::kind, state_counts::state, state_counts::n))
            .load::<(String, String, i64)>(&mut self.connection()?)
            .map_err(classify)?;
        let mut stats: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for (kind, state, n) in rows {
            stats.entry(kind).or_default().insert(state, n);
        }
        Ok(stats)
    }

    fn due(&self, after: (Timestamp, Key), until: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        let rows = diesel::sql_query(
            "SELECT r.id AS id, w.key AS key, w.wake_at AS wake_at
             FROM workflows w JOIN workflows r ON r.key = w.root
             WHERE w.wake_at IS NOT NULL AND (w.wake_at, w.key) > (?, ?) AND w.wake_at <= ?
             ORDER BY w.wake_at, w.key LIMIT ?",
        )
        .bind::<BigInt, _>(after.0.0)
        .bind::<BigInt, _>(after.1.0)
        .bind::<BigInt, _>(until.0)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
        .load::<DueRow>(&mut self.connection()?)
        .map_err(classify)?;
        let due = |row: DueRow| Due { root: WorkflowId::new(row.id), key: Key(row.key), at: Timestamp(row.wake_at) };
        Ok(rows.into_iter().map(due).collect())
    }

    fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next = workflows::table
            .filter(workflows::wake_at.gt(after.0))
            .select(diesel::dsl::min(workflows::wake_at))
            .get_result::<Option<i64>>(&mut self.connection()?)
            .map_err(classify)?;
        Ok(next.map(Timestamp))
    }

    fn answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        let row = answers::table.find(key).select(AnswerRead::as_select()).first(&mut self.connection()?);
        Ok(row.optional().map_err(classify)?.map(Into::into))
    }

    fn payment(&self, order: &WorkflowId) -> Result<Option<StoredPayment>, StoreError> {
        // By the order's own token: `payments` is keyed by it.
        let c = &mut self.connection()?;
        let token = diesel::dsl::sql::<diesel::sql_types::Nullable<Text>>(
            "json_extract(workflows.snapshot, '$.state.start.payment_id')",
        );
        let token = workflows::table.filter(workflows::id.eq(order.as_str())).select(token);
        let token = token.first::<Option<String>>(c).optional().map_err(classify)?.flatten();
        let Some(token) = token else { return Ok(None) };
        let row = payments::table.find(token).select(PaymentRead::as_select()).first(c);
        Ok(row.optional().map_err(classify)?.map(Into::into))
    }

    fn scan(&self, after: Key, limit: usize) -> Result<Vec<StoredWorkflow>, StoreError> {
        let rows = workflows::table
            .filter(workflows::key.gt(after.0))
            .order(workflows::key)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(WorkflowRead::as_select())
            .load(&mut self.connection()?)
            .map_err(classify)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
