//! The writer's side: batches of units, each batch one transaction, each table one statement with arrays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::keys;
use super::open::Address;
use super::statements;
use crate::access::{KeyChange, Owner};
use crate::kernel::Transition;
use crate::model::Timestamp;
use crate::store::batch::{Asked, Taken, gains, stored};
use crate::store::sql::schema::{answers, payments, transitions, workflows};
use crate::store::{AuditEntry, Journal, StoreError, StoredAnswer, StoredQueue, Unit, Verdict};

/// After a connection could not be made, the next is not tried for this long.
const RECONNECT_AFTER: Duration = Duration::from_millis(200);
/// How long a commit without an answer is looked for before its callers are told that its outcome is unknown.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

pub struct PostgresJournal {
    address: Arc<Address>,
    /// `None` at first and after an error; made by the next call.
    connection: Option<PgConnection>,
    failed_at: Option<Instant>,
    epoch: i64,
    /// The running number of the next fact.
    next_fact: i64,
    /// A commit without an answer. It is read back before anything else is written.
    unknown: Option<Unknown>,
}

/// What tells whether a commit took place: its first fact, or where it had none, its first answer.
#[derive(Debug, Clone)]
enum Unknown {
    Fact { id: i64, next: i64 },
    Answer(String),
}

impl PostgresJournal {
    pub fn new(address: Arc<Address>, epoch: i64, next_fact: i64) -> Self {
        Self { address, connection: None, failed_at: None, epoch, next_fact, unknown: None }
    }

    /// Takes the connection, or makes one. It is put back by whoever found it sound.
    fn connection(&mut self) -> Result<PgConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        if self.failed_at.is_some_and(|at| at.elapsed() < RECONNECT_AFTER) {
            return Err(StoreError::Unavailable("the connection was lost".to_owned()));
        }
        connect(&self.address)
            .inspect_err(|_| self.failed_at = Some(Instant::now()))
            .map_err(|e| StoreError::Unavailable(e.to_string().lines().next().unwrap_or_default().to_owned()))
    }

    /// Finds out about a commit that got no answer, if there is one: whether it took place. The lock on the owner's
    /// row waits for whatever is left of it on the server.
    fn resolve(&mut self) -> Result<Option<bool>, StoreError> {
        let Some(unknown) = self.unknown.clone() else { return Ok(None) };
        let mut c = self.connection()?;
        let (epoch, there) = c.transaction(|c| {
            let epoch = diesel::sql_query("SELECT epoch AS n FROM owner WHERE id = 1 FOR UPDATE");
            let epoch = epoch.get_result::<N>(c)?.n;
            let there = match &unknown {
                Unknown::Fact { id, .. } => {
                    let fact = transitions::table.filter(transitions::id.eq(id)).select(transitions::id);
                    fact.first::<i64>(c).optional()?.is_some()
                }
                Unknown::Answer(key) => {
                    let answer = answers::table.filter(answers::key.eq(key)).select(answers::at);
                    answer.first::<i64>(c).optional()?.is_some()
                }
            };
            Ok::<_, StoreError>((epoch, there))
        })?;
        self.connection = Some(c);
        self.unknown = None;
        if epoch != self.epoch {
            return Err(StoreError::NotOwner);
        }
        if let (true, Unknown::Fact { next, .. }) = (there, unknown) {
            self.next_fact = next;
        }
        Ok(Some(there))
    }

    /// The same, tried for a while.
    fn resolve_soon(&mut self, lost: &StoreError) -> Result<bool, StoreError> {
        let until = Instant::now() + RESOLVE_WITHIN;
        loop {
            match self.resolve() {
                Err(StoreError::Unavailable(_)) if Instant::now() < until => std::thread::sleep(RECONNECT_AFTER),
                Err(StoreError::Unavailable(_)) => return Err(StoreError::OutcomeUnknown(lost.to_string())),
                Err(error) => return Err(error),
                Ok(took_place) => return Ok(took_place.unwrap_or(false)),
            }
        }
    }

    fn write(&mut self, c: &mut PgConnection, units: &[Unit], verdicts: &mut Vec<Verdict>) -> Result<(), StoreError> {
        c.batch_execute("BEGIN")?;
        let epoch = diesel::sql_query("SELECT epoch AS n FROM owner WHERE id = 1 FOR KEY SHARE");
        if epoch.get_result::<N>(c)?.n != self.epoch {
            return Err(StoreError::NotOwner);
        }
        *verdicts = look_up(c, units)?.judge(units);
        let all: Vec<&Transition> = stored(units, verdicts).flat_map(|unit| &unit.transitions).collect();
        let owners: Vec<Option<&Owner>> = stored(units, verdicts)
            .flat_map(|unit| std::iter::repeat_n(unit.owner.as_ref(), unit.transitions.len()))
            .collect();
        let entries: Vec<&AuditEntry> = stored(units, verdicts).filter_map(|unit| unit.audit.as_deref()).collect();
        let kept: Vec<&StoredAnswer> = stored(units, verdicts).filter_map(|unit| unit.answer.as_ref()).collect();
        let mut next_fact = self.next_fact;
        if !all.is_empty() {
            statements::workflows(c, &all, &owners, self.epoch)?;
            next_fact = statements::transitions(c, &all, self.next_fact)?;
            statements::payments(c, &all)?;
            statements::results(c, &all)?;
            statements::counts(c, &gains(&all))?;
        }
        statements::answers(c, &kept)?;
        statements::audit(c, &entries)?;
        // Whatever the answer to COMMIT may be, if it is not "done" it says nothing for certain.
        self.unknown = match kept.first() {
            _ if !all.is_empty() => Some(Unknown::Fact { id: self.next_fact, next: next_fact }),
            Some(answer) => Some(Unknown::Answer(answer.key.clone())),
            None => None,
        };
        c.batch_execute("COMMIT")?;
        self.unknown = None;
        self.next_fact = next_fact;
        Ok(())
    }
}

/// All that is written is found by its key; the planner, whose statistics of a young table are old, is told so.
fn connect(address: &Address) -> ConnectionResult<PgConnection> {
    let mut c = address.connect()?;
    c.batch_execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(c)
}

impl Journal for PostgresJournal {
    fn append(&mut self, units: &[Unit]) -> Result<Vec<Verdict>, StoreError> {
        self.resolve()?;
        let mut c = self.connection()?;
        let mut verdicts = Vec::new();
        match self.write(&mut c, units, &mut verdicts) {
            Ok(()) => {
                self.connection = Some(c);
                Ok(verdicts)
            }
            Err(error) => {
                // Closing the connection ends whatever was begun on it.
                drop(c);
                if self.unknown.is_none() {
                    return Err(error);
                }
                tracing::warn!(%error, "a commit got no answer; it is read back");
                if self.resolve_soon(&error)? { Ok(verdicts) } else { Err(StoreError::Unavailable(error.to_string())) }
            }
        }
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.resolve()?;
        let mut c = self.connection()?;
        let written = diesel::sql_query("UPDATE owner SET epoch = epoch WHERE id = 1 AND epoch = $1");
        let written = written.bind::<BigInt, _>(self.epoch).execute(&mut c)?;
        self.connection = Some(c);
        if written == 1 { Ok(()) } else { Err(StoreError::NotOwner) }
    }

    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        let mut c = self.connection()?;
        let removed = diesel::delete(answers::table.filter(answers::at.lt(before.0))).execute(&mut c)?;
        self.connection = Some(c);
        Ok(removed)
    }

    /// One whose COMMIT gets no answer is said to be unavailable: to ask for it again does no harm.
    fn change_keys(&mut self, change: &KeyChange, entry: Option<&AuditEntry>) -> Result<bool, StoreError> {
        self.resolve()?;
        let mut c = self.connection()?;
        let epoch = self.epoch;
        let changed = c.transaction(|c| {
            let owner = diesel::sql_query("SELECT epoch AS n FROM owner WHERE id = 1 FOR KEY SHARE");
            if owner.get_result::<N>(c)?.n != epoch {
                return Err(StoreError::NotOwner);
            }
            keys::change(c, change, entry)
        })?;
        self.connection = Some(c);
        Ok(changed)
    }

    fn last_event(&self) -> u64 {
        u64::try_from(self.next_fact - 1).unwrap_or(0)
    }

    fn put_queue(&mut self, queue: &StoredQueue) -> Result<(), StoreError> {
        use crate::store::sql::schema::queues as q;
        let mut c = self.connection()?;
        let epoch = self.epoch;
        // A commit whose answer is lost is made again by whoever asked: it says the same.
        c.transaction(|c| {
            let owner = diesel::sql_query("SELECT epoch AS n FROM owner WHERE id = 1 FOR KEY SHARE");
            if owner.get_result::<N>(c)?.n != epoch {
                return Err(StoreError::NotOwner);
            }
            let row = (q::name.eq(&queue.name), q::change.eq(&queue.change));
            let put = diesel::insert_into(q::table).values(row).on_conflict(q::name).do_update();
            put.set(q::change.eq(diesel::upsert::excluded(q::change))).execute(c)?;
            Ok(())
        })?;
        self.connection = Some(c);
        Ok(())
    }
}

fn look_up(c: &mut PgConnection, units: &[Unit]) -> QueryResult<Taken> {
    let Asked { ids, tokens, keys } = Asked::of(units);
    let mut taken = Taken::default();
    if !ids.is_empty() {
        taken.ids.extend(workflows::table.select(workflows::id).filter(workflows::id.eq_any(ids)).load::<String>(c)?);
    }
    if !tokens.is_empty() {
        let held = payments::table.select((payments::payment_id, payments::order_id));
        taken.holders.extend(held.filter(payments::payment_id.eq_any(tokens)).load::<(String, String)>(c)?);
    }
    if !keys.is_empty() {
        taken.keys.extend(answers::table.select(answers::key).filter(answers::key.eq_any(keys)).load::<String>(c)?);
    }
    Ok(taken)
}

#[derive(QueryableByName)]
struct N {
    #[diesel(sql_type = BigInt)]
    n: i64,
}
