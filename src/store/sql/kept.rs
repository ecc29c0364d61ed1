//! What is kept beside the workflows: changes of queues, the database's own secret; and what waits in the queues.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use ring::rand::{SecureRandom, SystemRandom};

use super::connection::Any;
use super::error::classify;
use super::schema::{queues as q, secrets as s};
use crate::model::Timestamp;
use crate::store::{QueueLoad, StoreError, StoredQueue};

/// The secret under which lease tokens are signed, and its length in bytes.
const LEASES: &str = "leases";
const SECRET_BYTES: usize = 32;

/// Makes the database's secret where it has none yet.
///
/// # Errors
/// Where the database fails, or there is no randomness; in words.
pub fn make_secret(c: &mut impl SimpleConnection) -> Result<(), String> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_owned())?;
    let value: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let insert = format!(
        "INSERT INTO secrets (name, value) SELECT '{LEASES}', '{value}'
         WHERE NOT EXISTS (SELECT 1 FROM secrets WHERE name = '{LEASES}')"
    );
    c.batch_execute(&insert).map_err(|e| e.to_string())
}

pub fn secret(c: &mut Any) -> Result<String, StoreError> {
    s::table.filter(s::name.eq(LEASES)).select(s::value).first(c).map_err(classify)
}

pub fn queues(c: &mut Any) -> Result<Vec<StoredQueue>, StoreError> {
    let rows = q::table.select((q::name, q::change)).order(q::name).load::<(String, String)>(c).map_err(classify)?;
    Ok(rows.into_iter().map(|(name, change)| StoredQueue { name, change }).collect())
}

/// The index on `wake_at` has all who have a call outstanding, at the instant 0. Their calls are in their snapshots and
/// nowhere else: a column of their own would cost every commit what is asked for once in a while.
const SQLITE: &str = "SELECT json_extract(a.value, '$.queue') AS queue, count(*) AS calls,
        min(json_extract(a.value, '$.scheduled_at')) AS oldest
    FROM workflows w, json_each(w.snapshot, '$.core.activities') a
    WHERE w.wake_at = 0 AND json_extract(a.value, '$.phase') = 'running' GROUP BY 1 ORDER BY 1";
const POSTGRES: &str = "SELECT a.run ->> 'queue' AS queue, count(*) AS calls, min(a.run ->> 'scheduled_at') AS oldest
    FROM workflows w, jsonb_each(w.snapshot::jsonb #> '{core,activities}') a (name, run)
    WHERE w.wake_at = 0 AND a.run ->> 'phase' = 'running' GROUP BY 1 ORDER BY 1";

#[derive(QueryableByName)]
struct LoadRead {
    #[diesel(sql_type = Text)]
    queue: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = Text)]
    oldest: String,
}

pub fn outstanding(c: &mut Any) -> Result<Vec<QueueLoad>, StoreError> {
    let rows = match c {
        Any::Sqlite(c) => diesel::sql_query(SQLITE).load::<LoadRead>(c),
        Any::Postgres(c) => diesel::sql_query(POSTGRES).load::<LoadRead>(c),
    };
    let load = |row: LoadRead| {
        let oldest = Timestamp::parse(&row.oldest);
        let oldest = oldest.ok_or_else(|| StoreError::Corrupt(format!("an instant: {}", row.oldest)))?;
        Ok(QueueLoad { queue: row.queue, calls: usize::try_from(row.calls).unwrap_or(0), oldest })
    };
    rows.map_err(classify)?.into_iter().map(load).collect()
}
