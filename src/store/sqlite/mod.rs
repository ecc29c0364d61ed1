//! SQLite: one file, one writer, readers beside it (WAL), every commit on disk (`synchronous = FULL`).
//!
//! Fast by group commit and by few, small rows; never by a weaker `synchronous`.

mod error;
mod events;
mod journal;
mod list;
mod open;
mod queries;
mod schema;

pub use open::{open, open_read_only};
