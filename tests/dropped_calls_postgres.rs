//! The suite of `dropped_calls.rs` on a real PostgreSQL.

#[path = "dropped_calls.rs"]
mod suite;
