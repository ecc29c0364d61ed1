//! SQLite: one file, one writer, readers beside it (WAL), every commit on disk (`synchronous = FULL`).
//!
//! Fast by group commit and by few, small rows; never by a weaker `synchronous`.

mod journal;
mod open;

pub use open::{open, open_read_only};
