//! A connection to either database, and pools of them.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool};

/// A connection to one of the databases there are. Queries written once run on both.
#[derive(diesel::MultiConnection)]
pub enum Any {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// How connections of a pool are made.
pub struct Connect(pub Box<dyn Fn() -> ConnectionResult<Any> + Send + Sync>);

/// A connection of a pool, and whether an error was seen on it.
pub struct Pooled {
    pub connection: Any,
    pub suspect: bool,
}

impl ManageConnection for Connect {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> ConnectionResult<Pooled> {
        Ok(Pooled { connection: (self.0)()?, suspect: false })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> ConnectionResult<()> {
        let alive = match &mut pooled.connection {
            Any::Postgres(c) => c.batch_execute("SELECT 1"),
            Any::Sqlite(c) => c.batch_execute("SELECT 1"),
        };
        alive.map_err(ConnectionError::CouldntSetupConfiguration)
    }

    /// A connection on which something failed is not used again.
    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.suspect
    }
}

/// A pool that holds at most `size` connections and makes them when they are needed; `wait`: how long a read waits
/// for one.
///
/// # Errors
/// Where no first connection can be made, in words.
pub fn pool(connect: Connect, size: usize, wait: Duration) -> Result<Pool<Connect>, String> {
    Pool::builder()
        .max_size(u32::try_from(size.max(1)).unwrap_or(1))
        .min_idle(Some(1))
        .test_on_check_out(false)
        .connection_timeout(wait)
        .build(connect)
        .map_err(|e| e.to_string())
}
