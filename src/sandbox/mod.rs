//! `ordain sandbox`: the world outside as one real HTTP server, to try the product against.
//!
//! A payment gateway and a carrier that keep books and honour `Idempotency-Key` as Stripe does, an invoice portal, and
//! faults on purpose. It knows the bodies that are sent to it and nothing else of the product: no store, no engine, no
//! rules about orders. Invariant: what it answered as done is in its ledger, once for a key.

mod control;
mod faults;
mod fields;
mod file;
mod gateway;
mod ledger;
mod options;
mod portal;
mod record;
mod server;
mod world;

pub use faults::FaultMode;
pub use options::{Rate, SandboxOptions};
pub use server::listen;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Why the sandbox cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    #[error("the ledger file {0} cannot be used: {1}")]
    File(PathBuf, std::io::Error),
    #[error("the ledger file {path}, line {line}: {why}")]
    Line { path: PathBuf, line: usize, why: String },
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64))
}

/// The activities it does, each at the path of its name.
pub const ACTIVITIES: [&str; 4] = ["charge_payment", "refund_payment", "prepare_package", "dispatch_carrier"];
