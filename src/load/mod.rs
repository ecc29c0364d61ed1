//! `ordain load`: measures a server and checks afterwards, in SQL, that it kept its promises.
//!
//! A closed loop: so many orders are in flight, each one connection, from its start to the answer that says it ended.
//! The generator shares its machine with the server it measures, so it speaks HTTP itself, in preformatted bytes, and
//! reads of an answer only what it needs. Nothing here knows the insides of the server: only HTTP, `/metrics` and SQL.

mod check;
mod client;
mod crew;
mod glance;
mod life;
mod machine;
mod metrics;
mod mix;
mod options;
mod orders;
mod page;
mod plots;
mod progress;
mod report;
mod response;
mod run;
pub(crate) mod scratch;
mod series;
mod server;
mod table;
mod tally;
mod target;

pub use check::{Breach, Check};
pub use mix::{Course, Mix};
pub use options::{LoadOptions, Output};
pub use report::{Latency, Report, Retries, ServerFigures};
pub use run::run;
pub use series::{Restart, Sample, Series};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Usage(String),
    #[error("{url} is not reachable: {why}")]
    NotReachable { url: String, why: String },
    #[error("{url} is not ready after {seconds} s")]
    NotReady { url: String, seconds: u64 },
    #[error("the server under load could not be run: {0}")]
    Server(String),
    #[error("the server under load ended during the run ({status}){log}")]
    ServerDied { status: String, log: String },
    #[error("the check in SQL could not be made: {0}")]
    Check(String),
    #[error("the page of the report could not be drawn: {0}")]
    Report(String),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl LoadError {
    /// What the process says to its caller: 2 wrong usage, 3 server not reachable, 1 everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotReachable { .. } | Self::NotReady { .. } => 3,
            _ => 1,
        }
    }
}
