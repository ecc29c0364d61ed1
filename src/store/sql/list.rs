//! The list of orders: filters, sort, keyset pages.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};

use super::connection::{Any, MultiBackend};
use super::error::classify;
use super::queries::families_of;
use super::schema::workflows;
use super::window;
use crate::model::Key;
use crate::store::{Cursor, KindFilter, KindPage, OrderFilter, Page, Sort, SortField, StoreError};
use crate::workflows::order;

/// An open shipment of the order at hand.
const CHILD: &str = "EXISTS (SELECT 1 FROM workflows c WHERE c.root = workflows.key AND c.root <> c.key
    AND c.ended_at IS NULL AND ";

pub type Boxed<'a> = workflows::BoxedQuery<'a, MultiBackend, (BigInt, BigInt, BigInt, Text, Text)>;

/// Where the two databases speak of the same in different words.
struct Words {
    /// Begins a condition that the state is one of those that follow, by the index on rare states.
    rare_state: Option<&'static str>,
    /// A condition that a text, which stands between the two, is part of the id; SQLite's is a pattern.
    id_holds: [&'static str; 2],
    /// Only those with an activity that is being tried again, their shipments' included.
    retrying: [&'static str; 2],
    /// Begins a condition on the metadata entry whose name follows.
    metadata: &'static str,
    /// The entry's value as text, compared to what follows.
    metadata_text: &'static str,
}

/// The condition of SQLite's index on states, word for word: a partial index is used only where the statement says so.
const INDEXED: &str = "workflows.state IN ('in_review', 'compensating', 'stuck', 'failed', 'cancelled', 'timed_out')";

/// One state is walked in the order of the index; several are gathered first, so few must be in them.
fn by_state_index(states: &[String]) -> bool {
    match states {
        [one] => INDEXED.contains(&format!("'{one}'")),
        many => many.iter().all(|state| ["compensating", "stuck", "failed", "timed_out"].contains(&state.as_str())),
    }
}

/// States that few orders are in, of all that there ever were.
const RARE: [&str; 4] = ["stuck", "failed", "cancelled", "timed_out"];
/// States of orders that have not ended.
const OPEN: [&str; 7] = ["received", "validated", "in_review", "charging", "shipping", "compensating", "stuck"];

const SQLITE: Words = Words {
    rare_state: None,
    // The index on the id is a small part of the table.
    id_holds: ["workflows.key IN (SELECT i.key FROM workflows i WHERE i.id LIKE ", " ESCAPE '\\')"],
    // By the partial index on those that are: the same words, or it is not used.
    retrying: [
        "workflows.key IN (SELECT r.root FROM workflows r WHERE r.retrying AND r.ended_at IS NULL)",
        "workflows.key NOT IN (SELECT r.root FROM workflows r WHERE r.retrying AND r.ended_at IS NULL)",
    ],
    metadata: "EXISTS (SELECT 1 FROM json_each(workflows.snapshot, '$.state.start.metadata') m WHERE m.key = ",
    metadata_text: " AND CASE m.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
        ELSE CAST(m.value AS TEXT) END = ",
};

const POSTGRES: Words = Words {
    rare_state: Some("workflows.rare_state = ANY (string_to_array("),
    id_holds: ["strpos(lower(workflows.id), lower(", ")) > 0"],
    retrying: [
        "workflows.key IN (SELECT r.root FROM workflows r WHERE r.retrying AND r.ended_at IS NULL)",
        "workflows.key NOT IN (SELECT r.root FROM workflows r WHERE r.retrying AND r.ended_at IS NULL)",
    ],
    metadata: "EXISTS (SELECT 1 FROM jsonb_each_text(CASE jsonb_typeof(workflows.snapshot::jsonb #>
        '{state,start,metadata}') WHEN 'object' THEN workflows.snapshot::jsonb #> '{state,start,metadata}' END) m
        WHERE m.key = ",
    metadata_text: " AND m.value = ",
};

pub fn orders(c: &mut Any, filter: &OrderFilter) -> Result<Page, StoreError> {
    use workflows::{id, key, state, updated_at};
    if window::takes(filter) {
        return window::orders(c, filter);
    }
    if let Some(page) = recent(c, filter)? {
        return Ok(page);
    }
    let sqlite = matches!(c, Any::Sqlite(_));
    let sort = filter.sort;
    let query = workflows::table.select(columns()).into_boxed();
    let query = narrow(query, filter, sqlite);
    let query = match &filter.cursor {
        Some(cursor) => behind(query, cursor)?,
        None => query,
    };
    // Keys are given in order of creation, so that the newest first need no index of their own.
    let query: Boxed<'_> = match (sort.field, sort.descending) {
        (SortField::UpdatedAt, true) => query.order((updated_at.desc(), key.desc())),
        (SortField::UpdatedAt, false) => query.order((updated_at.asc(), key.asc())),
        (SortField::OrderId, true) => query.order((id.desc(), key.desc())),
        (SortField::OrderId, false) => query.order((id.asc(), key.asc())),
        (SortField::State, true) => query.order((state.desc(), key.desc())),
        (SortField::State, false) => query.order((state.asc(), key.asc())),
        // The others are the window's.
        (_, true) => query.order(key.desc()),
        (_, false) => query.order(key.asc()),
    };
    let limit = filter.limit.max(1);
    let mut rows = query.limit(limit as i64 + 1).load::<(i64, i64, i64, String, String)>(c).map_err(classify)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(last, created, updated, in_state, named)| Cursor {
        sort,
        value: match sort.field {
            SortField::UpdatedAt => updated.to_string(),
            SortField::OrderId => named.clone(),
            SortField::State => in_state.clone(),
            _ => created.to_string(),
        },
        key: Key(*last),
    });
    let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
    Ok(Page { orders: families_of(c, &keys)?, next, sorted_within: None })
}

/// What a list is read as before its families are.
pub type Columns = (workflows::key, workflows::created_at, workflows::updated_at, workflows::state, workflows::id);

pub fn columns() -> Columns {
    (workflows::key, workflows::created_at, workflows::updated_at, workflows::state, workflows::id)
}

/// Orders that are looked at for a part of an id before all are.
const RECENT: i64 = 3_000;

/// A part of an id that many have is found among the newest; without this, all that have it would be gathered first.
fn recent(c: &mut Any, filter: &OrderFilter) -> Result<Option<Page>, StoreError> {
    let newest_first = filter.sort == Sort::default() && matches!(c, Any::Sqlite(_));
    let Some(part) = filter.q.as_ref().filter(|_| newest_first) else { return Ok(None) };
    let top = match &filter.cursor {
        Some(cursor) => cursor.key.0,
        None => {
            workflows::table
                .select(diesel::dsl::max(workflows::key))
                .get_result::<Option<i64>>(c)
                .map_err(classify)?
                .unwrap_or(0)
                + 1
        }
    };
    let plain = OrderFilter { q: None, cursor: None, ..filter.clone() };
    let query = narrow(workflows::table.select(columns()).into_boxed(), &plain, true);
    let holds = sql::<Bool>("workflows.id LIKE ").bind::<Text, _>(within(part)).sql(" ESCAPE '\\'");
    let query = query.filter(holds).filter(workflows::key.lt(top)).filter(workflows::key.ge(top - RECENT));
    let query = query.order(workflows::key.desc()).select((workflows::key, workflows::created_at));
    let mut rows: Vec<(i64, i64)> = query.limit(filter.limit.max(1) as i64 + 1).load(c).map_err(classify)?;
    if rows.len() <= filter.limit.max(1) {
        return Ok(None);
    }
    rows.truncate(filter.limit.max(1));
    let next =
        rows.last().map(|(key, created)| Cursor { sort: filter.sort, value: created.to_string(), key: Key(*key) });
    let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
    Ok(Some(Page { orders: families_of(c, &keys)?, next, sorted_within: None }))
}

/// The pattern of texts that hold this part. SQLite's LIKE takes small and capital letters of ASCII for the same, and a
/// third of the time of `instr` over `lower`: it makes no copies.
fn within(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for c in part.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
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

pub fn narrow<'a>(mut query: Boxed<'a>, filter: &'a OrderFilter, sqlite: bool) -> Boxed<'a> {
    let words = if sqlite { &SQLITE } else { &POSTGRES };
    query = query.filter(workflows::kind.eq(order::KIND));
    if !filter.states.is_empty() {
        query = query.filter(workflows::state.eq_any(&filter.states));
        // What helps PostgreSQL to an index, and changes nothing else.
        if let Some(rare_state) = words.rare_state
            && filter.states.iter().all(|state| RARE.contains(&state.as_str()))
        {
            let states = filter.states.join(",");
            query = query.filter(sql::<Bool>(rare_state).bind::<Text, _>(states).sql(", ','))"));
        } else if sqlite && by_state_index(&filter.states) {
            query = query.filter(sql::<Bool>(INDEXED));
        }
        if filter.states.iter().all(|state| OPEN.contains(&state.as_str())) {
            query = query.filter(workflows::ended_at.is_null());
        }
    }
    if let Some(part) = &filter.q {
        let [before, after] = words.id_holds;
        let part = if sqlite { within(part) } else { part.clone() };
        query = query.filter(sql::<Bool>(before).bind::<Text, _>(part).sql(after));
    }
    if let Some(retrying) = filter.retrying {
        let [those, others] = words.retrying;
        query = query.filter(sql::<Bool>(if retrying { those } else { others }));
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
        // The window's own affair.
        SortField::Amount | SortField::Deadline | SortField::Attempts | SortField::Address => query,
    })
}
