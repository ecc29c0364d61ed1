//! What the databases' errors mean for the callers of the store.

use diesel::result::{DatabaseErrorKind, Error};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        classify(error)
    }
}

/// Sorts an error: may it be tried again, or does the schema refuse it?
pub fn classify(error: Error) -> StoreError {
    let text = error.to_string();
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation,
            _,
        ) => StoreError::Refused(text),
        // A row that must be there is not.
        Error::NotFound => StoreError::Refused(text),
        Error::DeserializationError(_) => StoreError::Corrupt(text),
        _ if text.contains("malformed") || text.contains("not a database") => StoreError::Corrupt(text),
        _ if text.contains("append-only") => StoreError::Refused(text),
        // Locked, full, I/O error, read-only: all may pass.
        _ => StoreError::Unavailable(text),
    }
}
