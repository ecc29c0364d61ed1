//! Where a database is, and how it is opened: the only room that chooses between SQLite and PostgreSQL.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AuditEntry, Queries, SchemaVersions, Store, postgres, sqlite};
use crate::access::KeyChange;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    Sqlite(std::path::PathBuf),
    /// The URL as libpq takes it.
    Postgres(String),
}

/// Why a database cannot be opened. Its file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    BadUrl(String),
    #[error("the database {path} is in use by another ordain (process {holder})")]
    InUse { path: String, holder: String },
    #[error("the database {path} cannot be reached: {why}")]
    Unreachable { path: String, why: String },
    #[error("the database {path} is locked by another program")]
    Locked { path: String },
    #[error("{path} is not an ordain database: {why}")]
    NotOurs { path: String, why: String },
    #[error("{path} was written by a newer ordain (schema {found}); this one knows schemas up to {known}")]
    Newer { path: String, found: String, known: String },
    #[error("{path} cannot be written: {why}")]
    ReadOnly { path: String, why: String },
    #[error("{path} cannot be opened: {why}")]
    Io { path: String, why: String },
}

impl OpenError {
    /// Whether it is worth waiting for: the database is away, or its owner may end. A SQLite file that is in use is
    /// not: its owner is on this machine, and starting twice is a mistake.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::InUse { path, .. } => path.starts_with("postgres"),
            _ => false,
        }
    }
}

impl Location {
    /// Reads a database URL: `sqlite://PATH`, a bare path, or `postgres://…`. A `+driver` in the scheme is dropped.
    ///
    /// # Errors
    /// [`OpenError::BadUrl`] with a sentence for people.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let bad = |why: String| Err(OpenError::BadUrl(why));
        let Some((scheme, rest)) = url.split_once("://") else {
            let plain = url.strip_prefix("sqlite:").unwrap_or(url);
            return if plain.is_empty() {
                bad("the database URL is empty".into())
            } else {
                Ok(Self::Sqlite(plain.into()))
            };
        };
        match scheme.split('+').next().unwrap_or_default() {
            "sqlite" if rest.is_empty() => {
                bad("the database URL sqlite:// lacks a path, as in sqlite://ordain.db".into())
            }
            "sqlite" => Ok(Self::Sqlite(rest.into())),
            "postgres" | "postgresql" => Ok(Self::Postgres(format!("postgresql://{rest}"))),
            "mysql" | "mariadb" => bad("MySQL is not supported; use sqlite://PATH or postgres://…".into()),
            other => {
                bad(format!("the database URL has the unknown scheme {other:?}; use sqlite://PATH or postgres://…"))
            }
        }
    }

    /// The location for people and logs: without a password.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(url) => {
                let (whole, _parameters) = url.split_once('?').unwrap_or((url, ""));
                let rest = whole.split_once("://").map_or(whole, |(_, rest)| rest);
                match rest.rsplit_once('@') {
                    Some((who, place)) => {
                        format!("postgresql://{}@{place}", who.split_once(':').map_or(who, |(name, _)| name))
                    }
                    None => format!("postgresql://{rest}"),
                }
            }
        }
    }
}

/// Opens a database for this process alone.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn open(location: &Location, readers: usize) -> Result<Store, OpenError> {
    match location {
        Location::Sqlite(path) => sqlite::open(path, readers),
        Location::Postgres(url) => postgres::open(postgres::Address::new(url, &location.shown()), readers),
    }
}

/// Opens a database for reading only, also while a server runs on it.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn open_read_only(location: &Location) -> Result<Arc<dyn Queries>, OpenError> {
    match location {
        Location::Sqlite(path) => sqlite::open_read_only(path),
        Location::Postgres(url) => postgres::open_read_only(postgres::Address::new(url, &location.shown())),
    }
}

/// Changes the API keys of a database that a server runs on, and enters that in the audit; the server takes it up within
/// seconds. Whether there is such a key.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn change_keys_beside(location: &Location, change: &KeyChange, entry: &AuditEntry) -> Result<bool, OpenError> {
    match location {
        Location::Sqlite(path) => sqlite::change_keys_beside(path, change, entry),
        Location::Postgres(url) => {
            postgres::change_keys_beside(&postgres::Address::new(url, &location.shown()), change, entry)
        }
    }
}

/// Which migrations a database has seen. Changes nothing.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn schema_versions(location: &Location) -> Result<SchemaVersions, OpenError> {
    match location {
        Location::Sqlite(path) => sqlite::schema_versions(path),
        Location::Postgres(url) => postgres::schema_versions(&postgres::Address::new(url, &location.shown())),
    }
}
