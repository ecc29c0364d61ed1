//! The third host: time, disk, people and the outside world are make-believe, the kernel and the workflows are real.
//!
//! One seed tells one story: a process with a few orders, an outside world that fails and lies, people who send
//! signals at any instant, crashes of the process that lose all that was not committed. After every step it is checked
//! what must hold; a [`Violation`] carries the seed and the story. No I/O, no clock, no threads.

pub mod checks;
mod fate;
mod host;
mod journal;
mod people;
mod plan;
mod planted;
mod queue;
mod rng;
mod shrink;
mod store;
mod story;
mod world;

use std::fmt;

use serde::Serialize;

pub use plan::{NoPlan, Plan};
pub use planted::{BUGS, Bug, NoSuchBug};
pub use rng::Rng;
pub use shrink::{Shrunk, shrink};
pub use store::{Batch, Row, Store};
pub use world::{Account, Reply, World};

/// How a simulation ended in which all held that must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Orders that lived to their end.
    pub lives: u64,
    /// Things that happened: inputs, calls that reached the world, commits, deaths of the process.
    pub steps: u64,
    /// Facts that were stored.
    pub facts: u64,
    /// Times the process died.
    pub crashes: u64,
    /// How many orders ended in each state: completed, cancelled, failed, timed out.
    pub ends: [u64; 4],
    /// A hash of everything stored, in order: the same seed and plan give the same.
    pub trace_hash: u64,
}

/// Something that must always hold did not.
#[derive(Debug, Clone)]
pub struct Violation {
    pub seed: u64,
    pub step: u64,
    pub what: String,
    /// All that happened up to it, a line each.
    pub story: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        write!(f, "seed {}, step {}: {}", self.seed, self.step, self.what)
    }
}

impl std::error::Error for Violation {}

impl Outcome {
    /// Adds another story's. The hash is of both, in whatever order they come.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.steps += other.steps;
        self.facts += other.facts;
        self.crashes += other.crashes;
        self.ends.iter_mut().zip(other.ends).for_each(|(mine, other)| *mine += other);
        self.trace_hash ^= other.trace_hash;
    }
}

/// Lives through one story. Deterministic: nothing but the seed, the plan and the bug that is planted goes in.
///
/// # Errors
/// The [`Violation`], where something that must always hold does not.
pub fn run(seed: u64, plan: &Plan, bug: Option<Bug>) -> Result<Outcome, Box<Violation>> {
    // The story is told only where there is something to tell: the second time it goes exactly as the first.
    host::Host::new(seed, plan, bug, false).run().or_else(|_| host::Host::new(seed, plan, bug, true).run())
}
