//! The suite of `sign_in.rs` on a real PostgreSQL.

#[path = "sign_in.rs"]
mod suite;
