//! Sorts of the list of orders that no index helps, and that get none: an order's row is written too often for it.
//!
//! They look at a bounded number of orders, the newest that fit the filters, and sort those; the page says when there
//! were more. By the last change, the newest first, those behind the newest transitions are looked at as well: an old
//! order that was changed a moment ago is where it belongs.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Double, Text};

use super::connection::Any;
use super::error::classify;
use super::list::{Boxed, narrow};
use super::queries::families_of;
use super::schema::workflows;
use crate::model::Key;
use crate::store::{Cursor, OrderFilter, Page, SORTED_MAX, SortField, StoreError};

/// Behind so many of the newest transitions, orders that changed last are looked for.
const CHANGES: usize = 10_000;

/// So many characters of a text are sorted by: a cursor carries them, and has its bounds.
const TEXT_CHARS: usize = 100;

/// What a sort goes by.
enum By {
    Number(&'static str),
    Text(&'static str),
}

/// Whether the sort is one of these. Those that an index helps in part are taken over where it is asked for.
pub fn takes(filter: &OrderFilter) -> bool {
    match filter.sort.field {
        SortField::Amount | SortField::Deadline | SortField::Attempts | SortField::Address => true,
        SortField::UpdatedAt | SortField::State => filter.bounded,
        SortField::CreatedAt | SortField::OrderId => false,
    }
}

/// A clock that runs. Only open orders that are not held have one; they are due, and found by the index on that.
const RUNS_SQLITE: &str = "workflows.key IN (SELECT d.key FROM workflows d WHERE d.wake_at IS NOT NULL)
    AND workflows.ended_at IS NULL AND json_extract(workflows.snapshot, '$.core.clock.limit_ms') IS NOT NULL
    AND json_extract(workflows.snapshot, '$.core.clock.running_since') IS NOT NULL";
const RUNS_POSTGRES: &str = "workflows.wake_at IS NOT NULL AND workflows.ended_at IS NULL
    AND workflows.snapshot::jsonb #>> '{core,clock,limit_ms}' IS NOT NULL
    AND workflows.snapshot::jsonb #>> '{core,clock,running_since}' IS NOT NULL";

fn by(field: SortField, sqlite: bool) -> By {
    match (field, sqlite) {
        (SortField::Amount, true) => {
            By::Number("COALESCE(CAST(json_extract(workflows.snapshot, '$.state.start.amount') AS REAL), 0.0)")
        }
        (SortField::Amount, false) => {
            By::Number("COALESCE((workflows.snapshot::jsonb #>> '{state,start,amount}')::float8, 0)")
        }
        (SortField::Deadline, true) => By::Number(
            "round((julianday(json_extract(workflows.snapshot, '$.core.clock.running_since')) - 2440587.5) * 86400000.0
             + json_extract(workflows.snapshot, '$.core.clock.limit_ms')
             - json_extract(workflows.snapshot, '$.core.clock.spent_ms'))",
        ),
        (SortField::Deadline, false) => By::Number(
            "round((extract(epoch FROM (workflows.snapshot::jsonb #>> '{core,clock,running_since}')::timestamptz) * 1000
             + (workflows.snapshot::jsonb #>> '{core,clock,limit_ms}')::numeric
             - (workflows.snapshot::jsonb #>> '{core,clock,spent_ms}')::numeric))::float8",
        ),
        (SortField::Attempts, true) => By::Number(
            "CAST(max(workflows.attempts, COALESCE((SELECT max(c.attempts) FROM workflows c
             WHERE c.root = workflows.key AND c.root <> c.key AND c.ended_at IS NULL), 0)) AS REAL)",
        ),
        (SortField::Attempts, false) => By::Number(
            "greatest(workflows.attempts, COALESCE((SELECT max(c.attempts) FROM workflows c
             WHERE c.root = workflows.key AND c.root <> c.key AND c.ended_at IS NULL), 0))::float8",
        ),
        (SortField::Address, true) => By::Text(
            "lower(COALESCE(json_extract(workflows.snapshot, '$.state.address.street'),
             CASE json_type(workflows.snapshot, '$.state.address') WHEN 'text'
             THEN json_extract(workflows.snapshot, '$.state.address') END, ''))",
        ),
        (SortField::Address, false) => By::Text(
            "lower(COALESCE(workflows.snapshot::jsonb #>> '{state,address,street}',
             CASE jsonb_typeof(workflows.snapshot::jsonb #> '{state,address}') WHEN 'string'
             THEN workflows.snapshot::jsonb #>> '{state,address}' END, '')) COLLATE \"C\"",
        ),
        (SortField::UpdatedAt, true) => By::Number("CAST(workflows.updated_at AS REAL)"),
        (SortField::UpdatedAt | SortField::CreatedAt, _) => By::Number("workflows.updated_at::float8"),
        (SortField::State | SortField::OrderId, _) => By::Text("workflows.state"),
    }
}

/// A value that rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            // Never of one sort.
            (Self::Number(_), Self::Text(_)) | (Self::Text(_), Self::Number(_)) => std::cmp::Ordering::Equal,
        }
    }

    /// As it stands in a cursor, exactly.
    fn write(&self) -> String {
        match self {
            Self::Number(n) => format!("{n:?}"),
            Self::Text(text) => text.clone(),
        }
    }
}

/// What of a text is sorted by.
fn beginning(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS) {
        text.truncate(end);
    }
    text
}

pub fn orders(c: &mut Any, filter: &OrderFilter) -> Result<Page, StoreError> {
    let sqlite = matches!(c, Any::Sqlite(_));
    let sort = filter.sort;
    let newest_changes = sort.field == SortField::UpdatedAt && sort.descending;
    let odd = || StoreError::Refused("the cursor is not one of this sort".to_owned());
    // The first page says where the window begins, and the others keep to it.
    let behind = match &filter.cursor {
        Some(cursor) => {
            let (floor, value) = cursor.value.split_once(' ').ok_or_else(odd)?;
            Some((floor.parse::<i64>().map_err(|_| odd())?, value, cursor.key.0))
        }
        None => None,
    };
    // What came since the first page has room beside what it began with.
    let most = if behind.is_some() { 2 * SORTED_MAX } else { SORTED_MAX };
    let by = by(sort.field, sqlite);
    let narrowed = |changed: bool| -> Boxed<'_> {
        let mut query = narrow(workflows::table.select(super::list::columns()).into_boxed(), filter, sqlite);
        if sort.field == SortField::Deadline {
            query = query.filter(sql::<Bool>(if sqlite { RUNS_SQLITE } else { RUNS_POSTGRES }));
        }
        if changed {
            let changed = format!(
                "workflows.key IN (SELECT n.workflow FROM (SELECT t.workflow FROM transitions t ORDER BY t.id DESC
                 LIMIT {CHANGES}) n)"
            );
            query = query.filter(sql::<Bool>(&changed));
        } else if let Some((floor, ..)) = behind {
            query = query.filter(workflows::key.ge(floor));
        }
        query.order(workflows::key.desc()).limit(most as i64 + 1)
    };
    let mut rows: Vec<(i64, Value)> = Vec::new();
    let mut cut = false;
    // By the last change: whoever is behind the newest transitions, and whoever is young.
    for changed in [false, true].into_iter().take(if newest_changes { 2 } else { 1 }) {
        let mut found: Vec<(i64, Value)> = match by {
            By::Number(words) => {
                let query = narrowed(changed).select((workflows::key, sql::<Double>(words)));
                let rows = query.load::<(i64, f64)>(c).map_err(classify)?;
                rows.into_iter().map(|(key, n)| (key, Value::Number(n))).collect()
            }
            By::Text(words) => {
                let query = narrowed(changed).select((workflows::key, sql::<Text>(words)));
                let rows = query.load::<(i64, String)>(c).map_err(classify)?;
                rows.into_iter().map(|(key, text)| (key, Value::Text(beginning(text)))).collect()
            }
        };
        cut |= found.len() > most;
        found.truncate(most);
        rows.append(&mut found);
    }
    let first = rows.iter().map(|(key, _)| *key).min().filter(|_| cut).unwrap_or(0);
    let floor = behind.map_or(first, |(floor, ..)| floor);
    let order = |a: &(i64, Value), b: &(i64, Value)| {
        let grows = a.1.compare(&b.1).then(a.0.cmp(&b.0));
        if sort.descending { grows.reverse() } else { grows }
    };
    rows.sort_unstable_by(order);
    rows.dedup_by_key(|(key, _)| *key);
    if let Some((_, value, key)) = behind {
        let value = match rows.first() {
            Some((_, Value::Number(_))) => Value::Number(value.parse().map_err(|_| odd())?),
            _ => Value::Text(value.to_owned()),
        };
        let last = (key, value);
        let from = rows.partition_point(|row| order(row, &last).is_le());
        rows.drain(..from);
    }
    let limit = filter.limit.max(1);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(key, value)| Cursor {
        sort,
        value: format!("{floor} {}", value.write()),
        key: Key(*key),
    });
    let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
    Ok(Page {
        orders: families_of(c, &keys)?,
        next,
        sorted_within: (cut || behind.is_some_and(|(floor, ..)| floor > 0)).then_some(SORTED_MAX),
    })
}
