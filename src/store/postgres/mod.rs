//! PostgreSQL: one owner at a time by a lease, one writing connection, batches sent as arrays.
//!
//! **Ownership.** The row `owner` carries an epoch and a lease in the server's time. A process becomes the owner by
//! raising the epoch, which it may do only once the lease has run out or was given back. Every commit first locks that
//! row (`FOR KEY SHARE`) under its own epoch; raising the epoch locks it `FOR UPDATE`. So a commit is either over
//! before its successor reads anything, or finds another epoch and stores nothing, however long its process slept.

mod journal;
mod keys;
mod lease;
mod open;
mod statements;

pub use keys::change_beside as change_keys_beside;
pub use open::{Address, open, open_read_only, schema_versions};
