//! SQLite: one file, one writer, readers beside it (WAL), every commit on disk (`synchronous = FULL`).
//!
//! Fast by group commit and by few, small rows; never by a weaker `synchronous`.

mod backup;
mod journal;
mod keys;
mod open;
mod rows;

pub use backup::backup;
pub use keys::change_beside as change_keys_beside;
pub use open::{open, open_read_only, schema_versions};
