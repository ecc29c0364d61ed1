//! What the actors of one shard share: timers, watchers, calls that are collected. It never leaves its arbiter.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use actix::Addr;

use super::messages::{Flush, Rearm, Vacant, Watcher};
use super::meters::ShardMeter;
use super::pool::{CallId, Dropped, Pool};
use super::shard::Shard;
use super::shared::SharedRef;
use crate::kernel::ActivityCall;
use crate::model::{Name, Timestamp, WorkflowId};

/// Timers later than this many ms from now are left to SQL when their actor goes.
pub(super) const NEAR_MS: u64 = 60_000;

/// What the actors of a shard share. All of it lives on one arbiter.
pub(super) struct Local {
    pub shared: SharedRef,
    pub index: usize,
    pub meter: ShardMeter,
    pub(super) me: Addr<Shard>,
    pub(super) timers: RefCell<BTreeSet<(Timestamp, WorkflowId)>>,
    pub(super) armed_for: Cell<Timestamp>,
    watchers: RefCell<HashMap<WorkflowId, Vec<Watcher>>>,
    /// The number of watched instances at which the list is swept.
    sweep_at: Cell<usize>,
    pub(super) calls: RefCell<Vec<ActivityCall>>,
    pools: RefCell<BTreeMap<Name, Addr<Pool>>>,
    default_pool: RefCell<Option<Addr<Pool>>>,
    pub(super) flush_due: Cell<bool>,
    pub(super) linger: RefCell<VecDeque<(Timestamp, WorkflowId)>>,
    token: Cell<u64>,
}

/// What a shard and one of its actors tell each other without a message.
#[derive(Default)]
pub(super) struct Card {
    /// Inputs that were delivered and are not yet done.
    pub depth: Cell<usize>,
    /// It has nothing to do before its next timer.
    pub idle: Cell<bool>,
    /// Its outstanding call waits beyond its queue's window.
    pub beyond: Cell<bool>,
    /// It stands in the list of those that may go soon.
    pub lingering: Cell<bool>,
    /// Its next timer.
    pub timer: Cell<Option<Timestamp>>,
    /// How often it was rebuilt after a panic.
    pub restarts: Cell<u32>,
}

impl Local {
    pub fn new(shared: SharedRef, index: usize, me: Addr<Shard>) -> Self {
        Self {
            shared,
            index,
            meter: ShardMeter::new(),
            me,
            timers: RefCell::default(),
            armed_for: Cell::new(Timestamp(i64::MAX)),
            watchers: RefCell::default(),
            sweep_at: Cell::new(1_024),
            calls: RefCell::default(),
            pools: RefCell::default(),
            default_pool: RefCell::default(),
            flush_due: Cell::new(false),
            linger: RefCell::default(),
            token: Cell::new(0),
        }
    }

    pub fn next_token(&self) -> u64 {
        self.token.set(self.token.get() + 1);
        self.token.get()
    }

    /// Collects a call; all that are collected in one turn go to their pools together.
    pub fn call(&self, call: ActivityCall) {
        self.calls.borrow_mut().push(call);
        if !self.flush_due.replace(true) {
            self.me.do_send(Flush);
        }
    }

    /// Takes back a call that is not wanted any more. Its pool has the word before anybody is told of what dropped it.
    pub fn drop_call(&self, queue: &Name, id: CallId) {
        let is_it = |call: &ActivityCall| call.workflow_id == id.0 && call.activity == id.1 && call.attempt == id.2;
        let mut calls = self.calls.borrow_mut();
        if let Some(index) = calls.iter().position(is_it) {
            // It has not been handed in yet.
            calls.remove(index);
        } else if let Some(pool) = self.pool(queue) {
            pool.do_send(Dropped(id));
        }
    }

    /// The pools, once they are there.
    pub fn set_pools(&self, pools: BTreeMap<Name, Addr<Pool>>, default: Addr<Pool>) {
        self.pools.replace(pools);
        self.default_pool.replace(Some(default));
    }

    /// The pool of a queue.
    pub fn pool(&self, queue: &Name) -> Option<Addr<Pool>> {
        self.pools.borrow().get(queue).cloned().or_else(|| self.default_pool.borrow().clone())
    }

    /// Moves an actor's timer.
    pub fn set_timer(&self, id: &WorkflowId, card: &Card, next: Option<Timestamp>) {
        let before = card.timer.replace(next);
        if before == next {
            return;
        }
        if let Some(at) = before {
            self.timers.borrow_mut().remove(&(at, id.clone()));
        }
        if let Some(at) = next {
            self.wake_at(at, id);
        }
    }

    pub fn wake_at(&self, at: Timestamp, id: &WorkflowId) {
        self.timers.borrow_mut().insert((at, id.clone()));
        self.arm(at);
    }

    fn arm(&self, at: Timestamp) {
        if at < self.armed_for.get() {
            self.armed_for.set(at);
            self.me.do_send(Rearm);
        }
    }

    pub fn watch(&self, id: &WorkflowId, watch: Watcher) {
        let mut all = self.watchers.borrow_mut();
        // Whoever gave up waiting is swept out whenever the list has doubled.
        if all.len() >= self.sweep_at.get() {
            all.retain(|_, mine| mine.iter().any(|(_, reply)| !reply.is_closed()));
            self.sweep_at.set((2 * all.len()).max(1_024));
        }
        let mine = all.entry(id.clone()).or_default();
        mine.retain(|(_, reply)| !reply.is_closed());
        mine.push(watch);
    }

    /// Whether anybody waits for this instance's states.
    pub fn is_watched(&self, id: &WorkflowId) -> bool {
        let watchers = self.watchers.borrow();
        !watchers.is_empty() && watchers.contains_key(id)
    }

    /// Tells those who wait for this state.
    pub fn tell(&self, id: &WorkflowId, state: &str, terminal: bool, document: &str) {
        let mut all = self.watchers.borrow_mut();
        let Some(mine) = all.get_mut(id) else { return };
        for (until, reply) in std::mem::take(mine) {
            if until.is_met(state, terminal) {
                // Whoever went away meanwhile is not told.
                let _gone = reply.send(document.to_owned());
            } else if !reply.is_closed() {
                mine.push((until, reply));
            }
        }
        if mine.is_empty() {
            all.remove(id);
        }
    }

    /// The actor has become idle: it may go after a while.
    pub fn linger(&self, id: &WorkflowId, card: &Card) {
        if card.lingering.replace(true) {
            return;
        }
        let at = self.shared.now().plus_ms(self.shared.options.passivate_after_ms);
        self.linger.borrow_mut().push_back((at, id.clone()));
        self.arm(at);
    }

    /// The actor has nothing to keep it.
    pub fn vacant(&self, id: &WorkflowId) {
        self.me.do_send(Vacant(id.clone()));
    }
}
