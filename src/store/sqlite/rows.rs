//! The rows the writer writes, and the statements that write them: some rows at once, each statement prepared once in the
//! life of the connection. (Diesel prepares upserts, and inserts of a `Vec`, anew each time: 7 to 13 % of all work.)

use diesel::dsl::SqlTypeOf;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;

use crate::kernel::Transition;
use crate::model::WorkflowId;
use crate::store::StoredAnswer;
use crate::store::sql::{AuditRow, schema};

/// Writes rows, 64, 16, 4 and 1 of them with one statement.
pub fn put<R: Row>(c: &mut SqliteConnection, rows: &[R]) -> QueryResult<()> {
    let rows = put_by::<R, 64>(c, rows)?;
    let rows = put_by::<R, 16>(c, rows)?;
    let rows = put_by::<R, 4>(c, rows)?;
    put_by::<R, 1>(c, rows).map(|_none| ())
}

/// Writes as many as fill statements of `N` rows; the others.
fn put_by<'r, R: Row, const N: usize>(c: &mut SqliteConnection, rows: &'r [R]) -> QueryResult<&'r [R]> {
    let (full, rest) = rows.as_chunks::<N>();
    for rows in full {
        Put { rows }.execute(c)?;
    }
    Ok(rest)
}

/// A row of one table.
pub trait Row {
    type Table: 'static;
    /// Up to the first row.
    const INSERT: &'static str;
    /// Behind the last row.
    const THEN: &'static str;

    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()>;
}

struct Put<'r, R, const N: usize> {
    rows: &'r [R; N],
}

impl<R: Row, const N: usize> QueryFragment<Sqlite> for Put<'_, R, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(R::INSERT);
        for (n, row) in self.rows.iter().enumerate() {
            out.push_sql(if n == 0 { "(" } else { ", (" });
            row.bind(&mut out)?;
            out.push_sql(")");
        }
        out.push_sql(R::THEN);
        Ok(())
    }
}

/// A table and a number of rows are one text.
impl<R: Row, const N: usize> QueryId for Put<'_, R, N> {
    type QueryId = Put<'static, R::Table, N>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<R, const N: usize> RunQueryDsl<SqliteConnection> for Put<'_, R, N> {}

/// `row into table (columns, each a field of the same name) then "what follows the rows"`. Types are those of the schema.
macro_rules! row {
    ($row:ident into $table:ident ($first:ident $(, $column:ident)* $(,)?) then $then:literal) => {
        impl Row for $row<'_> {
            type Table = schema::$table::table;
            const INSERT: &'static str = concat!(
                "INSERT INTO ", stringify!($table), " (\"", stringify!($first), "\"", $(", \"", stringify!($column), "\"",)* ") VALUES "
            );
            const THEN: &'static str = $then;

            fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_bind_param::<SqlTypeOf<schema::$table::$first>, _>(&self.$first)?;
                $(
                    out.push_sql(", ");
                    out.push_bind_param::<SqlTypeOf<schema::$table::$column>, _>(&self.$column)?;
                )*
                Ok(())
            }
        }
    };
}

row!(WorkflowRow into workflows (
    key, id, root, parent, owner, kind, run_id, state, seq, wake_at, attempts, retrying, paused, last_error, created_at,
    updated_at, ended_at, epoch, snapshot,
) then " ON CONFLICT (key) DO UPDATE SET state = excluded.state, seq = excluded.seq, wake_at = excluded.wake_at, \
    attempts = excluded.attempts, retrying = excluded.retrying, paused = excluded.paused, \
    last_error = excluded.last_error, updated_at = excluded.updated_at, ended_at = excluded.ended_at, \
    epoch = excluded.epoch, snapshot = excluded.snapshot");

row!(TransitionRow into transitions (id, workflow, seq, at, facts) then "");

row!(PaymentRow into payments (
    payment_id, order_id, status, amount, currency, created_at, updated_at,
) then " ON CONFLICT (payment_id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at");

row!(ResultRow into results (workflow, name, at, body) then " ON CONFLICT (workflow, name) DO NOTHING");

row!(AnswerRow into answers (key, fingerprint, outcome, at) then "");

row!(CountRow into state_counts (
    kind, state, n,
) then " ON CONFLICT (kind, state) DO UPDATE SET n = state_counts.n + excluded.n");

row!(AuditRow into audit (at, method, route, order_id, key_id, key_name, status, reason, remote) then "");

pub struct WorkflowRow<'a> {
    key: i64,
    id: &'a str,
    root: i64,
    parent: Option<&'a str>,
    owner: Option<&'a str>,
    kind: &'a str,
    run_id: String,
    state: &'a str,
    seq: i64,
    wake_at: Option<i64>,
    attempts: i32,
    retrying: bool,
    paused: bool,
    last_error: Option<&'a str>,
    created_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    epoch: i64,
    snapshot: &'a str,
}

impl<'a> WorkflowRow<'a> {
    /// `owner`: kept only where the row is new.
    pub fn of(t: &'a Transition, owner: Option<&'a str>, epoch: i64) -> Self {
        Self {
            key: t.key.0,
            id: t.id.as_str(),
            root: t.root.0,
            parent: t.parent.as_ref().map(WorkflowId::as_str),
            owner,
            kind: t.kind,
            run_id: t.run_id.to_string(),
            state: t.state,
            seq: t.seq as i64,
            wake_at: t.wake_at.map(|at| at.0),
            attempts: i32::try_from(t.attempts).unwrap_or(i32::MAX),
            retrying: t.retrying,
            paused: t.paused,
            last_error: t.last_error,
            created_at: t.created_at.0,
            updated_at: t.at.0,
            ended_at: t.ended_at.map(|at| at.0),
            epoch,
            snapshot: &t.snapshot,
        }
    }
}

pub struct TransitionRow<'a> {
    pub id: i64,
    pub workflow: i64,
    pub seq: i64,
    pub at: i64,
    pub facts: &'a str,
}

pub struct PaymentRow<'a> {
    payment_id: String,
    order_id: &'a str,
    status: &'a str,
    amount: String,
    currency: String,
    created_at: String,
    updated_at: String,
}

impl<'a> PaymentRow<'a> {
    pub fn of(t: &'a Transition) -> Option<Self> {
        let payment = t.payment.as_ref()?;
        let at = t.at.to_string();
        Some(Self {
            payment_id: payment.payment_id.as_str().to_owned(),
            order_id: t.id.as_str(),
            status: payment.status.as_str(),
            amount: payment.money.amount.to_string(),
            currency: payment.money.currency.to_string(),
            created_at: at.clone(),
            updated_at: at,
        })
    }
}

pub struct ResultRow<'a> {
    pub workflow: i64,
    pub name: &'a str,
    pub at: i64,
    pub body: &'a str,
}

impl<'a> ResultRow<'a> {
    /// The rows a transition brings.
    pub fn of(t: &'a Transition) -> impl Iterator<Item = Self> {
        let (workflow, at) = (t.root.0, t.at.0);
        t.results.iter().map(move |row| Self { workflow, name: &row.name, at, body: &row.body })
    }
}

pub struct AnswerRow<'a> {
    pub key: &'a str,
    pub fingerprint: &'a str,
    pub outcome: &'a str,
    pub at: i64,
}

impl<'a> AnswerRow<'a> {
    pub fn of(answer: &'a StoredAnswer) -> Self {
        Self { key: &answer.key, fingerprint: &answer.fingerprint, outcome: &answer.outcome, at: answer.at.0 }
    }
}

/// What a state of a kind gains or loses.
pub struct CountRow<'a> {
    pub kind: &'a str,
    pub state: &'a str,
    pub n: i64,
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use diesel::connection::{InstrumentationEvent, SimpleConnection};
    use diesel::sql_query;
    use diesel::sql_types::{BigInt, Text};

    use super::*;

    #[derive(QueryableByName, Debug, PartialEq)]
    struct Answer {
        #[diesel(sql_type = Text)]
        key: String,
        #[diesel(sql_type = BigInt)]
        at: i64,
    }

    fn answers(c: &mut SqliteConnection, n: i64) {
        let keys: Vec<String> = (0..n).map(|at| format!("key-{at}")).collect();
        let row = |(at, key)| AnswerRow { key, fingerprint: "f", outcome: "o", at };
        let rows: Vec<_> = (0..n).zip(keys.iter().map(String::as_str)).map(row).collect();
        put(c, &rows).unwrap();
        let there = sql_query("SELECT key, at FROM answers ORDER BY rowid").load::<Answer>(c).unwrap();
        assert_eq!(there, (0..n).map(|at| Answer { key: format!("key-{at}"), at }).collect::<Vec<_>>());
        sql_query("DELETE FROM answers").execute(c).unwrap();
    }

    #[test]
    fn however_many_rows_there_are_they_are_written_in_order_by_statements_prepared_once() {
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        c.batch_execute(
            "CREATE TABLE answers (key TEXT PRIMARY KEY, fingerprint TEXT, outcome TEXT, at INT);
             CREATE TABLE state_counts (kind TEXT, state TEXT, n INT, PRIMARY KEY (kind, state));",
        )
        .unwrap();
        let prepared = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&prepared);
        c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::CacheQuery { sql, .. } = event {
                seen.lock().unwrap().push(sql.to_owned());
            }
        });
        for n in [0, 1, 2, 3, 4, 5, 16, 63, 64, 65, 85, 200] {
            answers(&mut c, n);
        }
        // An upsert as well.
        for _ in 0..3 {
            put(&mut c, &[CountRow { kind: "order", state: "completed", n: 2 }]).unwrap();
        }
        let prepared = prepared.lock().unwrap();
        let rows: Vec<_> = prepared.iter().map(|sql| (sql.contains("answers"), sql.matches("(?").count())).collect();
        assert_eq!(rows, [(true, 1), (true, 4), (true, 16), (true, 64), (false, 1)], "{prepared:?}");
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            n: i64,
        }
        assert_eq!(sql_query("SELECT n FROM state_counts").get_result::<Count>(&mut c).unwrap().n, 6);
    }
}
