//! The suite of `api_tasks.rs` on a real PostgreSQL.

#[path = "api_tasks.rs"]
mod suite;
