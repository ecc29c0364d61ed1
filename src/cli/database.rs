//! The commands on a database itself: `migrate`, `backup`. They need no server, and speak through the store alone.

use std::sync::Arc;

use super::args::{BackupArgs, MigrateArgs, MigrateWhat};
use super::{CliError, out};
use crate::config;
use crate::store::{self, Location};
use crate::tasks::TaskTypes;

/// `ordain migrate`.
pub fn migrate(args: &MigrateArgs, tasks: Arc<TaskTypes>) -> Result<(), CliError> {
    let location = config::load(args.database.config.as_deref(), &args.database, tasks)?.location;
    if args.what == MigrateWhat::Up {
        // Taking the database is what brings its schema up to date; a server that runs on it is in the way.
        drop(store::open(&location, 1)?);
    }
    let versions = store::schema_versions(&location)?;
    for version in &versions.applied {
        let known = if versions.unknown.contains(version) { "applied by a newer ordain" } else { "applied" };
        out::line(format!("{version}  {known}"))?;
    }
    for version in &versions.pending {
        out::line(format!("{version}  pending"))?;
    }
    match versions.unknown.last() {
        None => Ok(()),
        Some(newer) => Err(CliError::Refused(format!(
            "{} was written by a newer ordain (schema {newer}); this one does not change it",
            location.shown()
        ))),
    }
}

/// `ordain backup`.
pub fn backup(args: &BackupArgs, tasks: Arc<TaskTypes>) -> Result<(), CliError> {
    match config::load(args.database.config.as_deref(), &args.database, tasks)?.location {
        Location::Sqlite(path) => {
            let bytes = store::backup(&path, &args.file)?;
            out::line(format!("{} written, {bytes} bytes", args.file.display()))
        }
        location @ Location::Postgres(_) => Err(CliError::Usage(format!(
            "PostgreSQL has its own tool, which is consistent while a server runs:\n  pg_dump --format=custom --file={} {}",
            args.file.display(),
            location.shown()
        ))),
    }
}
