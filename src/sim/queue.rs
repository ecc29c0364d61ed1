//! What is going to happen, by virtual time; of the same instant, in the order it was decided on.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use serde_json::Value;

use super::people::Command;
use crate::kernel::ActivityCall;
use crate::model::{Failure, Name, WorkflowId};

/// An order of a story, by its place in it.
pub(super) type Life = usize;

#[derive(Debug)]
pub(super) enum Event {
    Start(Life),
    Command(Life, Command),
    Tick {
        life: Life,
        epoch: u64,
        round: u64,
    },
    /// A request reaches the outside world; the process that sent it may be gone.
    Effect {
        life: Life,
        epoch: u64,
        call: Box<ActivityCall>,
        refuse: Option<Failure>,
        answers: Vec<u64>,
    },
    Reply {
        life: Life,
        epoch: u64,
        to: WorkflowId,
        activity: Name,
        attempt: u32,
        result: Result<Value, Failure>,
    },
    Crash,
    Restart,
    ClockJump,
    /// The storm is over; operators look after what waits for them, again and again.
    Rounds,
}

struct Entry {
    at: u64,
    turn: u64,
    event: Event,
}

#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    turn: u64,
}

impl Queue {
    pub fn push(&mut self, at: u64, event: Event) {
        self.turn += 1;
        self.heap.push(Reverse(Entry { at, turn: self.turn, event }));
    }

    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.turn).cmp(&(other.at, other.turn))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
