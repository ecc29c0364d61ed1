//! Attempts in the hands of outside workers: who has which, until when; and who waits for one.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Head;
use super::line::CallId;
use crate::kernel::ActivityCall;
use crate::runtime::queue::{Ms, Permit};

/// How long a lease lasts without a heartbeat, where the attempt's timeout is longer: a worker that died is noticed.
pub(super) const LEASE_MS: Ms = 10_000;
/// How long a worker counts after it was heard of.
const WORKER_SEEN_MS: Ms = 30_000;
/// Workers that are counted, and polls that wait, at most.
const WORKERS_MAX: usize = 10_000;
pub(super) const POLLERS_MAX: usize = 10_000;

/// One attempt that was handed out.
pub(super) struct Lease {
    pub id: Uuid,
    pub worker: String,
    pub head: Head,
    pub permit: Permit,
    /// Without another heartbeat it ends then.
    pub until: Ms,
    /// Whatever the heartbeats, it ends then: the attempt's timeout.
    pub last: Ms,
    pub progress: Option<Value>,
}

#[derive(Default)]
pub(super) struct Leases {
    held: HashMap<CallId, Lease>,
    by_time: BTreeSet<(Ms, CallId)>,
}

impl Leases {
    pub fn add(&mut self, id: CallId, lease: Lease) {
        self.by_time.insert((lease.until, id.clone()));
        self.held.insert(id, lease);
    }

    pub fn get(&self, id: &CallId) -> Option<&Lease> {
        self.held.get(id)
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn all(&self) -> impl Iterator<Item = &Lease> {
        self.held.values()
    }

    /// A heartbeat: the lease lasts on from now, within the attempt's timeout.
    pub fn extend(&mut self, id: &CallId, now: Ms, progress: Option<Value>) {
        if let Some(lease) = self.held.get_mut(id) {
            self.by_time.remove(&(lease.until, id.clone()));
            lease.until = (now + LEASE_MS).min(lease.last);
            lease.progress = progress.or(lease.progress.take());
            self.by_time.insert((lease.until, id.clone()));
        }
    }

    pub fn remove(&mut self, id: &CallId) -> Option<Lease> {
        let lease = self.held.remove(id)?;
        self.by_time.remove(&(lease.until, id.clone()));
        Some(lease)
    }

    /// Takes out one whose time is over.
    pub fn pop_over(&mut self, now: Ms) -> Option<(CallId, Lease)> {
        let id = self.by_time.first().filter(|(until, _)| *until <= now)?.1.clone();
        self.remove(&id).map(|lease| (id, lease))
    }

    /// When the next one's time is over.
    pub fn next(&self) -> Option<Ms> {
        self.by_time.first().map(|(until, _)| *until)
    }
}

/// An attempt, handed to an outside worker.
pub(in crate::runtime) struct Handed {
    pub call: ActivityCall,
    pub lease: Uuid,
    /// How long the lease lasts, and how long it can be made to last, in ms from now.
    pub lease_ms: Ms,
    pub last_ms: Ms,
}

/// A worker that waits for something to do.
pub(super) struct Poller {
    pub worker: String,
    /// What it does; none named: anything.
    pub activities: Vec<String>,
    pub until: Ms,
    pub reply: oneshot::Sender<Option<Handed>>,
}

#[derive(Default)]
pub(super) struct Pollers {
    waiting: VecDeque<Poller>,
    /// Nobody's time is over before this instant.
    first: Ms,
}

impl Pollers {
    /// False where too many wait already.
    pub fn push(&mut self, poller: Poller) -> bool {
        if self.waiting.len() >= POLLERS_MAX {
            self.waiting.retain(|poller| !poller.reply.is_closed());
        }
        let room = self.waiting.len() < POLLERS_MAX;
        if room {
            self.first = if self.waiting.is_empty() { poller.until } else { self.first.min(poller.until) };
            self.waiting.push_back(poller);
        }
        room
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The one that has waited longest. Those who went away are dropped; those whose time is over are told.
    pub fn pop(&mut self, now: Ms) -> Option<Poller> {
        while let Some(poller) = self.waiting.pop_front() {
            if poller.until <= now {
                let _gone = poller.reply.send(None);
            } else if !poller.reply.is_closed() {
                return Some(poller);
            }
        }
        None
    }

    /// Puts back one for whom there is nothing to do.
    pub fn put_back(&mut self, poller: Poller) {
        self.waiting.push_back(poller);
    }

    /// Tells those whose time is over. When to look again.
    pub fn look_at(&mut self, now: Ms) -> Option<Ms> {
        if now >= self.first {
            let mut first = Ms::MAX;
            for poller in std::mem::take(&mut self.waiting) {
                if poller.until <= now {
                    let _gone = poller.reply.send(None);
                } else if !poller.reply.is_closed() {
                    first = first.min(poller.until);
                    self.waiting.push_back(poller);
                }
            }
            self.first = first;
        }
        (!self.waiting.is_empty()).then_some(self.first)
    }
}

/// Outside workers that were heard of.
#[derive(Default)]
pub(super) struct Workers {
    seen: HashMap<String, Ms>,
}

impl Workers {
    pub fn saw(&mut self, worker: &str, now: Ms) {
        match self.seen.get_mut(worker) {
            Some(at) => *at = now,
            None => {
                if self.seen.len() >= WORKERS_MAX {
                    self.forget(now);
                }
                if self.seen.len() < WORKERS_MAX {
                    self.seen.insert(worker.to_owned(), now);
                }
            }
        }
    }

    fn forget(&mut self, now: Ms) {
        self.seen.retain(|_, at| *at + WORKER_SEEN_MS > now);
    }

    /// How many were heard of lately.
    pub fn count(&mut self, now: Ms) -> usize {
        self.forget(now);
        self.seen.len()
    }
}
