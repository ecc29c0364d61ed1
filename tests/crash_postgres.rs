//! The suite of `crash.rs` on a real PostgreSQL.

#[path = "crash.rs"]
mod suite;
