//! The list of orders: filters, sort, keyset pages.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};

use super::connection::{Any, MultiBackend};
use super::error::classify;
use super::queries::families_of;
use super::schema::workflows;
use crate::model::Key;
use crate::store::{Cursor, KindFilter, KindPage, OrderFilter, Page, SortField, StoreError};
use crate::workflows::order;

/// An open shipment of the order at hand.
const CHILD: &str = "EXISTS (SELECT 1 FROM workflows c WHERE c.root = workflows.key AND c.root <> c.key
    AND c.ended_at IS NULL AND ";

type Boxed<'a> = workflows::BoxedQuery<'a, MultiBackend, (BigInt, BigInt, BigInt, Text, Text)>;

/// Where the two databases speak of the same in different words.
struct Words {
    /// Begins a condition that the state is one of those that follow, by the index on rare states.
    rare_state: Option<&'static str>,
    /// Begins a condition that a text, which follows, is part of the id.
    id_holds: &'static str,
    /// Begins a condition on the metadata entry whose name follows.
    metadata: &'static str,
    /// The entry's value as text, compared to what follows.
    metadata_text: &'static str,
}

/// States that few orders are in, of all that there ever were.
const RARE: [&str; 4] = ["stuck", "failed", "cancelled", "timed_out"];
/// States of orders that have not ended.
const OPEN: [&str; 7] = ["received", "validated", "in_review", "charging", "shipping", "compensating", "stuck"];

const SQLITE: Words = Words {
    rare_state: None,
    id_holds: "instr(lower(workflows.id), lower(",
    metadata: "EXISTS (SELECT 1 FROM json_each(workflows.snapshot, '$.state.start.metadata') m WHERE m.key = ",
    metadata_text: " AND CASE m.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
        ELSE CAST(m.value AS TEXT) END = ",
};

const POSTGRES: Words = Words {
    rare_state: Some("workflows.rare_state = ANY (string_to_array("),
    id_holds: "strpos(lower(workflows.id), lower(",
    metadata: "EXISTS (SELECT 1 FROM jsonb_each_text(CASE jsonb_typeof(workflows.snapshot::jsonb #>
        '{state,start,metadata}') WHEN 'object' THEN workflows.snapshot::jsonb #> '{state,start,metadata}' END) m
        WHERE m.key = ",
    metadata_text: " AND m.value = ",
};

pub fn orders(c: &mut Any, filter: &OrderFilter) -> Result<Page, StoreError> {
    use workflows::{created_at, id, key, state, updated_at};
    let words = match c {
        Any::Sqlite(_) => &SQLITE,
        Any::Postgres(_) => &POSTGRES,
    };
    let sort = filter.sort;
    let query = workflows::table.select((key, created_at, updated_at, state, id)).into_boxed();
    let query = narrow(query, filter, words);
    let query = match &filter.cursor {
        Some(cursor) => behind(query, cursor)?,
        None => query,
    };
    // Keys are given in order of creation, so that the newest first need no index of their own.
    let query: Boxed<'_> = match (sort.field, sort.descending) {
        (SortField::CreatedAt, true) => query.order(key.desc()),
        (SortField::CreatedAt, false) => query.order(key.asc()),
        (SortField::UpdatedAt, true) => query.order((updated_at.desc(), key.desc())),
        (SortField::UpdatedAt, false) => query.order((updated_at.asc(), key.asc())),
        (SortField::OrderId, true) => query.order((id.desc(), key.desc())),
        (SortField::OrderId, false) => query.order((id.asc(), key.asc())),
        (SortField::State, true) => query.order((state.desc(), key.desc())),
        (SortField::State, false) => query.order((state.asc(), key.asc())),
    };
    let limit = filter.limit.max(1);
    let mut rows = query.limit(limit as i64 + 1).load::<(i64, i64, i64, String, String)>(c).map_err(classify)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(last, created, updated, in_state, named)| Cursor {
        sort,
        value: match sort.field {
            SortField::CreatedAt => created.to_string(),
            SortField::UpdatedAt => updated.to_string(),
            SortField::OrderId => named.clone(),
            SortField::State => in_state.clone(),
        },
        key: Key(*last),
    });
    let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
    Ok(Page { orders: families_of(c, &keys)?, next })
}

/// Each kind is walked on its own, from the newest, on the index by kind; the newest of all of them are the page.
pub fn of_kinds(c: &mut Any, filter: &KindFilter) -> Result<KindPage, StoreError> {
    use workflows::{key, kind, root, state};
    let limit = filter.limit.max(1);
    let mut keys: Vec<i64> = Vec::new();
    for one in &filter.kinds {
        let mut query = workflows::table.select(key).filter(kind.eq(one)).filter(root.eq(key)).into_boxed();
        // The index is a partial one, and a statement is bound to it by the words of its condition.
        query = query.filter(sql::<Bool>("workflows.kind NOT IN ('order', 'shipping')"));
        if !filter.states.is_empty() {
            query = query.filter(state.eq_any(&filter.states));
        }
        if let Some(owner) = &filter.owner {
            query = query.filter(workflows::owner.eq(owner.as_ref()));
        }
        if let Some(before) = filter.before {
            query = query.filter(key.lt(before.0));
        }
        let newest = query.order(key.desc()).limit(limit as i64 + 1);
        keys.extend(newest.load::<i64>(c).map_err(classify)?);
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).map(|last| Key(*last));
    Ok(KindPage { families: families_of(c, &keys)?, next })
}

fn narrow<'a>(mut query: Boxed<'a>, filter: &'a OrderFilter, words: &Words) -> Boxed<'a> {
    query = query.filter(workflows::kind.eq(order::KIND));
    if !filter.states.is_empty() {
        query = query.filter(workflows::state.eq_any(&filter.states));
        // What helps PostgreSQL to an index, and changes nothing else.
        if let Some(rare_state) = words.rare_state
            && filter.states.iter().all(|state| RARE.contains(&state.as_str()))
        {
            let states = filter.states.join(",");
            query = query.filter(sql::<Bool>(rare_state).bind::<Text, _>(states).sql(", ','))"));
        } else if filter.states.iter().all(|state| OPEN.contains(&state.as_str())) {
            query = query.filter(workflows::ended_at.is_null());
        }
    }
    if let Some(part) = &filter.q {
        query = query.filter(sql::<Bool>(words.id_holds).bind::<Text, _>(part).sql(")) > 0"));
    }
    if let Some(retrying) = filter.retrying {
        let own = sql::<Bool>("((workflows.ended_at IS NULL AND workflows.retrying) OR ").sql(CHILD);
        query = query.filter(own.sql("c.retrying)) = ").bind::<Bool, _>(retrying));
    }
    if let Some(least) = filter.attempts_min {
        let least = i32::try_from(least).unwrap_or(i32::MAX);
        let own = sql::<Bool>("(workflows.attempts >= ").bind::<Integer, _>(least).sql(" OR ").sql(CHILD);
        query = query.filter(own.sql("c.attempts >= ").bind::<Integer, _>(least).sql("))"));
    }
    if let Some(kind) = &filter.error {
        let own = sql::<Bool>("(workflows.last_error = ").bind::<Text, _>(kind).sql(" OR ").sql(CHILD);
        query = query.filter(own.sql("c.last_error = ").bind::<Text, _>(kind).sql("))"));
    }
    if let Some(owner) = &filter.owner {
        query = query.filter(workflows::owner.eq(owner.as_ref()));
    }
    for (name, value) in &filter.metadata {
        let holds = sql::<Bool>(words.metadata).bind::<Text, _>(name);
        query = query.filter(holds.sql(words.metadata_text).bind::<Text, _>(value).sql(")"));
    }
    if let Some(at) = filter.created_after {
        query = query.filter(workflows::created_at.ge(at.0));
    }
    if let Some(at) = filter.created_before {
        query = query.filter(workflows::created_at.lt(at.0));
    }
    query
}

/// Rows behind the last one of the page before.
fn behind<'a>(query: Boxed<'a>, cursor: &'a Cursor) -> Result<Boxed<'a>, StoreError> {
    let compare = if cursor.sort.descending { "<" } else { ">" };
    let pair = |column: &str| format!("(workflows.{column}, workflows.key) {compare} (");
    let last = cursor.key.0;
    Ok(match cursor.sort.field {
        SortField::CreatedAt => query.filter(sql::<Bool>(&format!("workflows.key {compare} ")).bind::<BigInt, _>(last)),
        SortField::UpdatedAt => {
            let value: i64 =
                cursor.value.parse().map_err(|_| StoreError::Refused("the cursor is not one of this sort".into()))?;
            let behind = sql::<Bool>(&pair("updated_at")).bind::<BigInt, _>(value);
            query.filter(behind.sql(", ").bind::<BigInt, _>(last).sql(")"))
        }
        field @ (SortField::OrderId | SortField::State) => {
            let column = if field == SortField::OrderId { "id" } else { "state" };
            let behind = sql::<Bool>(&pair(column)).bind::<Text, _>(&cursor.value);
            query.filter(behind.sql(", ").bind::<BigInt, _>(last).sql(")"))
        }
    })
}
