//! The lease on the database: taken, kept by a thread of its own, given back at the end.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text};

use super::open::Address;
use crate::store::Fence;

/// How long a lease lasts after it was renewed.
pub const LEASE: Duration = Duration::from_secs(3);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_millis(700);
/// How long it lasts where the holder's session has ended: a holder that lives has a new session by then.
const ORPHANED: Duration = Duration::from_secs(1);

const RECONNECT_EVERY: Duration = Duration::from_millis(200);

/// Who asks for the lease, as it is told to others: process and host.
pub fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} on {}", std::process::id(), if host.trim().is_empty() { "this host" } else { host.trim() })
}

#[derive(QueryableByName)]
struct Free {
    #[diesel(sql_type = Bool)]
    orphaned: bool,
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Nullable<Text>)]
    holder: Option<String>,
}

/// Raises the epoch if nobody holds the lease: the new epoch, and whether the holder before never gave it back. `Err`:
/// who holds it.
pub fn take(c: &mut PgConnection) -> QueryResult<Result<(i64, bool), String>> {
    let free = "SELECT holder IS NOT NULL AS orphaned FROM owner WHERE id = 1 AND (renewed_at IS NULL
        OR renewed_at < clock_timestamp() - make_interval(secs => $1)
        OR renewed_at < clock_timestamp() - make_interval(secs => $2)
           AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = session)) FOR UPDATE";
    let raise = "UPDATE owner SET epoch = epoch + 1, holder = $1, session = pg_backend_pid(),
        renewed_at = clock_timestamp() WHERE id = 1 RETURNING epoch";
    c.transaction(|c| {
        // The lock that keeps commits out is held from before the decision until the epoch is raised.
        let free = diesel::sql_query(free).bind::<Double, _>(LEASE.as_secs_f64());
        let free = free.bind::<Double, _>(ORPHANED.as_secs_f64()).get_result::<Free>(c).optional()?;
        let Some(Free { orphaned }) = free else {
            let held = diesel::sql_query("SELECT holder FROM owner WHERE id = 1").get_result::<Held>(c)?;
            return Ok(Err(held.holder.unwrap_or_else(|| "unknown".to_owned())));
        };
        let taken = diesel::sql_query(raise).bind::<Text, _>(holder()).get_result::<Taken>(c)?;
        Ok(Ok((taken.epoch, orphaned)))
    })
}

/// Keeps the lease until it is dropped, and then gives it back.
pub struct Keeper {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// # Errors
    /// Where no thread can be started.
    pub fn start(address: Arc<Address>, epoch: i64, fence: Fence) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let keep = move || {
            let mut connection = None;
            let mut wait = Duration::ZERO;
            loop {
                match stopped.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return give_back(&address, connection, epoch),
                }
                wait = RENEW_EVERY;
                let asked = Instant::now();
                match renew(&address, &mut connection, epoch) {
                    Ok(true) => fence.confirm(asked),
                    Ok(false) => return fence.lose(),
                    Err(error) => {
                        // With a dead session the lease is short; so another is made at once.
                        wait = if connection.take().is_some() { Duration::ZERO } else { RECONNECT_EVERY };
                        tracing::debug!(%error, "the lease on the database could not be renewed");
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("lease".into()).spawn(keep)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A keeper that panicked has nothing to give back; the lease runs out.
            let _panicked = thread.join();
        }
    }
}

/// False: another process has the database.
fn renew(address: &Address, connection: &mut Option<PgConnection>, epoch: i64) -> Result<bool, String> {
    let c = match connection {
        Some(c) => c,
        None => connection.insert(address.connect().map_err(|e| e.to_string())?),
    };
    let renewed = diesel::sql_query(
        "UPDATE owner SET renewed_at = clock_timestamp(), session = pg_backend_pid() WHERE id = 1 AND epoch = $1",
    );
    renewed.bind::<BigInt, _>(epoch).execute(c).map(|rows| rows == 1).map_err(|e| e.to_string())
}

fn give_back(address: &Address, connection: Option<PgConnection>, epoch: i64) {
    let Some(mut c) = connection.or_else(|| address.connect().ok()) else { return };
    let back = format!("UPDATE owner SET renewed_at = NULL, holder = NULL WHERE id = 1 AND epoch = {epoch}");
    // Otherwise it runs out by itself.
    let _kept = c.batch_execute(&back);
}
