//! A task queue and its workers: calls of activities, a bounded number at once, on an arbiter of their own.
//!
//! What waits here is on disk already. The queue is a window: beyond it only a note is kept of who waits, and the
//! call is asked for again when there is room. A worker of the pool is a slot; outside workers take from the same line.

mod call;
mod handlers;
mod leases;
mod line;
mod outside;

use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Recipient, SpawnHandle};
use governor::clock::MonotonicClock;
use serde_json::Value;

use self::leases::{Leases, Pollers, Workers};
use self::line::{Job, Line, id_of};
use super::admission::Step;
use super::messages::{Beyond, CallEnd, CallEnds};
use super::meters::QueueMeter;
use super::queue::{Backoff, Ms, Permit, QueueOptions, Rate, Room, Slots, Word};
use super::shared::SharedRef;
use crate::activities::Activities;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind, Name, RunId, Trace, WorkflowId};

pub(super) use call::panic_message;
pub(super) use handlers::{Adopt, Dropped, Run, Show, Stop};
pub(super) use leases::Handed;
pub(super) use line::CallId;
pub(super) use outside::{Beat, Claim, Claimed, Poll, Settled};

/// Calls that are started in one turn of the actor, at most.
const STARTS_A_TURN: usize = 4_096;

/// After a backoff, calls at once from which on nothing is held back, where the pool itself has fewer slots: outside
/// workers come on top.
const CEILING_MIN: usize = 64;

pub(super) struct Pool {
    name: Name,
    options: QueueOptions,
    activities: Activities,
    shared: SharedRef,
    shards: Vec<(Recipient<CallEnds>, Recipient<Beyond>)>,
    began: Instant,
    line: Line,
    slots: Slots,
    rate: Rate,
    backoff: Backoff,
    /// Calls in the pool's own slots.
    running: usize,
    leases: Leases,
    pollers: Pollers,
    workers: Workers,
    ended: Vec<Vec<CallEnd>>,
    flush_due: bool,
    /// When the limits let the next call start, where one waits for that.
    gate_at: Option<Ms>,
    alarm: Option<(Ms, SpawnHandle)>,
    meter: QueueMeter,
}

pub(super) type Outcome = Result<Value, Failure>;

/// Whether the limits let a call start now. `Open` has taken one start of the rate.
enum Gate {
    Open,
    At(Ms),
    /// Something must happen first.
    Shut,
}

impl Pool {
    pub fn new(
        name: Name,
        options: QueueOptions,
        activities: Activities,
        shared: SharedRef,
        shards: Vec<(Recipient<CallEnds>, Recipient<Beyond>)>,
    ) -> Self {
        let ended = shards.iter().map(|_| Vec::new()).collect();
        let meter = QueueMeter::new(&name);
        Self {
            name,
            activities,
            shared,
            shards,
            began: Instant::now(),
            line: Line::new(options.window),
            slots: Slots::new(options.min, options.concurrency),
            rate: Rate::new(options.rate_limit, MonotonicClock),
            backoff: Backoff::default(),
            options,
            running: 0,
            leases: Leases::default(),
            pollers: Pollers::default(),
            workers: Workers::default(),
            ended,
            flush_due: false,
            gate_at: None,
            alarm: None,
            meter,
        }
    }

    fn now(&self) -> Ms {
        self.began.elapsed().as_millis() as Ms
    }

    /// Other limits are in force.
    fn adopt(&mut self, options: QueueOptions) {
        self.slots.set_bounds(options.min, options.concurrency);
        if options.rate_limit != self.options.rate_limit {
            self.rate = Rate::new(options.rate_limit, MonotonicClock);
        }
        self.options = options;
    }

    /// Asks pause, backoff and rate, in this order: only what starts for certain is counted by the rate.
    fn gate(&self, now: Ms) -> Gate {
        if self.options.paused || self.shared.is_draining() {
            return Gate::Shut;
        }
        if self.backs_off() {
            match self.backoff.room(now) {
                Room::Yes => {}
                Room::At(at) => return Gate::At(at),
                Room::Later => return Gate::Shut,
            }
        }
        match self.rate.take() {
            Ok(()) => Gate::Open,
            // Rounded up: a timer that fires early would spin.
            Err(wait) => Gate::At(now + wait.as_millis() as Ms + 1),
        }
    }

    fn backs_off(&self) -> bool {
        self.options.shared_backoff == Some(true)
    }

    fn permit(&mut self, now: Ms) -> Permit {
        self.backoff.started(now)
    }

    /// A call comes in: it starts, or it waits.
    fn take(&mut self, shard: usize, call: ActivityCall, now: Ms, ctx: &mut Context<Self>) {
        let id = id_of(&call);
        if !self.line.is_new(&id) {
            return;
        }
        let outside = self.activities.get(&call.activity).is_none();
        let job = Job { shard, call, queued: Instant::now(), outside };
        let first = !outside && !self.line.has_inside() && self.running < self.slots.limit();
        if first && matches!(self.gate(now), Gate::Open) {
            self.line.begins(id);
            return self.start(job, now, ctx);
        }
        let (shard, workflow) = (job.shard, job.call.workflow_id.clone());
        if !self.line.push(job) {
            self.shards[shard].1.do_send(Beyond::Waits(workflow));
        }
    }

    /// Starts what waits and may start, and asks for what waits beyond the window.
    fn refill(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        self.gate_at = None;
        let mut starts = 0;
        while self.running < self.slots.limit() && self.line.has_inside() && starts < STARTS_A_TURN {
            match self.gate(now) {
                Gate::Open => {}
                Gate::At(at) => {
                    self.gate_at = Some(at);
                    break;
                }
                Gate::Shut => break,
            }
            let Some(job) = self.line.next_inside() else { break };
            starts += 1;
            self.start(job, now, ctx);
        }
        if starts == STARTS_A_TURN {
            self.gate_at = Some(now);
        }
        self.hand_out(now);
        while let Some((shard, id)) = self.line.ask_again() {
            self.shards[shard].1.do_send(Beyond::Again(id));
        }
        let wants_slot = self.wants_slot();
        self.slots.adjust(now, self.running, wants_slot);
        self.arm(now, ctx);
    }

    /// Whether a call waits for nothing but a slot.
    fn wants_slot(&self) -> bool {
        self.line.has_inside() && !self.options.paused && self.gate_at.is_none() && self.running >= self.slots.limit()
    }

    /// Sets the alarm for whatever comes next by itself; nothing ticks in a pool at rest.
    fn arm(&mut self, now: Ms, ctx: &mut Context<Self>) {
        let pollers = self.pollers.look_at(now);
        let slots = self.slots.look_at(self.running, self.wants_slot());
        let Some(at) = [self.gate_at, self.leases.next(), pollers, slots].into_iter().flatten().min() else { return };
        if let Some((armed_for, handle)) = self.alarm {
            if armed_for <= at {
                return;
            }
            ctx.cancel_future(handle);
        }
        let wait = Duration::from_millis(at.saturating_sub(now).max(1));
        self.alarm = Some((at, ctx.run_later(wait, Self::rings)));
    }

    fn rings(&mut self, ctx: &mut Context<Self>) {
        self.alarm = None;
        self.expire(self.now(), ctx);
        self.refill(ctx);
    }

    /// A call has ended: its result goes to its workflow.
    fn end(&mut self, head: Head, permit: Permit, outcome: Outcome, ctx: &mut Context<Self>) {
        self.note_end(&head, permit, outcome.as_ref().err());
        let Head { shard, workflow_id, activity, attempt, .. } = head;
        let step = Step::begin(&self.shared);
        self.ended[shard].push(CallEnd { workflow_id, activity, attempt, outcome, step });
        if !self.flush_due {
            self.flush_due = true;
            ctx.address().do_send(handlers::Flush);
        }
    }

    /// What is to be done at the end of any call, whoever made it.
    fn note_end(&mut self, head: &Head, permit: Permit, failure: Option<&Failure>) {
        self.line.ended(&head.id());
        let (now, ceiling) = (self.now(), self.slots.max().max(CEILING_MIN));
        let was = self.backoff.until(now);
        self.backoff.ended(now, permit, word(failure), ceiling);
        if self.backs_off()
            && was.is_none()
            && let Some(until) = self.backoff.until(now)
        {
            tracing::warn!(queue = %self.name, ms = until - now, "told to come back later: the whole queue waits");
        }
        let kind = failure.map_or("none", |failure| failure.kind.as_str());
        tracing::debug!(
            order_id = head.workflow_id.root(), workflow_id = %head.workflow_id, run_id = %head.run_id, seq = head.seq,
            activity = %head.activity, attempt = head.attempt, trace_id = %head.trace.id(),
            span_id = %head.trace.span_id(), parent_span_id = head.trace.around_id().map(tracing::field::display),
            failure = kind, ms = head.began.elapsed().as_millis() as u64,
            why = failure.map(|failure| failure.message.as_str()), "an attempt has ended"
        );
        self.meter.attempt(&head.activity, kind, head.began.elapsed());
    }
}

/// What the end of a call says of the other side.
fn word(failure: Option<&Failure>) -> Word {
    match failure {
        None => Word::Served,
        Some(Failure { retry_after_ms: Some(ms), .. }) => Word::PushedBack { retry_after_ms: Some(*ms) },
        Some(Failure { kind: FailureKind::RateLimited, .. }) => Word::PushedBack { retry_after_ms: None },
        Some(Failure { kind: FailureKind::Validation | FailureKind::Refused, .. }) => Word::Served,
        Some(_) => Word::Nothing,
    }
}

/// What identifies a call when it ends.
pub(super) struct Head {
    pub shard: usize,
    pub workflow_id: WorkflowId,
    pub run_id: RunId,
    pub seq: u64,
    pub activity: Name,
    pub attempt: u32,
    pub trace: Trace,
    pub began: Instant,
}

impl Head {
    fn of(shard: usize, call: &ActivityCall) -> Self {
        let (workflow_id, activity) = (call.workflow_id.clone(), call.activity.clone());
        let (run_id, seq, attempt) = (call.run_id, call.seq, call.attempt);
        Self { shard, workflow_id, run_id, seq, activity, attempt, trace: call.trace, began: Instant::now() }
    }

    fn id(&self) -> CallId {
        (self.workflow_id.clone(), self.activity.clone(), self.attempt)
    }
}

impl Actor for Pool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Hundreds of outside workers speak at once; what comes from shards and calls is bounded by what was sent out.
        ctx.set_mailbox_capacity(self.shared.options.shard_mailbox_max);
    }
}
