//! The events of all histories in the order of their commits, by their running number.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::connection::Any;
use super::error::classify;
use super::schema::{transitions, workflows};
use crate::kernel::FactRecord;
use crate::model::{Timestamp, WorkflowId};
use crate::store::{EventsOf, StoreError, StoredEvent};

pub fn events(c: &mut Any, of: &EventsOf, after: u64, transitions_max: usize) -> Result<Vec<StoredEvent>, StoreError> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(transitions_max.max(1)).unwrap_or(i64::MAX);
    // The transition that holds event `after + 1` begins at or before it.
    let first = transitions::table
        .filter(transitions::id.le(after.saturating_add(1)))
        .select(transitions::id)
        .order(transitions::id.desc())
        .first::<i64>(c)
        .optional()
        .map_err(classify)?
        .unwrap_or(0);
    let mut query = transitions::table
        .inner_join(workflows::table.on(workflows::key.eq(transitions::workflow)))
        .filter(transitions::id.ge(first))
        .order(transitions::id)
        // The first of them may lie wholly at or before `after`.
        .limit(limit.saturating_add(1))
        .select((transitions::id, transitions::seq, transitions::at, transitions::facts, workflows::id))
        .into_boxed();
    if let EventsOf::Owner(owner) = of {
        query = query.filter(workflows::owner.eq(owner.as_ref()));
    }
    if let EventsOf::Instance(id) | EventsOf::Family(id) = of {
        let Some(key) = key(c, id)? else { return Ok(Vec::new()) };
        query = match of {
            // Within this one statement, so that no child that is born meanwhile is passed over.
            EventsOf::Family(_) => query.filter(
                sql::<Bool>("transitions.workflow IN (SELECT f.key FROM workflows f WHERE f.key = ")
                    .bind::<BigInt, _>(key)
                    .sql(" OR (f.root = ")
                    .bind::<BigInt, _>(key)
                    .sql(" AND f.root <> f.key))"),
            ),
            _ => query.filter(transitions::workflow.eq(key)),
        };
    }
    let rows = query.load::<(i64, i64, i64, String, String)>(c).map_err(classify)?;
    let mut events = Vec::new();
    for (first, seq, at, json, whose) in rows {
        let facts: Vec<FactRecord> = serde_json::from_str(&json)
            .map_err(|e| StoreError::Corrupt(format!("facts of {whose} from seq {seq}: {e}")))?;
        let whose = WorkflowId::new(whose);
        for ((fact, id), seq) in facts.into_iter().zip(first..).zip(seq..) {
            if id > after {
                let order_id = whose.clone();
                events.push(StoredEvent { id: id as u64, order_id, seq: seq as u64, fact, at: Timestamp(at) });
            }
        }
    }
    Ok(events)
}

/// The key of the one whose events are wanted; `None`: nobody of this id is there yet.
fn key(c: &mut Any, id: &WorkflowId) -> Result<Option<i64>, StoreError> {
    let own = workflows::table.filter(workflows::id.eq(id.as_str())).select(workflows::key);
    own.first(c).optional().map_err(classify)
}
