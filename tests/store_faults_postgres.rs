//! The suite of `store_faults.rs` on a real PostgreSQL.

#[path = "store_faults.rs"]
mod suite;
