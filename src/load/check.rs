//! The check after the run: what the server promised its clients against what SQL holds, by the public tables alone.
//!
//! The orders of the run are copied into temporary tables in one pass each, within one read transaction, so that a
//! server may go on writing beside it; every rule is then a query that names those who break it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use serde::Serialize;

use super::LoadError;
use super::orders::Orders;
use super::tally::{Fate, Tally};
use crate::store::{Any, Location};

/// Breaches that are named in a report.
const NAMED_MAX: usize = 10;

/// What the check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Check {
    /// Orders of this run that were found in SQL.
    pub orders: u64,
    /// Facts of them and their children that were counted.
    pub events: u64,
    /// How many breaches there are.
    pub breaches: u64,
    /// The first of them.
    pub first: Vec<Breach>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    pub id: String,
    pub what: String,
}

impl Check {
    pub fn breach(&mut self, id: impl Into<String>, what: impl Into<String>) {
        self.breaches += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(Breach { id: id.into(), what: what.into() });
        }
    }
}

/// The rules, as queries that give `(id, what)` of each breach.
const RULES: &[&str] = &[
    "SELECT o.id, 'has ' || count(p.status) || ' payment rows' AS what FROM load_orders o
     LEFT JOIN load_payments p ON p.order_id = o.id GROUP BY o.id HAVING count(p.status) <> 1",
    "SELECT o.id, 'is completed, its payment ' || p.status AS what FROM load_orders o
     JOIN load_payments p ON p.order_id = o.id WHERE o.state = 'completed' AND p.status <> 'charged'",
    "SELECT o.id, 'is ' || o.state || ', its payment ' || p.status || ' after ' || e.charged || ' charges' AS what
     FROM load_orders o JOIN load_payments p ON p.order_id = o.id JOIN load_events e ON e.order_id = o.id
     WHERE o.state IN ('cancelled', 'failed', 'timed_out') AND p.status <> 'refunded'
       AND (e.charged > 0 OR p.status IN ('charged', 'unknown'))",
    "SELECT o.id, 'is ' || o.state || ' with ' || e.charged || ' PaymentCharged, ' || e.refunded
       || ' PaymentRefunded, ' || e.ended || ' final events' AS what
     FROM load_orders o JOIN load_events e ON e.order_id = o.id
     WHERE CASE o.state WHEN 'completed' THEN e.charged <> 1 OR e.refunded <> 0 OR e.completed <> 1
       ELSE e.charged > 1 OR e.refunded > 1 OR e.completed <> 0 END OR e.ended <> 1",
    "SELECT o.id, 'is ' || o.state || ' with ' || coalesce(s.dispatched, 0) || ' dispatched and '
       || coalesce(s.open, 0) || ' open shipments' AS what
     FROM load_orders o LEFT JOIN load_shipments s ON s.order_id = o.id
     WHERE coalesce(s.dispatched, 0) <> CASE o.state WHEN 'completed' THEN 1 ELSE 0 END OR coalesce(s.open, 0) <> 0",
    "SELECT e.order_id AS id, 'has ' || e.n || ' events, seq ' || e.low || ' to ' || e.high AS what
     FROM load_events e WHERE e.low <> 1 OR e.n <> e.high OR e.n <> e.different",
    "SELECT o.id, 'has no event' AS what FROM load_orders o
     LEFT JOIN load_events e ON e.order_id = o.id WHERE e.order_id IS NULL",
];

/// The temporary tables: how each is made, and how it is filled with what lies in `[$1, $2)`.
const COPIES: &[(&str, &str)] = &[
    (
        "CREATE TEMP TABLE load_orders (id TEXT PRIMARY KEY, state TEXT)",
        "INSERT INTO load_orders SELECT id, state FROM orders WHERE id >= $1 AND id < $2",
    ),
    (
        "CREATE TEMP TABLE load_payments (order_id TEXT, payment_id TEXT, status TEXT, PRIMARY KEY (order_id, payment_id))",
        "INSERT INTO load_payments SELECT order_id, payment_id, status FROM payments WHERE order_id >= $1 AND order_id < $2",
    ),
    (
        "CREATE TEMP TABLE load_shipments (order_id TEXT PRIMARY KEY, dispatched BIGINT, open BIGINT)",
        "INSERT INTO load_shipments SELECT order_id, sum(CASE state WHEN 'dispatched' THEN 1 ELSE 0 END),
         sum(CASE WHEN state IN ('preparing', 'dispatching') THEN 1 ELSE 0 END)
         FROM shipments WHERE order_id >= $1 AND order_id < $2 GROUP BY order_id",
    ),
    (
        "CREATE TEMP TABLE load_events (order_id TEXT PRIMARY KEY, n BIGINT, low BIGINT, high BIGINT, different BIGINT,
         charged BIGINT, refunded BIGINT, completed BIGINT, ended BIGINT)",
        "INSERT INTO load_events SELECT order_id, count(*), min(seq), max(seq), count(DISTINCT seq),
         sum(CASE type WHEN 'PaymentCharged' THEN 1 ELSE 0 END), sum(CASE type WHEN 'PaymentRefunded' THEN 1 ELSE 0 END),
         sum(CASE type WHEN 'OrderCompleted' THEN 1 ELSE 0 END),
         sum(CASE WHEN type IN ('OrderCompleted', 'OrderCancelled', 'OrderFailed', 'OrderTimedOut') THEN 1 ELSE 0 END)
         FROM events WHERE order_id >= $1 AND order_id < $2 GROUP BY order_id",
    ),
];

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    what: String,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct CountedState {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Checks the orders of a run. `stats` is what the server said of all its orders, where they are this run's alone.
///
/// # Errors
/// [`LoadError::Check`] if the database cannot be read or is not an ordain's.
pub fn check(
    database: &Location,
    orders: &Orders,
    tally: &Tally,
    stats: Option<&BTreeMap<String, u64>>,
) -> Result<Check, LoadError> {
    let failed = |e: &dyn std::fmt::Display| LoadError::Check(format!("{}: {e}", database.shown()));
    let mut connection = connect(database).map_err(|e| failed(&e))?;
    let mut found = Check::default();
    connection
        .transaction(|c| -> QueryResult<()> {
            // One instant of the database, while a server may go on writing beside it.
            let begin = match c {
                Any::Sqlite(_) => "PRAGMA temp_store = MEMORY",
                Any::Postgres(_) => "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            };
            sql_query(begin).execute(c)?;
            for (create, fill) in COPIES {
                sql_query(*create).execute(c)?;
                sql_query(*fill).bind::<Text, _>(&orders.prefix).bind::<Text, _>(orders.after()).execute(c)?;
            }
            let rows = sql_query("SELECT id, state AS what FROM load_orders").load::<Named>(c)?;
            found.orders = rows.len() as u64;
            compare(&mut found, orders, tally, rows);
            for rule in RULES {
                for row in sql_query(*rule).load::<Named>(c)? {
                    found.breach(row.id, row.what);
                }
            }
            let events = sql_query("SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS n FROM load_events")
                .get_result::<Counted>(c)?;
            found.events = u64::try_from(events.n).unwrap_or_default();
            if let Some(stats) = stats {
                let query = "SELECT state, count(*) AS n FROM orders GROUP BY state";
                compare_stats(&mut found, stats, sql_query(query).load::<CountedState>(c)?);
            }
            Ok(())
        })
        .map_err(|e| failed(&e))?;
    Ok(found)
}

/// What clients were told against the rows.
fn compare(found: &mut Check, orders: &Orders, tally: &Tally, rows: Vec<Named>) {
    let mut states: HashMap<u64, String> = HashMap::with_capacity(rows.len());
    for row in rows {
        match orders.number(&row.id) {
            Some(number) => _ = states.insert(number, row.what),
            None => found.breach(row.id, "was never asked for"),
        }
    }
    for (number, fate) in (0..).zip(&tally.fates) {
        let state = states.get(&number).map(String::as_str);
        let seen = match fate {
            Fate::Ended(state) => tally.states.get(usize::from(*state)).map(String::as_str),
            _ => None,
        };
        match (fate, state) {
            (Fate::Accepted | Fate::Ended(_), None) => found.breach(orders.id(number), "was accepted and is not there"),
            (Fate::Refused, Some(_)) => found.breach(orders.id(number), "was refused and is there"),
            (Fate::Ended(_), state) if state != seen => {
                let (seen, state) = (seen.unwrap_or("?"), state.unwrap_or("?"));
                found.breach(orders.id(number), format!("was reported {seen} and is {state}"));
            }
            (Fate::Accepted, Some(state)) => found.breach(orders.id(number), format!("did not end, it is {state}")),
            _ => {}
        }
    }
}

fn compare_stats(found: &mut Check, stats: &BTreeMap<String, u64>, rows: Vec<CountedState>) {
    let rows: BTreeMap<String, u64> =
        rows.into_iter().map(|row| (row.state, u64::try_from(row.n).unwrap_or_default())).collect();
    let states: std::collections::BTreeSet<&String> = stats.keys().chain(rows.keys()).collect();
    for state in states {
        let (said, counted) = (stats.get(state).unwrap_or(&0), rows.get(state).unwrap_or(&0));
        if said != counted {
            found.breach("/stats", format!("says {said} {state} where SQL counts {counted}"));
        }
    }
}

fn connect(database: &Location) -> Result<Any, String> {
    match database {
        Location::Sqlite(path) if !path.is_file() => Err("there is no such file".to_owned()),
        Location::Sqlite(path) => {
            SqliteConnection::establish(&read_only(path)).map(Any::Sqlite).map_err(|e| e.to_string())
        }
        Location::Postgres(url) => PgConnection::establish(url).map(Any::Postgres).map_err(|e| e.to_string()),
    }
}

/// A URI that opens the file and cannot change it.
fn read_only(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.push_str(&format!("%{byte:02X}")),
            _ if byte.is_ascii() => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?mode=ro"
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
