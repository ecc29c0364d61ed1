//! The API over real HTTP, a real SQLite file and a real outside world. Most of it runs on PostgreSQL as well:
//! `on_postgres` takes the same files.

mod bad_input;
mod dropped_calls;
mod events;
mod invoice_import;
mod jobs;
mod keys;
mod orders;
mod owners;
mod queues;
mod sign_in;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
