//! The suite of `api_jobs.rs` on a real PostgreSQL.

#[path = "api_jobs.rs"]
mod suite;
