//! The suite of `keys.rs` on a real PostgreSQL.

#[path = "keys.rs"]
mod suite;
