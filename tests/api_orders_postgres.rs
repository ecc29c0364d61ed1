//! The suite of `api_orders.rs` on a real PostgreSQL.

#[path = "api_orders.rs"]
mod suite;
