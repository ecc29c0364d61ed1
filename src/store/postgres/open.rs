//! Opening a PostgreSQL database: whether it is ours, bringing its schema up to date, becoming its owner.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::journal::PostgresJournal;
use super::lease::{self, Keeper, LEASE};
use crate::model::Key;
use crate::store::sql::schema::{transitions, workflows};
use crate::store::sql::{Any, Connect, SqlQueries, make_secret, pool};
use crate::store::{Fence, OpenError, Queries, SchemaVersions, Store};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
/// The oldest server that is supported, as `server_version_num` has it.
const OLDEST: i32 = 130_000;
/// The advisory lock under which the schema is looked at and changed: "ORDN".
const SCHEMA_LOCK: i64 = 0x4f52_444e;
/// How long a read waits for a connection of the pool.
const READ_WAIT: Duration = Duration::from_secs(2);

/// What every connection is set to. Commits are durable whatever the server's own setting; nothing waits for ever; a
/// session that falls asleep within a transaction (its process was stopped) is ended, for its locks keep others out.
const SETUP: &str = "SET synchronous_commit = on; SET statement_timeout = '15s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '2s'; SET client_min_messages = warning; SET timezone = 'UTC'";

/// What is added to a URL that does not say otherwise: a dead network is noticed.
const PARAMETERS: [(&str, &str); 6] = [
    ("connect_timeout", "3"),
    ("tcp_user_timeout", "5000"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
    ("application_name", "ordain"),
];

/// Where a server is, and how it is spoken to.
pub struct Address {
    url: String,
    /// The URL without its password, for people.
    pub shown: String,
}

impl Address {
    pub fn new(url: &str, shown: &str) -> Self {
        let mut full = url.to_owned();
        for (name, value) in PARAMETERS {
            if !url.contains(&format!("{name}=")) {
                full.push(if full.contains('?') { '&' } else { '?' });
                full.push_str(&format!("{name}={value}"));
            }
        }
        Self { url: full, shown: shown.to_owned() }
    }

    /// A connection that is set up.
    ///
    /// # Errors
    /// Where the server cannot be reached or refuses.
    pub fn connect(&self) -> ConnectionResult<PgConnection> {
        let mut c = PgConnection::establish(&self.url)?;
        c.batch_execute(SETUP).map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(c)
    }

    pub(super) fn io(&self, why: &dyn std::fmt::Display) -> OpenError {
        OpenError::Io { path: self.shown.clone(), why: one_line(why) }
    }

    pub(super) fn first(&self) -> Result<PgConnection, OpenError> {
        self.connect().map_err(|error| {
            let why = one_line(&error);
            // What only a person can put right is said at once; a server that is away may come.
            let hopeless = ["does not exist", "authentication failed", "no pg_hba.conf entry", "no password supplied"];
            if hopeless.iter().any(|part| why.contains(part)) || why.contains("invalid") {
                OpenError::Io { path: self.shown.clone(), why }
            } else {
                OpenError::Unreachable { path: self.shown.clone(), why }
            }
        })
    }
}

fn one_line(text: &dyn std::fmt::Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Opens a database and becomes its owner; brings its schema up to date first.
///
/// # Errors
/// [`OpenError::InUse`] where another process owns it, [`OpenError::Unreachable`] where the server is away: both may
/// pass. Any other will not.
pub fn open(address: Address, readers: usize) -> Result<Store, OpenError> {
    let mut c = address.first()?;
    let (epoch, after_crash) = become_owner(&address, &mut c)?;
    let fence = Fence::leased(LEASE);
    let address = Arc::new(address);
    let keeper = Keeper::start(Arc::clone(&address), epoch, fence.clone()).map_err(|e| address.io(&e))?;
    // From here on no other process writes, and what earlier owners had committed is seen.
    let last = workflows::table.select(diesel::dsl::max(workflows::key)).get_result::<Option<i64>>(&mut c);
    let next_key = Key(last.map_err(|e| unreachable(&address, &e))?.unwrap_or(0) + 1);
    let next_fact = next_fact(&mut c).map_err(|e| unreachable(&address, &e))?;
    make_secret(&mut c).map_err(|e| address.io(&e))?;
    let queries = queries(&address, readers)?;
    Ok(Store {
        api_keys: queries.keys().map_err(|e| address.io(&e))?,
        queues: queries.queues().map_err(|e| address.io(&e))?,
        secret: queries.secret().map_err(|e| address.io(&e))?,
        queries,
        journal: Box::new(PostgresJournal::new(address, epoch, next_fact)),
        after_crash,
        next_key,
        ownership: Box::new(keeper),
        fence,
    })
}

/// Takes the lease; the schema is made before where there is none, and brought up to date after: under a running owner
/// it is not touched.
fn become_owner(address: &Address, c: &mut PgConnection) -> Result<(i64, bool), OpenError> {
    let away = |e| unreachable(address, &e);
    c.batch_execute(&format!("SELECT pg_advisory_lock({SCHEMA_LOCK})")).map_err(away)?;
    if !check_ours(address, c)? {
        c.run_pending_migrations(MIGRATIONS).map_err(|e| address.io(&e))?;
    }
    versions(address, c)?.check(&address.shown)?;
    let (epoch, after_crash) = match lease::take(c).map_err(away)? {
        Ok(taken) => taken,
        Err(holder) => return Err(OpenError::InUse { path: address.shown.clone(), holder }),
    };
    c.run_pending_migrations(MIGRATIONS).map_err(|e| address.io(&e))?;
    c.batch_execute(&format!("SELECT pg_advisory_unlock({SCHEMA_LOCK})")).map_err(away)?;
    Ok((epoch, after_crash))
}

/// Opens a database for reading only, also while a server runs on it.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn open_read_only(address: Address) -> Result<Arc<dyn Queries>, OpenError> {
    let mut c = address.first()?;
    if !check_ours(&address, &mut c)? {
        return Err(address.io(&"there is no ordain database yet"));
    }
    versions(&address, &mut c)?.check(&address.shown)?;
    queries(&Arc::new(address), 2)
}

fn unreachable(address: &Address, error: &diesel::result::Error) -> OpenError {
    OpenError::Unreachable { path: address.shown.clone(), why: one_line(error) }
}

fn queries(address: &Arc<Address>, readers: usize) -> Result<Arc<dyn Queries>, OpenError> {
    let to = Arc::clone(address);
    let connect = move || {
        let mut c = to.connect()?;
        c.batch_execute("SET default_transaction_read_only = on")
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(Any::Postgres(c))
    };
    let pool = pool(Connect(Box::new(connect)), readers, READ_WAIT);
    let pool = pool.map_err(|why| OpenError::Unreachable { path: address.shown.clone(), why: one_line(&why) })?;
    Ok(Arc::new(SqlQueries::new(pool)))
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Integer)]
    version: i32,
    /// How many of the tables that mark a database as ours are there.
    #[diesel(sql_type = BigInt)]
    marks: i64,
    /// How many tables and views there are under names that we use.
    #[diesel(sql_type = BigInt)]
    names: i64,
    #[diesel(sql_type = Bool)]
    migrations: bool,
}

/// Whether the database is one of ours; false where there is nothing yet. Refuses a server that is too old, and a
/// database with tables of another program under our names.
fn check_ours(address: &Address, c: &mut PgConnection) -> Result<bool, OpenError> {
    let found = "SELECT current_setting('server_version_num')::int AS version,
        (SELECT count(*) FROM unnest(ARRAY['workflows', 'state_counts', 'owner']) n
         WHERE to_regclass(n) IS NOT NULL) AS marks,
        (SELECT count(*) FROM unnest(ARRAY['workflows', 'transitions', 'payments', 'state_counts', 'answers', 'owner',
         'api_keys', 'audit', 'orders', 'shipments', 'events']) n WHERE to_regclass(n) IS NOT NULL) AS names,
        to_regclass('__diesel_schema_migrations') IS NOT NULL AS migrations";
    let away = |e| unreachable(address, &e);
    let found = diesel::sql_query(found).get_result::<Found>(c).map_err(away)?;
    let not_ours = |why: &str| Err(OpenError::NotOurs { path: address.shown.clone(), why: why.to_owned() });
    if found.version < OLDEST {
        return not_ours("its PostgreSQL is older than 13, the oldest that is supported");
    }
    if found.marks == 3 {
        return Ok(true);
    }
    if found.names > 0 {
        return not_ours("it holds tables of another program under the names that ordain uses");
    }
    if found.migrations {
        let versions = diesel::sql_query("SELECT version::text AS version FROM __diesel_schema_migrations");
        if !versions.load::<Version>(c).map_err(away)?.is_empty() {
            return not_ours("another program keeps its schema there; give ordain a database of its own");
        }
    }
    Ok(false)
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Which migrations the database has seen.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn schema_versions(address: &Address) -> Result<SchemaVersions, OpenError> {
    let mut c = address.first()?;
    check_ours(address, &mut c)?;
    versions(address, &mut c)
}

fn versions(address: &Address, c: &mut PgConnection) -> Result<SchemaVersions, OpenError> {
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(|e| address.io(&e))?;
    let known: Vec<String> = known.iter().map(|m| m.name().version().to_string()).collect();
    let found = diesel::sql_query("SELECT version::text AS version FROM __diesel_schema_migrations ORDER BY 1");
    match found.load::<Version>(c) {
        Ok(found) => Ok(SchemaVersions::of(found.into_iter().map(|v| v.version).collect(), known)),
        Err(e) if e.to_string().contains("does not exist") => Ok(SchemaVersions::of(Vec::new(), known)),
        Err(e) => Err(unreachable(address, &e)),
    }
}

/// The running number behind the last fact.
fn next_fact(c: &mut PgConnection) -> QueryResult<i64> {
    let last = transitions::table.select((transitions::id, transitions::facts)).order(transitions::id.desc()).first(c);
    let last: Option<(i64, String)> = last.optional()?;
    let Some((id, facts)) = last else { return Ok(1) };
    let count = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&facts).map_or(1, |facts| facts.len());
    Ok(id + count as i64)
}
