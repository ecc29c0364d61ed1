//! The bench of `chaos/` on a real PostgreSQL.

#[path = "chaos/main.rs"]
mod suite;
