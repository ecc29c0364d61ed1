//! A change of the API keys, with its entry in the audit: by the owner of the database, or beside it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::open::{Address, schema_versions};
use crate::access::KeyChange;
use crate::store::sql::schema::{api_keys, audit};
use crate::store::sql::{AuditRow, KeyRow};
use crate::store::{AuditEntry, OpenError, StoreError};

/// Within a transaction of the caller's. Whether there is such a key.
pub fn change(c: &mut PgConnection, change: &KeyChange, entry: Option<&AuditEntry>) -> Result<bool, StoreError> {
    let rows = match change {
        KeyChange::Create(key) => diesel::insert_into(api_keys::table).values(KeyRow::of(key)).execute(c)?,
        KeyChange::Revoke { id, at } => {
            diesel::sql_query("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $1) WHERE id = $2")
                .bind::<BigInt, _>(at.0)
                .bind::<Text, _>(id)
                .execute(c)?
        }
    };
    if let Some(entry) = entry.filter(|_| rows > 0) {
        diesel::insert_into(audit::table).values(AuditRow::of(entry)).execute(c)?;
    }
    Ok(rows > 0)
}

/// While another process owns the database. Keys concern no order, so that its epoch is not asked for.
///
/// # Errors
/// [`OpenError`] with a sentence for people.
pub fn change_beside(address: &Address, wanted: &KeyChange, entry: &AuditEntry) -> Result<bool, OpenError> {
    schema_versions(address)?.check(&address.shown)?;
    let mut c = address.first()?;
    c.transaction(|c| change(c, wanted, Some(entry))).map_err(|e| address.io(&e))
}
