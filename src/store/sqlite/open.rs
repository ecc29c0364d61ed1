//! Opening a database file: whose it is, whether it is ours, and bringing its schema up to date.
//!
//! Nothing is written before it is certain that the file is one of ours and no other process holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::journal::SqliteJournal;
use crate::model::Key;
use crate::store::sql::schema::{owner, transitions, workflows};
use crate::store::sql::{Any, Connect, SqlQueries, make_secret, pool};
use crate::store::{Fence, OpenError, Queries, SchemaVersions, Store};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// Marks a database file as ours: "ORDN".
const APPLICATION_ID: i32 = 0x4f52_444e;
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A connection that commits with an fsync each. The log is copied back less often than SQLite does by itself: pages
/// of orders in flight are written many times, and only their last version need be copied.
const WRITER: &str = "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 8000; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;";
const READER: &str = "PRAGMA busy_timeout = 2000; PRAGMA query_only = ON; PRAGMA cache_size = -4096;";

/// Opens a database for this process alone, creating it where there is none.
///
/// # Errors
/// [`OpenError`] with a sentence for people; the file is then as it was.
pub fn open(path: &Path, readers: usize) -> Result<Store, OpenError> {
    let shown = path.display().to_string();
    let io = |e: &dyn std::fmt::Display| OpenError::Io { path: shown.clone(), why: e.to_string() };
    check_writable(path, &shown)?;
    let is_new = !check_ours(path, &shown)?;
    let (ownership, after_crash) = own(path, &shown)?;
    if is_new {
        create(path).map_err(|e| io(&e))?;
    } else {
        schema_versions(path)?.check(&shown)?;
    }
    let locked = |e: &dyn std::fmt::Display| match e.to_string() {
        why if why.contains("locked") => OpenError::Locked { path: shown.clone() },
        why if why.contains("readonly") => OpenError::ReadOnly { path: shown.clone(), why },
        why => OpenError::Io { path: shown.clone(), why },
    };
    let mut writer = writer_connection(path).map_err(|e| locked(&e))?;
    writer.batch_execute("BEGIN IMMEDIATE; ROLLBACK").map_err(|e| locked(&e))?;
    writer.run_pending_migrations(MIGRATIONS).map_err(|e| locked(&e))?;
    let epoch = diesel::update(owner::table).set(owner::epoch.eq(owner::epoch + 1)).returning(owner::epoch);
    let epoch = epoch.get_result::<i64>(&mut writer).map_err(|e| locked(&e))?;
    let last = workflows::table.select(diesel::dsl::max(workflows::key)).get_result::<Option<i64>>(&mut writer);
    let next_key = Key(last.map_err(|e| io(&e))?.unwrap_or(0) + 1);
    let next_fact = next_fact(&mut writer).map_err(|e| io(&e))?;
    make_secret(&mut writer).map_err(|e| io(&e))?;
    let queries = queries(path, readers).map_err(|why| OpenError::Io { path: shown.clone(), why })?;
    Ok(Store {
        api_keys: queries.keys().map_err(|e| io(&e))?,
        queues: queries.queues().map_err(|e| io(&e))?,
        secret: queries.secret().map_err(|e| io(&e))?,
        queries,
        journal: Box::new(SqliteJournal::new(path.to_owned(), writer, epoch, next_fact)),
        after_crash,
        next_key,
        fence: Fence::default(),
        ownership: Box::new(ownership),
    })
}

/// Opens a database for reading only, also while a server runs on it.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn open_read_only(path: &Path) -> Result<Arc<dyn Queries>, OpenError> {
    let shown = path.display().to_string();
    check_existing(path, &shown)?;
    queries(path, 2).map_err(|why| OpenError::Io { path: shown, why })
}

/// The connection of the single writer.
pub fn writer_connection(path: &Path) -> ConnectionResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    connection.batch_execute(WRITER).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// How long a read waits for a connection of the pool.
const READ_WAIT: Duration = Duration::from_secs(5);

fn queries(path: &Path, readers: usize) -> Result<Arc<dyn Queries>, String> {
    let file = path.to_string_lossy().into_owned();
    let connect = move || {
        let mut connection = SqliteConnection::establish(&file)?;
        connection.batch_execute(READER).map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(Any::Sqlite(connection))
    };
    let pool = pool(Connect(Box::new(connect)), readers, READ_WAIT)?;
    Ok(Arc::new(SqlQueries::new(pool)))
}

fn check_writable(path: &Path, shown: &str) -> Result<(), OpenError> {
    let read_only = |why: &str| OpenError::ReadOnly { path: shown.to_owned(), why: why.to_owned() };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder_is = folder
        .metadata()
        .map_err(|e| OpenError::Io { path: shown.to_owned(), why: format!("the folder {}: {e}", folder.display()) })?;
    if folder_is.permissions().readonly() {
        return Err(read_only("its folder is read-only"));
    }
    match path.metadata() {
        Ok(file) if file.is_dir() => Err(OpenError::Io { path: shown.to_owned(), why: "it is a folder".to_owned() }),
        Ok(file) if file.permissions().readonly() => Err(read_only("the file is read-only")),
        Ok(_) => match OpenOptions::new().write(true).open(path) {
            Ok(_) => Ok(()),
            Err(e) => Err(read_only(&e.to_string())),
        },
        Err(_) => Ok(()),
    }
}

/// Whether there is a database of ours; false where there is nothing yet.
fn check_ours(path: &Path, shown: &str) -> Result<bool, OpenError> {
    let not_ours = |why: &str| Err(OpenError::NotOurs { path: shown.to_owned(), why: why.to_owned() });
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(OpenError::Io { path: shown.to_owned(), why: e.to_string() }),
    };
    let mut head = Vec::new();
    let read = Read::by_ref(&mut file).take(100).read_to_end(&mut head);
    read.map_err(|e| OpenError::Io { path: shown.to_owned(), why: e.to_string() })?;
    if head.is_empty() {
        return Ok(false);
    }
    if !head.starts_with(SQLITE_MAGIC) {
        return not_ours("it is not a SQLite file");
    }
    // https://www.sqlite.org/fileformat.html: the application id is the big-endian integer at offset 68.
    match head.get(68..72).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(i32::from_be_bytes) {
        Some(APPLICATION_ID) => Ok(true),
        _ => not_ours("it is a SQLite database of another program"),
    }
}

/// Says in the lock file that its owner is at work; whoever ends in order takes it away.
const AT_WORK: &str = "at work";

/// The lock file while it is ours.
struct Owned(File);

impl Drop for Owned {
    fn drop(&mut self) {
        // Otherwise the next start says that this one crashed, which costs nothing.
        let _ended = self.0.set_len(0);
        // Closing alone would leave it to a child that another thread has just forked, until that runs its program.
        let _free = self.0.unlock();
    }
}

/// Keeps other processes out, by a lock of the operating system that ends with this process. True: the owner before
/// did not end in order.
fn own(path: &Path, shown: &str) -> Result<(Owned, bool), OpenError> {
    let io = |e: std::io::Error| OpenError::Io { path: shown.to_owned(), why: format!("its lock file: {e}") };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(name).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            lock.read_to_string(&mut holder).map_err(io)?;
            let holder = holder.lines().next().map(str::trim).filter(|first| !first.is_empty());
            let holder = holder.unwrap_or("unknown").to_owned();
            return Err(OpenError::InUse { path: shown.to_owned(), holder });
        }
        Err(TryLockError::Error(e)) => return Err(io(e)),
    }
    let mut before = Vec::new();
    Read::by_ref(&mut lock).take(1_000).read_to_end(&mut before).map_err(io)?;
    let after_crash = String::from_utf8_lossy(&before).lines().any(|line| line == AT_WORK);
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(io)?;
    // Synced, so that it is there after a power cut as well.
    write!(lock, "{}\n{AT_WORK}\n", std::process::id()).and_then(|()| lock.sync_all()).map_err(io)?;
    Ok((Owned(lock), after_crash))
}

/// Makes an empty database and marks it as ours, before the log is switched on, so that the mark is in the file itself.
fn create(path: &Path) -> ConnectionResult<()> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    let mark = format!("PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID}; VACUUM;");
    connection.batch_execute(&mark).map_err(ConnectionError::CouldntSetupConfiguration)
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Which migrations the file has seen.
///
/// # Errors
/// [`OpenError`] with a sentence for people; the file is as it was.
pub fn schema_versions(path: &Path) -> Result<SchemaVersions, OpenError> {
    let shown = path.display().to_string();
    let io = |why: String| OpenError::Io { path: shown.clone(), why };
    let known: Vec<Box<dyn Migration<diesel::sqlite::Sqlite>>> =
        MIGRATIONS.migrations().map_err(|e| io(e.to_string()))?;
    let known: Vec<String> = known.iter().map(|m| m.name().version().to_string()).collect();
    if !check_ours(path, &shown)? {
        return Ok(SchemaVersions::of(Vec::new(), known));
    }
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| io(e.to_string()))?;
    connection.batch_execute(READER).map_err(|e| io(e.to_string()))?;
    let found = diesel::sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version");
    match found.load::<Version>(&mut connection) {
        Ok(found) => Ok(SchemaVersions::of(found.into_iter().map(|v| v.version).collect(), known)),
        Err(e) if e.to_string().contains("no such table") => Ok(SchemaVersions::of(Vec::new(), known)),
        Err(e) if e.to_string().contains("locked") => Err(OpenError::Locked { path: shown.clone() }),
        Err(e) => Err(io(e.to_string())),
    }
}

/// Refuses what is not there, not ours, or newer.
pub(super) fn check_existing(path: &Path, shown: &str) -> Result<(), OpenError> {
    if !check_ours(path, shown)? {
        return Err(OpenError::Io { path: shown.to_owned(), why: "there is no database".to_owned() });
    }
    schema_versions(path)?.check(shown)
}

/// The running number behind the last fact.
fn next_fact(c: &mut SqliteConnection) -> QueryResult<i64> {
    let last = transitions::table.select((transitions::id, transitions::facts)).order(transitions::id.desc()).first(c);
    let last: Option<(i64, String)> = last.optional()?;
    let Some((id, facts)) = last else { return Ok(1) };
    let count = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&facts).map_or(1, |facts| facts.len());
    Ok(id + count as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(QueryableByName)]
    struct Durable {
        #[diesel(sql_type = Text)]
        journal_mode: String,
        #[diesel(sql_type = diesel::sql_types::Integer)]
        synchronous: i32,
    }

    #[test]
    fn the_writer_syncs_with_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer_connection(&folder.path().join("ordain.db")).unwrap();
        let asked = "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous";
        let found = diesel::sql_query(asked).get_result::<Durable>(&mut writer).unwrap();
        // 2: FULL.
        assert_eq!((found.journal_mode.as_str(), found.synchronous), ("wal", 2));
    }

    #[test]
    fn who_ends_in_order_leaves_the_database_free_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ordain.db");
        let (owned, _) = own(&path, "ordain.db").unwrap();
        // As a forked child has it until it runs its program.
        let forked = owned.0.try_clone().unwrap();
        drop(owned);
        assert!(own(&path, "ordain.db").is_ok());
        drop(forked);
    }
}
