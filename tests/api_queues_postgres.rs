//! The suite of `api_queues.rs` on a real PostgreSQL.

#[path = "api_queues.rs"]
mod suite;
