//! What is going to happen, by virtual time; of the same instant, in the order it was decided on.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;

use super::host::Answer;
use super::people::Command;
use crate::kernel::ActivityCall;
use crate::model::Failure;

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
        request: Box<Request>,
    },
    Reply {
        life: Life,
        epoch: u64,
        answer: Box<Answer>,
    },
    /// The commit that is under way comes to its end.
    Committed {
        epoch: u64,
    },
    Crash,
    Restart,
    /// The recovery of the process has come to this order.
    Recover {
        life: Life,
        epoch: u64,
    },
    ClockJump,
    /// The storm is over; operators look after what waits for them, again and again.
    Rounds,
}

#[derive(Debug)]
pub(super) struct Request {
    pub call: ActivityCall,
    /// What the outside world has against it.
    pub refuse: Option<Failure>,
    /// When its answers arrive.
    pub answers: Vec<u64>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(life) => write!(f, "o-{} is placed", life + 1),
            Self::Command(life, command) => write!(f, "o-{} is sent {command:?}", life + 1),
            Self::Tick { life, .. } => write!(f, "o-{}: its alarm rings", life + 1),
            Self::Effect { request, .. } => {
                let Request { call, refuse, .. } = request.as_ref();
                let does = if refuse.is_some() { "turns down" } else { "is asked for" };
                let (id, activity, key) = (&call.workflow_id, &call.activity, &call.idempotency_key);
                write!(f, "the world {does} {activity} of {id}, attempt {}, key {key}", call.attempt)
            }
            Self::Reply { answer, .. } => {
                let Answer { to, activity, attempt, result } = answer.as_ref();
                match result {
                    Ok(_) => write!(f, "{to}: {activity} {attempt} is done"),
                    Err(failure) => write!(f, "{to}: {activity} {attempt} failed: {}", failure.kind.as_str()),
                }
            }
            Self::Committed { epoch } => write!(f, "a commit of process {epoch} ends"),
            Self::Crash => f.write_str("a crash"),
            Self::Restart => f.write_str("a new process"),
            Self::Recover { life, .. } => write!(f, "recovery looks at o-{}", life + 1),
            Self::ClockJump => f.write_str("the wall clock jumps"),
            Self::Rounds => f.write_str("operators look at what waits for them"),
        }
    }
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

    /// Whether people are still going to do something.
    pub fn holds_people(&self) -> bool {
        self.heap.iter().any(|Reverse(entry)| matches!(entry.event, Event::Start(_) | Event::Command(..)))
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
