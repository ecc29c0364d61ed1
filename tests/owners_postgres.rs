//! The suite of `owners.rs` on a real PostgreSQL.

#[path = "owners.rs"]
mod suite;
