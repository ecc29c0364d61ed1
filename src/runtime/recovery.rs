//! What a start found of the life before: whether that ended by itself, what was open, which calls were handed out
//! again. For people; nothing is decided by it.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use serde::Serialize;

use super::Engine;
use super::census::ENDS;
use super::shared::Shared;
use crate::kernel::Family;
use crate::model::Timestamp;
use crate::store::{Queries, StoreError};
use crate::workflows::{order, shipping};

/// Counted while recovery goes on.
pub(super) struct Counts {
    /// The owner before did not give the database back.
    crashed: bool,
    began: Timestamp,
    orders: AtomicI64,
    others: AtomicI64,
    calls: AtomicUsize,
}

/// What a start found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// The process before ended without a word: killed, or its machine went down.
    pub after_crash: bool,
    /// When it began.
    pub began: Timestamp,
    /// Orders that had not ended; they go on where they were.
    pub orders: i64,
    /// Jobs and tasks, likewise.
    pub others: i64,
    /// Calls that were on disk without a result, and were handed out again under their keys. Counted after a crash only.
    pub calls: usize,
}

impl Counts {
    pub fn new(crashed: bool, began: Timestamp) -> Self {
        let (orders, others, calls) = (AtomicI64::new(0), AtomicI64::new(0), AtomicUsize::new(0));
        Self { crashed, began, orders, others, calls }
    }

    /// Notes what is open, before anything goes on.
    pub fn note_open(&self, (orders, others): (i64, i64)) {
        self.orders.store(orders, Ordering::Relaxed);
        self.others.store(others, Ordering::Relaxed);
    }

    /// A family was brought back to life: the calls of the life before are made again.
    pub fn note_calls(&self, family: &Family) {
        if self.crashed {
            let before = family.outstanding().iter().filter(|call| call.scheduled_at < self.began).count();
            self.calls.fetch_add(before, Ordering::Relaxed);
        }
    }
}

/// Orders that have not ended, and jobs and tasks.
pub(super) fn open(queries: &dyn Queries) -> Result<(i64, i64), StoreError> {
    let (mut orders, mut others) = (0, 0);
    for (kind, states) in queries.stats()? {
        let open: i64 = states.iter().filter(|(state, _)| !ENDS.contains(&state.as_str())).map(|(_, n)| n).sum();
        match kind.as_str() {
            order::KIND => orders += open,
            shipping::KIND => {}
            _ => others += open,
        }
    }
    Ok((orders, others))
}

impl Shared {
    fn recovery(&self) -> Recovery {
        let counts = &self.recovery;
        Recovery {
            after_crash: counts.crashed,
            began: counts.began,
            orders: counts.orders.load(Ordering::Relaxed),
            others: counts.others.load(Ordering::Relaxed),
            calls: counts.calls.load(Ordering::Relaxed),
        }
    }
}

impl Engine {
    /// What this start found; its counts stand once the engine is ready, that of the calls a moment later.
    pub fn recovery(&self) -> Recovery {
        self.inner.shared.recovery()
    }
}
