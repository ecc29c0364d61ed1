//! The writer's side: batches of units, each batch one transaction with one fsync.

use std::path::PathBuf;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::keys;
use super::open::writer_connection;
use super::rows::{AnswerRow, CountRow, PaymentRow, ResultRow, TransitionRow, WorkflowRow, put};
use crate::access::KeyChange;
use crate::kernel::Transition;
use crate::model::Timestamp;
use crate::store::batch::{Asked, Taken, gains, stored};
use crate::store::sql::schema::{answers, owner, payments, workflows};
use crate::store::sql::{AuditRow, classify};
use crate::store::{AuditEntry, Journal, StoreError, StoredQueue, Unit, Verdict};

/// What is asked for in one statement, each thing a bind; SQLite takes 32,766.
const ASKED_MAX: usize = 1_000;

pub struct SqliteJournal {
    path: PathBuf,
    /// `None` after an error that may have left the connection unusable; opened anew by the next call.
    connection: Option<SqliteConnection>,
    /// Whether the log is to be copied back into the file: a write has failed since that was last done.
    is_log_due: bool,
    epoch: i64,
    /// The running number of the next fact.
    next_fact: i64,
}

impl SqliteJournal {
    pub fn new(path: PathBuf, connection: SqliteConnection, epoch: i64, next_fact: i64) -> Self {
        Self { path, connection: Some(connection), is_log_due: false, epoch, next_fact }
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => writer_connection(&self.path).map_err(|e| StoreError::Unavailable(e.to_string()))?,
        };
        let connection = self.connection.insert(connection);
        if self.is_log_due {
            // If the disk was full: what is copied back makes room in the log, before new pages take the last there is.
            self.is_log_due = diesel::sql_query("PRAGMA wal_checkpoint(PASSIVE)").execute(connection).is_err();
        }
        Ok(connection)
    }

    fn forget_broken<T>(&mut self, result: &Result<T, StoreError>) {
        if matches!(result, Err(StoreError::Unavailable(_))) {
            self.connection = None;
            self.is_log_due = true;
        }
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, units: &[Unit]) -> Result<Vec<Verdict>, StoreError> {
        let (epoch, next_fact) = (self.epoch, self.next_fact);
        let connection = self.connection()?;
        let stored = connection.immediate_transaction(|c| {
            still_ours(c, epoch)?;
            write(c, units, epoch, next_fact).map_err(classify)
        });
        self.forget_broken(&stored);
        let (verdicts, next_fact) = stored?;
        self.next_fact = next_fact;
        Ok(verdicts)
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let epoch = self.epoch;
        let connection = self.connection()?;
        let written = diesel::update(owner::table.filter(owner::epoch.eq(epoch))).set(owner::epoch.eq(epoch));
        let written = written.execute(connection).map_err(classify);
        self.forget_broken(&written);
        if written? == 1 { Ok(()) } else { Err(StoreError::NotOwner) }
    }

    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        let connection = self.connection()?;
        let old = answers::table.filter(answers::at.lt(before.0));
        let removed = diesel::delete(old).execute(connection).map_err(classify);
        self.forget_broken(&removed);
        removed
    }

    fn change_keys(&mut self, change: &KeyChange, entry: Option<&AuditEntry>) -> Result<bool, StoreError> {
        let epoch = self.epoch;
        let connection = self.connection()?;
        let changed = connection.immediate_transaction(|c| {
            still_ours(c, epoch)?;
            keys::change(c, change, entry)
        });
        self.forget_broken(&changed);
        changed
    }

    fn last_event(&self) -> u64 {
        u64::try_from(self.next_fact - 1).unwrap_or(0)
    }

    fn put_queue(&mut self, queue: &StoredQueue) -> Result<(), StoreError> {
        use crate::store::sql::schema::queues as q;
        let epoch = self.epoch;
        let connection = self.connection()?;
        let kept = connection.immediate_transaction(|c| {
            still_ours(c, epoch)?;
            let row = (q::name.eq(&queue.name), q::change.eq(&queue.change));
            let put = diesel::insert_into(q::table).values(row).on_conflict(q::name).do_update();
            put.set(q::change.eq(excluded(q::change))).execute(c).map(|_| ()).map_err(classify)
        });
        self.forget_broken(&kept);
        kept
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

/// The lock on the file keeps others out; this holds also where the lock file was removed, or the file was swapped.
fn still_ours(c: &mut SqliteConnection, epoch: i64) -> Result<(), StoreError> {
    let now = owner::table.select(owner::epoch).first::<i64>(c).map_err(classify)?;
    if now == epoch { Ok(()) } else { Err(StoreError::NotOwner) }
}

/// Writes all units that do not conflict. Returns the verdicts, and the number of the next fact.
fn write(c: &mut SqliteConnection, units: &[Unit], epoch: i64, mut next_fact: i64) -> QueryResult<(Vec<Verdict>, i64)> {
    let verdicts = look_up(c, units)?.judge(units);
    let all: Vec<&Transition> = stored(units, &verdicts).flat_map(|unit| &unit.transitions).collect();
    let owned = stored(units, &verdicts).flat_map(|unit| unit.transitions.iter().map(|t| (t, unit.owner.as_deref())));
    let rows: Vec<_> = owned.map(|(t, owner)| WorkflowRow::of(t, owner, epoch)).collect();
    let facts: Vec<_> = all
        .iter()
        .map(|t| {
            let id = next_fact;
            next_fact += i64::from(t.facts);
            TransitionRow { id, workflow: t.key.0, seq: t.first_seq as i64, at: t.at.0, facts: &t.facts_json }
        })
        .collect();
    let paid: Vec<_> = all.iter().filter_map(|t| PaymentRow::of(t)).collect();
    let found: Vec<_> = all.iter().flat_map(|t| ResultRow::of(t)).collect();
    let kept: Vec<_> = stored(units, &verdicts).filter_map(|unit| unit.answer.as_ref()).map(AnswerRow::of).collect();
    let entries: Vec<_> = stored(units, &verdicts).filter_map(|unit| unit.audit.as_deref()).map(AuditRow::of).collect();
    let counts: Vec<_> = gains(&all).into_iter().map(|((kind, state), n)| CountRow { kind, state, n }).collect();
    put(c, &rows)?;
    put(c, &facts)?;
    put(c, &paid)?;
    put(c, &found)?;
    put(c, &kept)?;
    put(c, &entries)?;
    put(c, &counts)?;
    Ok((verdicts, next_fact))
}

fn look_up(c: &mut SqliteConnection, units: &[Unit]) -> QueryResult<Taken> {
    let Asked { ids, tokens, keys } = Asked::of(units);
    let mut taken = Taken::default();
    for ids in ids.chunks(ASKED_MAX) {
        taken.ids.extend(workflows::table.select(workflows::id).filter(workflows::id.eq_any(ids)).load::<String>(c)?);
    }
    for tokens in tokens.chunks(ASKED_MAX) {
        let held = payments::table.select((payments::payment_id, payments::order_id));
        taken.holders.extend(held.filter(payments::payment_id.eq_any(tokens)).load::<(String, String)>(c)?);
    }
    for keys in keys.chunks(ASKED_MAX) {
        taken.keys.extend(answers::table.select(answers::key).filter(answers::key.eq_any(keys)).load::<String>(c)?);
    }
    Ok(taken)
}
