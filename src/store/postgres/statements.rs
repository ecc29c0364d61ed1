//! One statement a table, whatever the number of rows: columns travel as arrays and are put together by `unnest`.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};

use crate::access::Owner;
use crate::kernel::Transition;
use crate::model::WorkflowId;
use crate::store::sql::AuditRow;
use crate::store::{AuditEntry, StoredAnswer};

fn column<'a, T>(all: &[&'a Transition], of: impl Fn(&'a Transition) -> T) -> Vec<T> {
    all.iter().map(|t| of(t)).collect()
}

const BORN: &str = "INSERT INTO workflows (key, id, root, parent, kind, run_id, state, seq, wake_at, attempts,
        retrying, paused, last_error, created_at, updated_at, ended_at, snapshot, owner, epoch)
    SELECT *, $19 FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

const CHANGED: &str = "UPDATE workflows w SET state = u.state, seq = u.seq, wake_at = u.wake_at, attempts = u.attempts,
        retrying = u.retrying, paused = u.paused, last_error = u.last_error, updated_at = u.updated_at,
        ended_at = u.ended_at, snapshot = u.snapshot, epoch = $12
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        AS u (key, state, seq, wake_at, attempts, retrying, paused, last_error, updated_at, ended_at, snapshot)
    WHERE w.key = u.key";

/// Writes the row of each instance, new or not. A batch holds one transition of an instance at most: an actor waits
/// for its last commit before it makes another. `owners`, one for each transition, are kept of those that are new.
pub fn workflows(c: &mut PgConnection, all: &[&Transition], owners: &[Option<&Owner>], epoch: i64) -> QueryResult<()> {
    let (born, changed): (Vec<&Transition>, Vec<&Transition>) = all.iter().partition(|t| t.is_new);
    if !born.is_empty() {
        let owners = all.iter().zip(owners).filter(|(t, _)| t.is_new).map(|(_, owner)| *owner).collect::<Vec<_>>();
        insert(c, &born, &owners, epoch)?;
    }
    if changed.is_empty() {
        return Ok(());
    }
    let rows = diesel::sql_query(CHANGED)
        .bind::<Array<BigInt>, _>(column(&changed, |t| t.key.0))
        .bind::<Array<Text>, _>(column(&changed, |t| t.state))
        .bind::<Array<BigInt>, _>(column(&changed, |t| t.seq as i64))
        .bind::<Array<Nullable<BigInt>>, _>(column(&changed, |t| t.wake_at.map(|at| at.0)))
        .bind::<Array<Integer>, _>(column(&changed, |t| i32::try_from(t.attempts).unwrap_or(i32::MAX)))
        .bind::<Array<Bool>, _>(column(&changed, |t| t.retrying))
        .bind::<Array<Bool>, _>(column(&changed, |t| t.paused))
        .bind::<Array<Nullable<Text>>, _>(column(&changed, |t| t.last_error))
        .bind::<Array<BigInt>, _>(column(&changed, |t| t.at.0))
        .bind::<Array<Nullable<BigInt>>, _>(column(&changed, |t| t.ended_at.map(|at| at.0)))
        .bind::<Array<Text>, _>(column(&changed, |t| t.snapshot.as_str()))
        .bind::<BigInt, _>(epoch)
        .execute(c)?;
    // An instance whose row is gone must not be taken for stored.
    if rows == changed.len() { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

fn insert(c: &mut PgConnection, all: &[&Transition], owners: &[Option<&Owner>], epoch: i64) -> QueryResult<()> {
    diesel::sql_query(BORN)
        .bind::<Array<BigInt>, _>(column(all, |t| t.key.0))
        .bind::<Array<Text>, _>(column(all, |t| t.id.as_str()))
        .bind::<Array<BigInt>, _>(column(all, |t| t.root.0))
        .bind::<Array<Nullable<Text>>, _>(column(all, |t| t.parent.as_ref().map(WorkflowId::as_str)))
        .bind::<Array<Text>, _>(column(all, |t| t.kind))
        .bind::<Array<Text>, _>(column(all, |t| t.run_id.to_string()))
        .bind::<Array<Text>, _>(column(all, |t| t.state))
        .bind::<Array<BigInt>, _>(column(all, |t| t.seq as i64))
        .bind::<Array<Nullable<BigInt>>, _>(column(all, |t| t.wake_at.map(|at| at.0)))
        .bind::<Array<Integer>, _>(column(all, |t| i32::try_from(t.attempts).unwrap_or(i32::MAX)))
        .bind::<Array<Bool>, _>(column(all, |t| t.retrying))
        .bind::<Array<Bool>, _>(column(all, |t| t.paused))
        .bind::<Array<Nullable<Text>>, _>(column(all, |t| t.last_error))
        .bind::<Array<BigInt>, _>(column(all, |t| t.created_at.0))
        .bind::<Array<BigInt>, _>(column(all, |t| t.at.0))
        .bind::<Array<Nullable<BigInt>>, _>(column(all, |t| t.ended_at.map(|at| at.0)))
        .bind::<Array<Text>, _>(column(all, |t| t.snapshot.as_str()))
        .bind::<Array<Nullable<Text>>, _>(
            owners.iter().map(|owner| owner.map(AsRef::as_ref)).collect::<Vec<Option<&str>>>(),
        )
        .bind::<BigInt, _>(epoch)
        .execute(c)
        .map(|_| ())
}

/// Appends the facts, numbered from `next_fact`. Returns the number behind the last.
pub fn transitions(c: &mut PgConnection, all: &[&Transition], mut next_fact: i64) -> QueryResult<i64> {
    let mut ids = Vec::with_capacity(all.len());
    for t in all {
        ids.push(next_fact);
        next_fact += i64::from(t.facts);
    }
    diesel::sql_query(
        "INSERT INTO transitions (id, workflow, seq, at, facts) SELECT * FROM unnest($1, $2, $3, $4, $5)",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<BigInt>, _>(column(all, |t| t.key.0))
    .bind::<Array<BigInt>, _>(column(all, |t| t.first_seq as i64))
    .bind::<Array<BigInt>, _>(column(all, |t| t.at.0))
    .bind::<Array<Text>, _>(column(all, |t| t.facts_json.as_str()))
    .execute(c)?;
    Ok(next_fact)
}

/// Writes the payments that the transitions carry.
pub fn payments(c: &mut PgConnection, all: &[&Transition]) -> QueryResult<()> {
    let paid: Vec<_> = all.iter().filter_map(|t| t.payment.as_ref().map(|payment| (t, payment))).collect();
    if paid.is_empty() {
        return Ok(());
    }
    let statement = "INSERT INTO payments (payment_id, order_id, status, amount, currency, created_at, updated_at)
        SELECT a, b, c, d, e, t, t FROM unnest($1, $2, $3, $4, $5, $6) AS u (a, b, c, d, e, t)
        ON CONFLICT (payment_id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at";
    let times: Vec<String> = paid.iter().map(|(t, _)| t.at.to_string()).collect();
    diesel::sql_query(statement)
        .bind::<Array<Text>, _>(paid.iter().map(|(_, p)| p.payment_id.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(paid.iter().map(|(t, _)| t.id.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(paid.iter().map(|(_, p)| p.status.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(paid.iter().map(|(_, p)| p.money.amount.to_string()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(paid.iter().map(|(_, p)| p.money.currency.to_string()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(times)
        .execute(c)
        .map(|_| ())
}

/// Keeps the rows of results that the transitions carry.
pub fn results(c: &mut PgConnection, all: &[&Transition]) -> QueryResult<()> {
    let found: Vec<_> = all.iter().flat_map(|t| t.results.iter().map(move |row| (t, row))).collect();
    if found.is_empty() {
        return Ok(());
    }
    let statement = "INSERT INTO results (workflow, name, at, body) SELECT * FROM unnest($1, $2, $3, $4)
        ON CONFLICT (workflow, name) DO NOTHING";
    diesel::sql_query(statement)
        .bind::<Array<BigInt>, _>(found.iter().map(|(t, _)| t.root.0).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(found.iter().map(|(_, row)| row.name.as_str()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(found.iter().map(|(t, _)| t.at.0).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(found.iter().map(|(_, row)| row.body.as_str()).collect::<Vec<_>>())
        .execute(c)
        .map(|_| ())
}

/// Keeps first answers.
pub fn answers(c: &mut PgConnection, kept: &[&StoredAnswer]) -> QueryResult<()> {
    if kept.is_empty() {
        return Ok(());
    }
    diesel::sql_query("INSERT INTO answers (key, fingerprint, outcome, at) SELECT * FROM unnest($1, $2, $3, $4)")
        .bind::<Array<Text>, _>(kept.iter().map(|a| a.key.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(kept.iter().map(|a| a.fingerprint.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(kept.iter().map(|a| a.outcome.as_str()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(kept.iter().map(|a| a.at.0).collect::<Vec<_>>())
        .execute(c)
        .map(|_| ())
}

/// Appends to the audit.
pub fn audit(c: &mut PgConnection, entries: &[&AuditEntry]) -> QueryResult<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<AuditRow<'_>> = entries.iter().map(|entry| AuditRow::of(entry)).collect();
    let statement = "INSERT INTO audit (at, method, route, order_id, key_id, key_name, status, reason, remote)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    diesel::sql_query(statement)
        .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.at).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(rows.iter().map(|row| row.method).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(rows.iter().map(|row| row.route).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.order_id).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.key_id).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.key_name).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(rows.iter().map(|row| row.status).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.reason).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.remote.as_deref()).collect::<Vec<_>>())
        .execute(c)
        .map(|_| ())
}

/// Keeps `state_counts` in step.
pub fn counts(c: &mut PgConnection, gains: &BTreeMap<(&str, &str), i64>) -> QueryResult<()> {
    if gains.is_empty() {
        return Ok(());
    }
    let statement = "INSERT INTO state_counts (kind, state, n) SELECT * FROM unnest($1, $2, $3)
        ON CONFLICT (kind, state) DO UPDATE SET n = state_counts.n + excluded.n";
    diesel::sql_query(statement)
        .bind::<Array<Text>, _>(gains.keys().map(|(kind, _)| *kind).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(gains.keys().map(|(_, state)| *state).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(gains.values().copied().collect::<Vec<_>>())
        .execute(c)
        .map(|_| ())
}
