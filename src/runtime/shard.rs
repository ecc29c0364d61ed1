//! A shard: one arbiter, the directory of the actors that live on it, their timers, and whoever waits for them.
//!
//! An id belongs to one shard, so one instance never has two actors.

use std::cell::RefCell;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, SpawnHandle, Supervisor};

use super::actor::{Load, WorkflowActor};
use super::admission::{Kind, Step};
use super::command::EngineError;
use super::envelope::{Envelope, Work};
use super::local::{Card, Local, NEAR_MS};
use super::messages::{
    Acks, Ask, Beyond, CallAgain, CallEnd, CallEnds, Committed, Deliver, Flush, Look, Pools, Query, Rearm, Rest,
    Vacant, Wake,
};
use super::pool::Run;
use super::shared::SharedRef;
use crate::kernel::{ActivityCall, Input};
use crate::model::{Name, Timestamp, WorkflowId};

/// After how long a timer that finds no room is looked at again, in ms.
const LOOK_AGAIN_MS: u64 = 20;

pub(super) struct Entry {
    addr: Addr<WorkflowActor>,
    pub(super) card: Rc<Card>,
}

pub(super) struct Shard {
    shared: SharedRef,
    pub(super) index: usize,
    pub(super) directory: HashMap<WorkflowId, Entry>,
    pub(super) local: Option<Rc<Local>>,
    alarm: Option<SpawnHandle>,
}

impl Shard {
    pub fn new(shared: SharedRef, index: usize) -> Self {
        let directory = HashMap::new();
        Self { shared, index, directory, local: None, alarm: None }
    }

    fn local(&mut self, ctx: &Context<Self>) -> Rc<Local> {
        let make = || Rc::new(Local::new(self.shared.clone(), self.index, ctx.address()));
        Rc::clone(self.local.get_or_insert_with(make))
    }

    fn is_full(&self) -> bool {
        self.shared.live.load(Ordering::Relaxed) >= self.shared.options.live_max
    }

    /// The actor of an id, brought to life if need be.
    fn actor(&mut self, id: &WorkflowId, load: Load, ctx: &Context<Self>) -> &Entry {
        let local = self.local(ctx);
        match self.directory.entry(id.clone()) {
            MapEntry::Occupied(entry) => entry.into_mut(),
            MapEntry::Vacant(entry) => {
                self.shared.live.fetch_add(1, Ordering::Relaxed);
                local.meter.started.increment(1);
                let card = Rc::new(Card::default());
                let actor = WorkflowActor::new(id.clone(), local, Rc::clone(&card), load);
                entry.insert(Entry { addr: Supervisor::start(|_| actor), card })
            }
        }
    }

    fn deliver(&mut self, id: &WorkflowId, load: Load, envelope: Envelope, ctx: &Context<Self>) {
        let high = &self.shared.clone().mailbox_high;
        let entry = self.actor(id, load, ctx);
        let depth = entry.card.depth.get() + 1;
        entry.card.depth.set(depth);
        entry.card.idle.set(false);
        if depth > high.load(Ordering::Relaxed) {
            high.fetch_max(depth, Ordering::Relaxed);
        }
        entry.addr.do_send(Deliver(envelope));
        self.local(ctx).meter.depth.record(depth as f64);
    }

    fn input(&mut self, root: &WorkflowId, to: WorkflowId, input: Input, step: Step, ctx: &Context<Self>) {
        let envelope = Envelope::new(Work::Input { to, input }, None, step);
        self.deliver(root, Load::FromStore, envelope, ctx);
    }

    fn remove(&mut self, id: &WorkflowId) {
        if self.directory.remove(id).is_some() {
            self.shared.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Lets idle actors go. A timer that is not near is left to SQL.
    fn passivate(&mut self, now: Timestamp, local: &Local) {
        while let Some(id) = pop_due(&local.linger, now) {
            let Some(entry) = self.directory.get(&id) else { continue };
            entry.card.lingering.set(false);
            if entry.card.idle.get() && entry.card.depth.get() == 0 {
                local.meter.passivated.increment(1);
                if let Some(at) = entry.card.timer.get().filter(|at| *at > now.plus_ms(NEAR_MS)) {
                    local.timers.borrow_mut().remove(&(at, id.clone()));
                    self.shared.far_timer.note(at);
                }
                self.remove(&id);
            }
        }
    }

    /// Wakes those whose timer is due, and sets the alarm for the next.
    fn look_at_timers(&mut self, ctx: &mut Context<Self>) {
        let local = self.local(ctx);
        let now = self.shared.now();
        if self.shared.is_draining() {
            return;
        }
        self.passivate(now, &local);
        let mut full = false;
        loop {
            let first = local.timers.borrow().first().cloned();
            let Some((at, id)) = first.filter(|(at, _)| *at <= now) else { break };
            if !self.shared.admits(Kind::Timer) || !self.directory.contains_key(&id) && self.is_full() {
                full = true;
                break;
            }
            local.timers.borrow_mut().remove(&(at, id.clone()));
            self.input(&id, id.clone(), Input::Tick, Step::begin(&self.shared), ctx);
            if let Some(entry) = self.directory.get(&id) {
                entry.card.timer.set(None);
            }
        }
        let timer = local.timers.borrow().first().map(|(at, _)| *at);
        let timer = if full { Some(now.plus_ms(LOOK_AGAIN_MS)) } else { timer };
        let linger = local.linger.borrow().front().map(|(at, _)| *at);
        let next = timer.into_iter().chain(linger).min();
        if let Some(old) = self.alarm.take() {
            ctx.cancel_future(old);
        }
        local.armed_for.set(next.unwrap_or(Timestamp(i64::MAX)));
        self.alarm = next.map(|at| {
            // A timer may not fire early: its instant is compared in whole ms.
            let wait = Duration::from_millis(at.ms_since(now).clamp(1, 3_600_000));
            ctx.run_later(wait, Self::alarm)
        });
    }

    fn alarm(&mut self, ctx: &mut Context<Self>) {
        self.alarm = None;
        self.look_at_timers(ctx);
    }
}

fn pop_due(linger: &RefCell<VecDeque<(Timestamp, WorkflowId)>>, now: Timestamp) -> Option<WorkflowId> {
    let mut linger = linger.borrow_mut();
    if linger.front().is_some_and(|(at, _)| *at <= now) { linger.pop_front().map(|(_, id)| id) } else { None }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounds `try_send`, by which requests come in; acknowledgements and results are bounded by what was sent out.
        ctx.set_mailbox_capacity(self.shared.options.shard_mailbox_max);
    }
}

impl Handler<Ask> for Shard {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        let id = ask.command.id.clone();
        let refused = match self.directory.get(&id) {
            Some(entry) if entry.card.depth.get() >= self.shared.options.mailbox_max => Some("mailbox"),
            None if self.is_full() => Some("live orders"),
            _ => None,
        };
        if let Some(what) = refused {
            let _gone = ask.reply.send(Err(EngineError::Overloaded { what, retry_after_s: 1 }));
            return;
        }
        let load = Load::for_action(&ask.command.action);
        let envelope = Envelope::new(Work::Command(Box::new(ask.command)), Some(ask.reply), ask.step);
        self.deliver(&id, load, envelope, ctx);
    }
}

impl Handler<Query> for Shard {
    type Result = ();

    fn handle(&mut self, query: Query, ctx: &mut Self::Context) {
        if let Some(watch) = query.watch {
            self.local(ctx).watch(&query.id, watch);
        }
        match self.directory.get(&query.id) {
            Some(entry) => entry.addr.do_send(Look(query.reply)),
            None => {
                let _gone = query.reply.send(None);
            }
        }
    }
}

impl Handler<Acks> for Shard {
    type Result = ();

    fn handle(&mut self, acks: Acks, _: &mut Self::Context) {
        for ack in acks.0 {
            if let Some(entry) = self.directory.get(&ack.id) {
                entry.addr.do_send(Committed { token: ack.token, result: ack.result });
            }
        }
    }
}

impl Handler<CallEnds> for Shard {
    type Result = ();

    fn handle(&mut self, ends: CallEnds, ctx: &mut Self::Context) {
        for CallEnd { workflow_id, activity, attempt, outcome, step } in ends.0 {
            let root = WorkflowId::new(workflow_id.root());
            let input = match outcome {
                Ok(result) => Input::ActivityCompleted { activity, attempt, result },
                Err(failure) => Input::ActivityFailed { activity, attempt, failure },
            };
            self.input(&root, workflow_id, input, step, ctx);
        }
    }
}

impl Handler<Beyond> for Shard {
    type Result = ();

    fn handle(&mut self, beyond: Beyond, ctx: &mut Self::Context) {
        match beyond {
            Beyond::Waits(id) => {
                let root = WorkflowId::new(id.root());
                if let Some(entry) = self.directory.get(&root) {
                    entry.card.beyond.set(true);
                    entry.addr.do_send(Rest);
                }
            }
            Beyond::Again(id) => {
                let root = WorkflowId::new(id.root());
                match self.directory.get(&root) {
                    Some(entry) => {
                        entry.card.beyond.set(false);
                        entry.addr.do_send(CallAgain);
                    }
                    // One that was let go makes its outstanding calls when it is brought back. The input keeps it
                    // until it could be read.
                    None => self.input(&root, root.clone(), Input::Tick, Step::begin(&self.shared), ctx),
                }
            }
        }
    }
}

impl Handler<Wake> for Shard {
    type Result = ();

    fn handle(&mut self, wake: Wake, ctx: &mut Self::Context) {
        for family in wake.now {
            let Some(root) = family.first().map(|row| row.id.clone()) else { continue };
            if !self.directory.contains_key(&root) {
                let step = Step::begin(&self.shared);
                let envelope = Envelope::new(Work::Input { to: root.clone(), input: Input::Tick }, None, step);
                self.deliver(&root, Load::From(family), envelope, ctx);
            }
        }
        if !wake.soon.is_empty() {
            let local = self.local(ctx);
            for (at, id) in wake.soon {
                local.wake_at(at, &id);
            }
        }
    }
}

impl Handler<Pools> for Shard {
    type Result = ();

    fn handle(&mut self, pools: Pools, ctx: &mut Self::Context) {
        self.local(ctx).set_pools(pools.0, pools.1);
    }
}

impl Handler<Flush> for Shard {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        let local = self.local(ctx);
        local.flush_due.set(false);
        let mut by_queue: BTreeMap<Name, Vec<ActivityCall>> = BTreeMap::new();
        for call in local.calls.take() {
            by_queue.entry(call.queue.clone()).or_default().push(call);
        }
        for (queue, calls) in by_queue {
            if let Some(pool) = local.pool(&queue) {
                pool.do_send(Run { shard: self.index, calls });
            }
        }
    }
}

impl Handler<Rearm> for Shard {
    type Result = ();

    fn handle(&mut self, _: Rearm, ctx: &mut Self::Context) {
        self.look_at_timers(ctx);
    }
}

impl Handler<Vacant> for Shard {
    type Result = ();

    fn handle(&mut self, vacant: Vacant, _: &mut Self::Context) {
        if self.directory.get(&vacant.0).is_some_and(|e| e.card.idle.get() && e.card.depth.get() == 0) {
            self.remove(&vacant.0);
        }
    }
}
