//! A change of the API keys, with its entry in the audit: by the owner of the database, or beside it.

use std::path::Path;

use diesel::prelude::*;

use super::open::{check_existing, writer_connection};
use crate::access::KeyChange;
use crate::store::sql::schema::{api_keys, audit};
use crate::store::sql::{AuditRow, KeyRow};
use crate::store::{AuditEntry, OpenError, StoreError};

/// Within a transaction of the caller's. Whether there is such a key.
pub fn change(c: &mut SqliteConnection, change: &KeyChange, entry: Option<&AuditEntry>) -> Result<bool, StoreError> {
    let rows = match change {
        KeyChange::Create(key) => diesel::insert_into(api_keys::table).values(KeyRow::of(key)).execute(c)?,
        KeyChange::Revoke { id, at } => {
            use api_keys::{id as of, revoked_at};
            let valid = api_keys::table.filter(of.eq(id)).filter(revoked_at.is_null());
            diesel::update(valid).set(revoked_at.eq(at.0)).execute(c)?;
            api_keys::table.filter(of.eq(id)).count().get_result::<i64>(c).map(|n| n as usize)?
        }
    };
    if let Some(entry) = entry.filter(|_| rows > 0) {
        diesel::insert_into(audit::table).values(AuditRow::of(entry)).execute(c)?;
    }
    Ok(rows > 0)
}

/// While a server runs on the file. Keys concern no order, so that its epoch is not asked for.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn change_beside(path: &Path, wanted: &KeyChange, entry: &AuditEntry) -> Result<bool, OpenError> {
    let shown = path.display().to_string();
    check_existing(path, &shown)?;
    let io = |why: String| OpenError::Io { path: shown.clone(), why };
    let mut c = writer_connection(path).map_err(|e| io(e.to_string()))?;
    c.immediate_transaction(|c| change(c, wanted, Some(entry))).map_err(|e| io(e.to_string()))
}
