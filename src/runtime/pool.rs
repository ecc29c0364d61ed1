//! A task queue and its workers: calls of activities, a bounded number at once, on an arbiter of their own.
//!
//! What waits here is on disk already. The queue is a window: beyond it only a note is kept of who waits, and the
//! call is asked for again when there is room.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};
use futures_util::FutureExt;
use futures_util::task::noop_waker_ref;
use serde_json::Value;

use super::messages::{Beyond, CallEnd, CallEnds};
use super::meters::QueueMeter;
use super::shared::SharedRef;
use super::{QueueOptions, options};
use crate::activities::Activities;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind, Name, RunId, Trace, WorkflowId};

/// Calls to make, from one shard.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Run {
    pub shard: usize,
    pub calls: Vec<ActivityCall>,
}

/// Answer the calls that have ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

/// Stop: calls under way are dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

pub(super) struct Pool {
    options: QueueOptions,
    activities: Activities,
    shared: SharedRef,
    shards: Vec<(Recipient<CallEnds>, Recipient<Beyond>)>,
    waiting: VecDeque<Job>,
    /// Who waits beyond the window.
    beyond: VecDeque<(usize, WorkflowId)>,
    running: usize,
    ended: Vec<Vec<CallEnd>>,
    flush_due: bool,
    /// How many of them were asked to hand their call in again and have not yet.
    asked: usize,
    in_flight: HashSet<(WorkflowId, Name, u32)>,
    meter: QueueMeter,
}

struct Job {
    shard: usize,
    call: ActivityCall,
    queued: Instant,
}

type Outcome = Result<Value, Failure>;
type Call = Pin<Box<dyn Future<Output = Outcome>>>;

impl Pool {
    pub fn new(
        name: Name,
        activities: Activities,
        shared: SharedRef,
        shards: Vec<(Recipient<CallEnds>, Recipient<Beyond>)>,
    ) -> Self {
        let options = options::queue(&shared.options, &name);
        let ended = shards.iter().map(|_| Vec::new()).collect();
        let meter = QueueMeter::new(&name, options.concurrency, &shared.queues);
        Self {
            options,
            activities,
            shared,
            shards,
            waiting: VecDeque::new(),
            beyond: VecDeque::new(),
            running: 0,
            ended,
            flush_due: false,
            asked: 0,
            in_flight: HashSet::new(),
            meter,
        }
    }

    fn take(&mut self, job: Job, ctx: &mut Context<Self>) {
        if self.running < self.options.concurrency {
            self.start(job, ctx);
        } else if self.waiting.len() < self.options.window {
            self.waiting.push_back(job);
        } else {
            let (shard, id) = (job.shard, job.call.workflow_id);
            self.shards[shard].1.do_send(Beyond::Waits(id.clone()));
            self.beyond.push_back((shard, id));
        }
    }

    fn start(&mut self, job: Job, ctx: &mut Context<Self>) {
        if self.shared.is_draining() {
            // It is on disk; the next process makes the call.
            return;
        }
        let Job { shard, call, queued } = job;
        // The same attempt is not made twice at once, as it could be after a recovery within the process.
        let id = (call.workflow_id.clone(), call.activity.clone(), call.attempt);
        if !self.in_flight.insert(id) {
            return;
        }
        self.meter.waited(queued);
        let head = Head::of(shard, &call);
        let timeout = Duration::from_millis(call.timeout_ms);
        let mut future = self.future(call);
        // Most simulated calls are ready at once: no task is spawned for them.
        match future.as_mut().poll(&mut TaskContext::from_waker(noop_waker_ref())) {
            Poll::Ready(outcome) => self.end(head, outcome, ctx),
            Poll::Pending => {
                self.running += 1;
                self.shared.running.fetch_add(1, Ordering::Relaxed);
                let (addr, shared) = (ctx.address(), self.shared.clone());
                actix::spawn(async move {
                    let timed_out = |_| {
                        let message = format!("no answer within {} ms", timeout.as_millis());
                        Err(Failure::new(FailureKind::Timeout, message))
                    };
                    let outcome = actix_rt::time::timeout(timeout, future).await.unwrap_or_else(timed_out);
                    shared.running.fetch_sub(1, Ordering::Relaxed);
                    addr.do_send(Ended { head, outcome });
                });
            }
        }
    }

    fn future(&self, call: ActivityCall) -> Call {
        let Some(activity) = self.activities.get(&call.activity) else {
            let message = format!("no activity {:?} is registered", call.activity);
            return Box::pin(std::future::ready(Err(Failure::new(FailureKind::Error, message))));
        };
        // Both making the future and polling it run the activity's code.
        let future = match std::panic::catch_unwind(AssertUnwindSafe(|| activity.call(call))) {
            Ok(future) => future,
            Err(panic) => return Box::pin(std::future::ready(Err(panicked(panic.as_ref())))),
        };
        Box::pin(AssertUnwindSafe(future).catch_unwind().map(|outcome| match outcome {
            Ok(outcome) => outcome,
            Err(panic) => Err(panicked(panic.as_ref())),
        }))
    }

    fn end(&mut self, head: Head, outcome: Outcome, ctx: &mut Context<Self>) {
        self.in_flight.remove(&(head.workflow_id.clone(), head.activity.clone(), head.attempt));
        let kind = outcome.as_ref().err().map_or("none", |failure| failure.kind.as_str());
        tracing::debug!(
            order_id = head.workflow_id.root(), workflow_id = %head.workflow_id, run_id = %head.run_id, seq = head.seq,
            activity = %head.activity, attempt = head.attempt, trace_id = %head.trace.id(),
            span_id = %head.trace.span_id(), parent_span_id = head.trace.around_id().map(tracing::field::display),
            failure = kind, ms = head.began.elapsed().as_millis() as u64,
            why = outcome.as_ref().err().map(|failure| failure.message.as_str()),
            "an attempt has ended"
        );
        self.meter.attempt(&head.activity, kind, head.began.elapsed());
        let Head { shard, workflow_id, activity, attempt, .. } = head;
        self.ended[shard].push(CallEnd { workflow_id, activity, attempt, outcome });
        if !self.flush_due {
            self.flush_due = true;
            ctx.address().do_send(Flush);
        }
    }

    /// Starts what waits, and asks for what waits beyond the window.
    fn refill(&mut self, ctx: &mut Context<Self>) {
        while self.running < self.options.concurrency
            && let Some(job) = self.waiting.pop_front()
        {
            self.start(job, ctx);
        }
        if self.running == 0 && self.waiting.is_empty() {
            // Some that were asked have ended meanwhile and will never answer.
            self.asked = 0;
        }
        while self.waiting.len() + self.asked < self.options.window.div_ceil(2)
            && let Some((shard, id)) = self.beyond.pop_front()
        {
            self.asked += 1;
            self.shards[shard].1.do_send(Beyond::Again(id));
        }
        let oldest = self.waiting.front().map(|job| job.queued);
        self.meter.level(self.running, self.waiting.len() + self.beyond.len(), oldest);
    }
}

/// What identifies a call when it ends.
struct Head {
    shard: usize,
    workflow_id: WorkflowId,
    run_id: RunId,
    seq: u64,
    activity: Name,
    attempt: u32,
    trace: Trace,
    began: Instant,
}

impl Head {
    fn of(shard: usize, call: &ActivityCall) -> Self {
        let (workflow_id, activity) = (call.workflow_id.clone(), call.activity.clone());
        let (run_id, seq, attempt) = (call.run_id, call.seq, call.attempt);
        Self { shard, workflow_id, run_id, seq, activity, attempt, trace: call.trace, began: Instant::now() }
    }
}

/// A call that did not end at once has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Ended {
    head: Head,
    outcome: Outcome,
}

pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::new(FailureKind::Panic, panic_message(panic))
}

/// The words of a panic.
pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked").chars().take(500).collect()
}

impl Actor for Pool {
    type Context = Context<Self>;
}

impl Handler<Run> for Pool {
    type Result = ();

    fn handle(&mut self, run: Run, ctx: &mut Self::Context) {
        for call in run.calls {
            self.asked = self.asked.saturating_sub(1);
            self.take(Job { shard: run.shard, call, queued: Instant::now() }, ctx);
        }
        self.refill(ctx);
    }
}

impl Handler<Ended> for Pool {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Self::Context) {
        self.running -= 1;
        self.end(ended.head, ended.outcome, ctx);
        self.refill(ctx);
    }
}

impl Handler<Flush> for Pool {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.flush_due = false;
        for (shard, ended) in self.shards.iter().zip(&mut self.ended) {
            if !ended.is_empty() {
                shard.0.do_send(CallEnds(std::mem::take(ended)));
            }
        }
    }
}

impl Handler<Stop> for Pool {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
