//! The in-process host: shards of supervised actors over one journal.
//!
//! Everything an actor decides is handed to the journal first; only what the journal has acknowledged is applied,
//! answered and acted upon. No SQL here, and no HTTP.

mod engine;
mod options;

pub use engine::{Action, Answer, Command, Engine, EngineError, IdempotencyKey, Until};
pub use options::{Options, QueueOptions};
