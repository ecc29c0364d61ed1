//! The suite of `invoice_import.rs` on a real PostgreSQL.

#[path = "invoice_import.rs"]
mod suite;
