//! What the end-to-end tests stand on: a strict outside world with a ledger, the real server as a child process, and
//! a small client. Nothing here knows the insides of the product.
#![allow(dead_code)] // Each test uses a part of it.

pub mod browser;
pub mod client;
pub mod command;
pub mod crowd;
pub mod faults;
pub mod judge;
pub mod keys;
pub mod ledger;
pub mod line;
pub mod moments;
pub mod postgres;
pub mod promtool;
pub mod sandbox;
pub mod schemathesis;
pub mod server;
pub mod slow;
pub mod wire;
pub mod world;
