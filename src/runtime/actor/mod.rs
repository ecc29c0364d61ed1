//! The actor of one live workflow and its children: one input at a time; decide, make durable, only then apply.
//!
//! A panic of workflow code is caught, the state is dropped, the supervisor restarts the actor on the same mailbox,
//! and it is rebuilt from SQL. Memory never runs ahead of disk: a step that is not committed is discarded.

mod commit;
mod handlers;
mod trail;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde_json::json;

use super::admission::Step;
use super::census::Crash;
use super::command::{Action, Answer, Command, EngineError};
use super::envelope::{Envelope, Work};
use super::live::document;
use super::local::{Card, Local};
use super::pool::panic_message;
use crate::access::Owner;
use crate::kernel::{ActivityCall, Commit, Family, Input, Live, Rejection, START_AGAIN, Stepped};
use crate::model::{RunId, TraceId, WorkflowId};
use crate::store::{StoreError, StoredWorkflow};
use trail::Trail;

/// Where a new actor has its state from.
pub(super) enum Load {
    /// It is probably new: the journal will say if it is not.
    Fresh,
    FromStore,
    From(Vec<StoredWorkflow>),
}

impl Load {
    pub fn for_action(action: &Action) -> Self {
        match action {
            Action::Start { .. } => Self::Fresh,
            Action::Signal { .. } | Action::Report { .. } | Action::Pause | Action::Resume | Action::Retry => {
                Self::FromStore
            }
        }
    }
}

/// The code of a start whose id is that of something else.
const ID_IN_USE: &str = "id_in_use";

/// How long an actor waits before it tries the store again, in ms.
const STORE_RETRY_MS: u64 = 250;

enum Phase {
    Idle,
    Loading,
    /// A commit is on its way; see `in_flight`.
    Committing,
    /// The store was away; it is tried again soon.
    Resting,
}

struct InFlight {
    token: u64,
    envelope: Envelope,
    next: Option<Family>,
    /// Whose it is from then on.
    owner: Option<Owner>,
    calls: Vec<ActivityCall>,
    trail: Trail,
    /// What is answered once it is durable.
    outcome: Result<Answer, Rejection>,
}

pub(super) struct WorkflowActor {
    id: WorkflowId,
    local: Rc<Local>,
    card: Rc<Card>,
    family: Option<Family>,
    /// Whose the family is, where there is one.
    owner: Option<Owner>,
    /// Whether the absence of a family was read from the store.
    absent: bool,
    load: Option<Load>,
    pending: VecDeque<Envelope>,
    phase: Phase,
    in_flight: Option<InFlight>,
    /// Since the last commit.
    panics: u32,
    last_panic: String,
    restarts: u32,
    refusals: u32,
    /// Of the root as it was last seen; for logs.
    known: Option<Known>,
}

/// What the lines of an order are joined by.
#[derive(Clone, Copy)]
struct Known {
    run_id: RunId,
    seq: u64,
    trace_id: TraceId,
}

/// What an input comes to.
enum Computed {
    Step(Stepped),
    Rejected(Rejection),
    NotFound,
    /// The store must be read first.
    Unread,
}

impl WorkflowActor {
    pub fn new(id: WorkflowId, local: Rc<Local>, card: Rc<Card>, load: Load) -> Self {
        Self {
            id,
            local,
            card,
            family: None,
            owner: None,
            absent: false,
            load: Some(load),
            pending: VecDeque::new(),
            phase: Phase::Idle,
            in_flight: None,
            panics: 0,
            last_panic: String::new(),
            restarts: 0,
            refusals: 0,
            known: None,
        }
    }

    fn remember(&mut self) {
        let known = |family: &Family| {
            let core = family.root().machine.core();
            Known { run_id: core.run_id, seq: core.seq, trace_id: family.trace().id() }
        };
        self.known = self.family.as_ref().map(known).or(self.known);
    }

    fn begin_load(&mut self, ctx: &mut Context<Self>) {
        self.family = None;
        self.absent = false;
        self.phase = Phase::Loading;
        let (shared, id) = (self.local.shared.clone(), self.id.clone());
        let read = async move { shared.readers.read(move |q| q.family(&id)).await };
        ctx.spawn(read.into_actor(self).map(|rows, actor, ctx| actor.loaded(rows, ctx)));
    }

    fn loaded(&mut self, rows: Result<Vec<StoredWorkflow>, EngineError>, ctx: &mut Context<Self>) {
        match rows {
            Ok(rows) => self.restore(&rows, ctx),
            Err(error) => {
                tracing::debug!(order_id = %self.id, %error, "an order could not be read");
                self.give_back_commands(&error);
                self.rest(ctx);
            }
        }
    }

    /// Tells everybody who can ask again, and keeps what only the engine itself knows.
    fn give_back_commands(&mut self, error: &EngineError) {
        let (commands, inputs): (VecDeque<_>, _) =
            std::mem::take(&mut self.pending).into_iter().partition(|envelope| envelope.reply.is_some());
        self.pending = inputs;
        for envelope in commands {
            self.finish(envelope, Err(error.clone()));
        }
    }

    /// Waits a little, then goes on where it was.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Resting;
        ctx.run_later(Duration::from_millis(STORE_RETRY_MS), |actor, ctx| {
            actor.phase = Phase::Idle;
            if actor.family.is_none() && !actor.pending.is_empty() {
                actor.begin_load(ctx);
            } else {
                actor.pump(ctx);
            }
        });
    }

    fn restore(&mut self, rows: &[StoredWorkflow], ctx: &mut Context<Self>) {
        self.phase = Phase::Idle;
        let registry = &self.local.shared.registry;
        let restored = catch_unwind(AssertUnwindSafe(|| super::restore(registry, rows)));
        match restored {
            Err(panic) => return self.crashed(panic_message(panic.as_ref()), None, ctx),
            Ok(Err(error)) => {
                tracing::error!(order_id = %self.id, %error, "an order cannot be read; it is left as it is");
                let error = EngineError::Store(StoreError::Corrupt(error.to_string()));
                self.give_back_commands(&error);
                for envelope in std::mem::take(&mut self.pending) {
                    self.finish(envelope, Err(error.clone()));
                }
            }
            Ok(Ok(family)) => {
                self.absent = family.is_none();
                self.family = family;
                self.owner = rows.first().and_then(|root| root.owner.clone());
                self.remember();
                self.resume();
                // What was committed before this actor was rebuilt may not have been told to those who wait for it.
                self.show(String::new());
            }
        }
        if self.panics >= self.local.shared.options.panics_max && self.family.is_some() {
            self.panics = 0;
            self.local.meter.stuck.increment(1);
            tracing::error!(
                order_id = %self.id, run_id = self.known.map(|k| tracing::field::display(k.run_id)), seq = self.known.map(|k| k.seq),
                trace_id = self.known.map(|k| tracing::field::display(k.trace_id)), panic = %self.last_panic, "the order is stuck"
            );
            let reason = format!("its actor panicked again and again: {}", self.last_panic);
            let work = Work::Input { to: self.id.clone(), input: Input::Crashed { reason } };
            self.card.depth.set(self.card.depth.get() + 1);
            self.pending.push_front(Envelope::new(work, None, Step::begin(&self.local.shared)));
        }
        self.pump(ctx);
    }

    /// Makes the calls that are on disk without a result, and sets the timer.
    fn resume(&mut self) {
        let Some(family) = &self.family else { return };
        for call in family.outstanding() {
            self.local.call(call);
        }
        self.local.set_timer(&self.id, &self.card, family.next_timer());
    }

    fn pump(&mut self, ctx: &mut Context<Self>) {
        while matches!(self.phase, Phase::Idle)
            && let Some(envelope) = self.pending.pop_front()
        {
            self.process(envelope, ctx);
        }
        if matches!(self.phase, Phase::Idle) {
            self.consider_leaving();
        }
    }

    /// Tells the shard where nothing keeps this actor.
    fn consider_leaving(&self) {
        let Some(family) = &self.family else {
            self.card.idle.set(true);
            return self.local.vacant(&self.id);
        };
        if family.root().machine.is_terminal() && family.members().len() == 1 {
            self.card.idle.set(true);
            return self.local.vacant(&self.id);
        }
        if self.panics > 0 {
            // They are counted here; whoever is let go forgets them, and would never be found stuck.
            return self.card.idle.set(false);
        }
        let calls = family.members().iter().any(|m| {
            let core = m.machine.core();
            core.activities.keys().any(|name| core.is_running(name))
        });
        let shared = &self.local.shared;
        let soon = shared.now().plus_ms(2 * shared.options.passivate_after_ms + 1_000);
        let waits = (!calls || self.card.beyond.get()) && family.next_timer().is_none_or(|at| at > soon);
        self.card.idle.set(waits);
        if waits {
            self.local.linger(&self.id, &self.card);
        }
    }

    fn finish(&self, envelope: Envelope, result: Result<Answer, EngineError>) {
        self.card.depth.set(self.card.depth.get().saturating_sub(1));
        envelope.answer(result);
    }

    /// The status document. One that cannot be written is a bug of the workflow, and is handled as its panic.
    fn document(&self, family: &Family, mailbox: usize) -> String {
        let (restarts, waiting_for) = (self.restarts, family.waiting_for());
        let live = Live { actor: "active", mailbox, restarts, waiting_for };
        document(family, &live).unwrap_or_else(|error| std::panic::panic_any(error.to_string()))
    }

    /// Inputs that wait behind the one at hand.
    fn waiting(&self) -> usize {
        self.card.depth.get().saturating_sub(1)
    }

    fn compute(&self, work: &Work) -> Computed {
        let shared = &self.local.shared;
        let cx = shared.cx();
        let stepped = match (work, &self.family) {
            (Work::Command(command), None) => match &command.action {
                Action::Start { kind, input, .. } => {
                    let start = Family::start(kind, self.id.clone(), input, &cx);
                    start.map(|(next, commit)| Stepped::Changed { next, commit })
                }
                _ if self.absent => return Computed::NotFound,
                _ => return Computed::Unread,
            },
            (Work::Input { .. }, None) if self.absent => return Computed::NotFound,
            (Work::Input { .. }, None) => return Computed::Unread,
            (Work::Command(command), Some(_)) if !command.by.sees(self.owner.as_ref()) => match &command.action {
                // An id is one for all owners; nothing else is said of the workflow.
                Action::Start { .. } => Err(Rejection::new(ID_IN_USE, "the id is taken")),
                _ => return Computed::NotFound,
            },
            (Work::Command(command), Some(family)) if !command.is_for(family.root().machine.group()) => {
                match command.action {
                    Action::Start { .. } => {
                        Err(Rejection::new(ID_IN_USE, "the id belongs to another kind of workflow"))
                    }
                    _ => return Computed::NotFound,
                }
            }
            (Work::Command(command), Some(family)) => family.step(command.to(), &input_of(command), &cx),
            (Work::Input { to, input }, Some(family)) => family.step(to, input, &cx),
        };
        match stepped {
            Ok(stepped) => Computed::Step(stepped),
            Err(rejection) => Computed::Rejected(rejection),
        }
    }

    fn process(&mut self, mut envelope: Envelope, ctx: &mut Context<Self>) {
        if let Some(queued) = envelope.queued.take() {
            self.local.meter.wait.record(queued.elapsed().as_secs_f64());
        }
        let computed = catch_unwind(AssertUnwindSafe(|| {
            let computed = self.compute(&envelope.work);
            let answered = envelope.wants_document();
            let document = match &computed {
                Computed::Step(Stepped::Changed { next, .. }) if answered => self.document(next, self.waiting()),
                Computed::Step(Stepped::Unchanged) if answered => {
                    self.family.as_ref().map(|f| self.document(f, self.waiting())).unwrap_or_default()
                }
                _ => String::new(),
            };
            (computed, document)
        }));
        let (computed, document) = match computed {
            Ok(done) => done,
            Err(panic) => return self.crashed(panic_message(panic.as_ref()), Some(envelope), ctx),
        };
        match computed {
            Computed::Step(Stepped::Changed { next, commit }) => {
                let audited = matches!(&envelope.work, Work::Command(command) if command.by.audit.is_some());
                let outcome = Ok(Answer { changed: true, audited, document });
                self.submit(envelope, Some(next), commit, outcome, ctx);
            }
            Computed::Step(Stepped::Unchanged) => {
                self.set_later_timer();
                self.answer(envelope, Ok(Answer { changed: false, audited: false, document }), ctx);
            }
            Computed::Rejected(rejection) => self.answer(envelope, Err(rejection), ctx),
            Computed::NotFound => self.finish(envelope, Err(EngineError::NotFound)),
            Computed::Unread => {
                self.pending.push_front(envelope);
                self.begin_load(ctx);
            }
        }
    }

    /// After a tick that changed nothing. A timer that is due and yet does nothing is not set again: it would spin.
    fn set_later_timer(&self) {
        let next = self.family.as_ref().and_then(Family::next_timer);
        if self.card.timer.get().is_none() && next.is_some_and(|at| at > self.local.shared.now()) {
            self.local.set_timer(&self.id, &self.card, next);
        }
    }

    /// Answers an input that changed nothing; under an idempotency key the answer is kept first.
    fn answer(&mut self, envelope: Envelope, outcome: Result<Answer, Rejection>, ctx: &mut Context<Self>) {
        let keyed = matches!(&envelope.work, Work::Command(command) if command.idempotency.is_some());
        if keyed {
            self.submit(envelope, None, Commit::default(), outcome, ctx);
        } else {
            self.finish(envelope, outcome.map_err(EngineError::Rejected));
        }
    }

    /// Workflow code panicked: nothing it has touched is kept.
    fn crashed(&mut self, message: String, envelope: Option<Envelope>, ctx: &mut Context<Self>) {
        self.local.meter.restarted.increment(1);
        tracing::error!(
            order_id = %self.id, run_id = self.known.map(|k| tracing::field::display(k.run_id)), seq = self.known.map(|k| k.seq),
            trace_id = self.known.map(|k| tracing::field::display(k.trace_id)), panic = %message,
            "an actor panicked; it is rebuilt from SQL"
        );
        let at = self.local.shared.now();
        self.local.shared.crashes.note(Crash { order_id: self.id.clone(), at, panic: message.clone() });
        self.family = None;
        self.absent = false;
        self.panics += 1;
        self.restarts += 1;
        self.card.restarts.set(self.restarts);
        if let Some(envelope) = envelope {
            self.finish(envelope, Err(EngineError::Crashed(message.clone())));
        }
        self.last_panic = message;
        self.phase = Phase::Loading;
        ctx.stop();
    }
}

/// What a command means to an instance that exists.
fn input_of(command: &Command) -> Input {
    match &command.action {
        Action::Start { fingerprint, .. } => {
            Input::Signal { name: START_AGAIN.into(), payload: json!({ "fingerprint": fingerprint }) }
        }
        Action::Signal { name, payload } => Input::Signal { name: name.clone(), payload: payload.clone() },
        Action::Report { activity, attempt, outcome, .. } => {
            let (activity, attempt) = (activity.clone(), *attempt);
            match outcome.clone() {
                Ok(result) => Input::ActivityCompleted { activity, attempt, result },
                Err(failure) => Input::ActivityFailed { activity, attempt, failure },
            }
        }
        Action::Pause => Input::Pause,
        Action::Resume => Input::Resume,
        Action::Retry => Input::Retry,
    }
}
