//! The way of a step to disk and back: handed to the journal, then adopted or discarded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use actix::Context;

use super::trail::Trail;
use super::{InFlight, Phase, WorkflowActor};
use crate::kernel::{Commit, Family, Phase as CallPhase, Rejection};
use crate::runtime::command::{Answer, EngineError};
use crate::runtime::envelope::{Envelope, Work};
use crate::runtime::journal::Request;
use crate::runtime::outcome;
use crate::runtime::pool::panic_message;
use crate::store::{AuditEntry, Conflict, StoreError, StoredAnswer, Unit, Verdict};

/// How often an input of the engine's own is tried against a store that refuses it.
const REFUSALS_MAX: u32 = 5;

impl WorkflowActor {
    pub(super) fn submit(
        &mut self,
        envelope: Envelope,
        next: Option<Family>,
        commit: Commit,
        outcome: Result<Answer, Rejection>,
        ctx: &mut Context<Self>,
    ) {
        let shared = &self.local.shared;
        let answer = match &envelope.work {
            Work::Command(command) => command.idempotency.as_ref().map(|key| StoredAnswer {
                key: key.key.clone(),
                fingerprint: key.fingerprint.clone(),
                outcome: outcome::write(&outcome),
                at: shared.now(),
            }),
            Work::Input { .. } => None,
        };
        let trail = Trail::of(&envelope.work, self.family.as_ref(), next.as_ref(), &commit);
        let token = self.local.next_token();
        let audit = match &envelope.work {
            // An entry says what was answered; what changes nothing is answered, and entered, elsewhere.
            Work::Command(command) if next.is_some() => command.by.audit.clone(),
            _ => None,
        };
        let audit = audit.map(|entry| Box::new(AuditEntry { at: shared.now(), ..*entry }));
        let owner = match &envelope.work {
            Work::Command(command) if self.family.is_none() => command.by.owner.clone(),
            _ => self.owner.clone(),
        };
        let unit = Unit { transitions: commit.transitions, answer, owner: owner.clone(), audit };
        let request = Request { unit, shard: self.local.index, id: self.id.clone(), token };
        shared.committing.fetch_add(1, Ordering::Relaxed);
        self.in_flight = Some(InFlight { token, envelope, next, owner, calls: commit.calls, trail, outcome });
        self.phase = Phase::Committing;
        if shared.journal.append(request).is_err() {
            let full = StoreError::Unavailable("the journal's queue is full".to_owned());
            self.committed(token, Err(full), ctx);
        }
    }

    pub(super) fn committed(&mut self, token: u64, result: Result<Verdict, StoreError>, ctx: &mut Context<Self>) {
        let Some(flight) = self.in_flight.take_if(|flight| flight.token == token) else { return };
        self.local.shared.committing.fetch_sub(1, Ordering::Relaxed);
        match result {
            Ok(Verdict::Stored) => return self.adopt(flight, ctx),
            Ok(Verdict::Conflict(Conflict::WorkflowExists)) => {
                self.pending.push_front(flight.envelope);
                self.begin_load(ctx);
            }
            Ok(Verdict::Conflict(Conflict::PaymentInUse(payment))) => {
                self.phase = Phase::Idle;
                self.finish(flight.envelope, Err(EngineError::PaymentInUse(payment)));
            }
            Ok(Verdict::Conflict(Conflict::KeyUsed)) => {
                self.phase = Phase::Idle;
                self.finish(flight.envelope, Err(EngineError::AnswerExists));
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::NotOwner)) => self.not_stored(flight, error, ctx),
            Err(error @ StoreError::OutcomeUnknown(_)) => {
                // What SQL has is the truth; taking the input once more on top of it is harmless either way.
                tracing::error!(order_id = %self.id, %error, "a commit's outcome is unknown; it is read back");
                self.family = None;
                self.pending.push_front(flight.envelope);
                self.rest(ctx);
            }
            Err(error @ (StoreError::Refused(_) | StoreError::Corrupt(_))) => {
                self.local.meter.violations.increment(1);
                tracing::error!(order_id = %self.id, %error, "a transition was refused; the order is read again");
                self.family = None;
                self.refusals += 1;
                self.not_stored(flight, error, ctx);
            }
        }
        self.pump(ctx);
    }

    fn not_stored(&mut self, flight: InFlight, error: StoreError, ctx: &mut Context<Self>) {
        let own = flight.envelope.reply.is_none();
        if own && self.refusals <= REFUSALS_MAX {
            self.pending.push_front(flight.envelope);
        } else {
            self.finish(flight.envelope, Err(EngineError::Store(error)));
        }
        self.rest(ctx);
    }

    /// The commit is durable: now it is the state, is answered, and its calls are made.
    fn adopt(&mut self, flight: InFlight, ctx: &mut Context<Self>) {
        let InFlight { envelope, next, owner, calls, trail, outcome, .. } = flight;
        self.phase = Phase::Idle;
        let changed = next.is_some();
        if let Some(next) = next {
            self.drop_calls(&next, &envelope.work);
            self.family = Some(next);
            self.owner = owner;
            self.absent = false;
            (self.panics, self.refusals) = (0, 0);
            self.remember();
            trail.tell(&self.local.meter);
        }
        let document = outcome.as_ref().ok().map(|answer| answer.document.clone()).unwrap_or_default();
        self.finish(envelope, outcome.map_err(EngineError::Rejected));
        if changed {
            for call in calls {
                self.local.call(call);
            }
            let shown = catch_unwind(AssertUnwindSafe(|| self.show(document)));
            if let Err(panic) = shown {
                return self.crashed(panic_message(panic.as_ref()), None, ctx);
            }
        }
        self.pump(ctx);
    }

    /// Takes calls out of their queues that the next state wants no more, but for the one whose end `work` tells.
    fn drop_calls(&self, next: &Family, work: &Work) {
        for member in self.family.iter().flat_map(Family::members) {
            let core = member.machine.core();
            for (name, run) in core.activities.iter().filter(|(_, run)| run.phase == CallPhase::Running) {
                let after = next.members().iter().find(|other| other.key == member.key);
                let after = after.and_then(|other| other.machine.core().activities.get(name));
                let is_wanted = after.is_some_and(|after| after.attempt == run.attempt && after.phase == run.phase);
                if !is_wanted && !work.is_end_of(&core.id, name, run.attempt) {
                    self.local.drop_call(&run.queue, (core.id.clone(), name.clone(), run.attempt));
                }
            }
        }
    }

    /// Sets the timer of the new state and tells those who wait for it.
    pub(super) fn show(&self, document: String) {
        let Some(family) = &self.family else { return };
        self.local.set_timer(&self.id, &self.card, family.next_timer());
        if self.local.is_watched(&self.id) {
            let root = &family.root().machine;
            let document = if document.is_empty() { self.document(family, self.card.depth.get()) } else { document };
            self.local.tell(&self.id, root.state_name(), root.is_terminal(), &document);
        }
    }
}
