//! The writer's side: batches of units, each batch one transaction with one fsync.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::error::classify;
use super::open::writer_connection;
use super::schema::{AnswerRow, PaymentRowNew, TransitionRow, WorkflowRow, answers, payments, transitions, workflows};
use crate::kernel::Transition;
use crate::model::Timestamp;
use crate::store::{Conflict, Journal, StoreError, Unit, Verdict};

/// Rows in one statement; 18 binds a row stay well below SQLite's 32,766.
const ROWS_MAX: usize = 1_000;

pub struct SqliteJournal {
    path: PathBuf,
    /// `None` after an error that may have left the connection unusable; opened anew by the next call.
    connection: Option<SqliteConnection>,
    epoch: i64,
    /// The running number of the next fact.
    next_fact: i64,
}

impl SqliteJournal {
    pub fn new(path: PathBuf, connection: SqliteConnection, epoch: i64, next_fact: i64) -> Self {
        Self { path, connection: Some(connection), epoch, next_fact }
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => writer_connection(&self.path).map_err(|e| StoreError::Unavailable(e.to_string()))?,
        };
        Ok(self.connection.insert(connection))
    }

    fn forget_broken<T>(&mut self, result: &Result<T, StoreError>) {
        if matches!(result, Err(StoreError::Unavailable(_))) {
            self.connection = None;
        }
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, units: &[Unit]) -> Result<Vec<Verdict>, StoreError> {
        let (epoch, next_fact) = (self.epoch, self.next_fact);
        let connection = self.connection()?;
        let stored = connection.immediate_transaction(|c| write(c, units, epoch, next_fact)).map_err(classify);
        self.forget_broken(&stored);
        let (verdicts, next_fact) = stored?;
        self.next_fact = next_fact;
        Ok(verdicts)
    }

    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        let connection = self.connection()?;
        let old = answers::table.filter(answers::at.lt(before.0));
        let removed = diesel::delete(old).execute(connection).map_err(classify);
        self.forget_broken(&removed);
        removed
    }

    fn last_event(&self) -> u64 {
        u64::try_from(self.next_fact - 1).unwrap_or(0)
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            // Only tidiness: what is in the log is durable as it is.
            let _kept = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection);
        }
    }
}

/// Writes all units that do not conflict. Returns the verdicts, and the number of the next fact.
fn write(c: &mut SqliteConnection, units: &[Unit], epoch: i64, mut next_fact: i64) -> QueryResult<(Vec<Verdict>, i64)> {
    let verdicts = judge(c, units)?;
    let stored = || units.iter().zip(&verdicts).filter(|(_, v)| **v == Verdict::Stored).map(|(unit, _)| unit);
    let all: Vec<&Transition> = stored().flat_map(|unit| &unit.transitions).collect();
    let rows: Vec<_> = all.iter().map(|t| WorkflowRow::of(t, epoch)).collect();
    let facts: Vec<_> = all
        .iter()
        .map(|t| {
            let id = next_fact;
            next_fact += i64::from(t.facts);
            TransitionRow { id, workflow: t.key.0, seq: t.first_seq as i64, at: t.at.0, facts: &t.facts_json }
        })
        .collect();
    let paid: Vec<_> = all.iter().filter_map(|t| PaymentRowNew::of(t)).collect();
    let kept: Vec<_> = stored().filter_map(|unit| unit.answer.as_ref()).collect();
    let kept: Vec<_> = kept
        .into_iter()
        .map(|a| AnswerRow { key: &a.key, fingerprint: &a.fingerprint, outcome: &a.outcome, at: a.at.0 })
        .collect();
    for rows in rows.chunks(ROWS_MAX) {
        use super::schema::workflows as w;
        diesel::insert_into(w::table)
            .values(rows)
            .on_conflict(w::key)
            .do_update()
            .set((
                w::state.eq(excluded(w::state)),
                w::seq.eq(excluded(w::seq)),
                w::wake_at.eq(excluded(w::wake_at)),
                w::attempts.eq(excluded(w::attempts)),
                w::retrying.eq(excluded(w::retrying)),
                w::paused.eq(excluded(w::paused)),
                w::last_error.eq(excluded(w::last_error)),
                w::updated_at.eq(excluded(w::updated_at)),
                w::ended_at.eq(excluded(w::ended_at)),
                w::epoch.eq(excluded(w::epoch)),
                w::snapshot.eq(excluded(w::snapshot)),
            ))
            .execute(c)?;
    }
    for rows in facts.chunks(ROWS_MAX) {
        diesel::insert_into(transitions::table).values(rows).execute(c)?;
    }
    for rows in paid.chunks(ROWS_MAX) {
        use super::schema::payments as p;
        diesel::insert_into(p::table)
            .values(rows)
            .on_conflict(p::payment_id)
            .do_update()
            .set((p::status.eq(excluded(p::status)), p::updated_at.eq(excluded(p::updated_at))))
            .execute(c)?;
    }
    for rows in kept.chunks(ROWS_MAX) {
        diesel::insert_into(answers::table).values(rows).execute(c)?;
    }
    count(c, &all)?;
    Ok((verdicts, next_fact))
}

/// Keeps `state_counts` in step, one row for each state that gained or lost.
fn count(c: &mut SqliteConnection, all: &[&Transition]) -> QueryResult<()> {
    let mut gains: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for t in all {
        if t.state_before != Some(t.state) {
            *gains.entry((t.kind, t.state)).or_default() += 1;
            if let Some(before) = t.state_before {
                *gains.entry((t.kind, before)).or_default() -= 1;
            }
        }
    }
    for ((of, name), gain) in gains.into_iter().filter(|(_, gain)| *gain != 0) {
        use super::schema::state_counts as s;
        diesel::insert_into(s::table)
            .values((s::kind.eq(of), s::state.eq(name), s::n.eq(gain)))
            .on_conflict((s::kind, s::state))
            .do_update()
            .set(s::n.eq(s::n + excluded(s::n)))
            .execute(c)?;
    }
    Ok(())
}

/// Finds the units that conflict with what is stored, or with an earlier unit of the same batch.
fn judge(c: &mut SqliteConnection, units: &[Unit]) -> QueryResult<Vec<Verdict>> {
    let born = || units.iter().flat_map(|u| &u.transitions).filter(|t| t.is_new);
    let ids: Vec<&str> = born().map(|t| t.id.as_str()).collect();
    let tokens: Vec<&str> = born().filter_map(|t| t.payment.as_ref()).map(|p| p.payment_id.as_str()).collect();
    let keys: Vec<&str> = units.iter().filter_map(|u| u.answer.as_ref()).map(|a| a.key.as_str()).collect();
    let mut taken: HashSet<String> = HashSet::new();
    for ids in ids.chunks(ROWS_MAX) {
        taken.extend(workflows::table.select(workflows::id).filter(workflows::id.eq_any(ids)).load::<String>(c)?);
    }
    let mut holders: HashMap<String, String> = HashMap::new();
    for tokens in tokens.chunks(ROWS_MAX) {
        let held = payments::table.select((payments::payment_id, payments::order_id));
        holders.extend(held.filter(payments::payment_id.eq_any(tokens)).load::<(String, String)>(c)?);
    }
    let mut used: HashSet<String> = HashSet::new();
    for keys in keys.chunks(ROWS_MAX) {
        used.extend(answers::table.select(answers::key).filter(answers::key.eq_any(keys)).load::<String>(c)?);
    }
    let mut verdicts = Vec::with_capacity(units.len());
    for unit in units {
        let verdict = conflict(unit, &taken, &holders, &used).map_or(Verdict::Stored, Verdict::Conflict);
        if verdict == Verdict::Stored {
            for t in unit.transitions.iter().filter(|t| t.is_new) {
                taken.insert(t.id.as_str().to_owned());
                if let Some(payment) = &t.payment {
                    holders.insert(payment.payment_id.as_str().to_owned(), t.id.as_str().to_owned());
                }
            }
            used.extend(unit.answer.iter().map(|a| a.key.clone()));
        }
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

fn conflict(
    unit: &Unit,
    taken: &HashSet<String>,
    holders: &HashMap<String, String>,
    used: &HashSet<String>,
) -> Option<Conflict> {
    if unit.answer.as_ref().is_some_and(|a| used.contains(&a.key)) {
        return Some(Conflict::KeyUsed);
    }
    for t in unit.transitions.iter().filter(|t| t.is_new) {
        if taken.contains(t.id.as_str()) {
            return Some(Conflict::WorkflowExists);
        }
        let held =
            t.payment.as_ref().filter(|p| holders.get(p.payment_id.as_str()).is_some_and(|o| o != t.id.as_str()));
        if let Some(payment) = held {
            return Some(Conflict::PaymentInUse(payment.payment_id.clone()));
        }
    }
    None
}
