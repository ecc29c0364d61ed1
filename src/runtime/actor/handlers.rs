//! The messages an actor takes, and its life under the supervisor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use actix::{Actor, Context, Handler, Supervised};

use super::{Load, Phase, WorkflowActor};
use crate::kernel::Input;
use crate::runtime::admission::Step;
use crate::runtime::command::EngineError;
use crate::runtime::envelope::{Envelope, Work};
use crate::runtime::messages::{CallAgain, Committed, Deliver, Look, Rest, Seen};
use crate::runtime::pool::panic_message;
use crate::store::Verdict;

impl Actor for WorkflowActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.load.take() {
            Some(Load::Fresh) => {}
            Some(Load::From(rows)) => {
                self.restore(&rows, ctx);
                if let Some(family) = &self.family {
                    self.local.shared.recovery.note_calls(family);
                }
            }
            Some(Load::FromStore) => self.begin_load(ctx),
            // Restarted. A commit that is on its way is awaited first, so that SQL is read after it.
            None if self.in_flight.is_some() => self.phase = Phase::Loading,
            None => self.begin_load(ctx),
        }
    }
}

impl Supervised for WorkflowActor {}

impl Handler<Deliver> for WorkflowActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, ctx: &mut Self::Context) {
        self.pending.push_back(deliver.0);
        self.pump(ctx);
    }
}

impl Handler<Committed> for WorkflowActor {
    type Result = ();

    fn handle(&mut self, committed: Committed, ctx: &mut Self::Context) {
        let restarted = matches!(self.phase, Phase::Loading);
        if restarted && let Some(flight) = self.in_flight.take_if(|f| f.token == committed.token) {
            self.local.shared.committing.fetch_sub(1, Ordering::Relaxed);
            let lost = EngineError::Crashed(self.last_panic.clone());
            let answer = match committed.result {
                Ok(Verdict::Stored) => {
                    flight.trail.tell(&self.local.meter);
                    flight.outcome.map_err(EngineError::Rejected)
                }
                _ => Err(lost),
            };
            self.finish(flight.envelope, answer);
            return self.begin_load(ctx);
        }
        self.committed(committed.token, committed.result, ctx);
    }
}

impl Handler<Look> for WorkflowActor {
    type Result = ();

    fn handle(&mut self, look: Look, ctx: &mut Self::Context) {
        let seen = catch_unwind(AssertUnwindSafe(|| {
            self.family.as_ref().map(|family| {
                let root = &family.root().machine;
                let document = self.document(family, self.card.depth.get());
                Seen { document, group: root.group(), state: root.state_name(), terminal: root.is_terminal() }
            })
        }));
        match seen {
            Ok(seen) => {
                let _gone = look.0.send(seen);
            }
            Err(panic) => self.crashed(panic_message(panic.as_ref()), None, ctx),
        }
    }
}

impl Handler<CallAgain> for WorkflowActor {
    type Result = ();

    fn handle(&mut self, _: CallAgain, ctx: &mut Self::Context) {
        if self.family.is_some() {
            return self.resume();
        }
        // Not read yet, and perhaps for nobody who waits: this input keeps it until it could be read.
        let work = Work::Input { to: self.id.clone(), input: Input::Tick };
        self.card.depth.set(self.card.depth.get() + 1);
        self.pending.push_back(Envelope::new(work, None, Step::begin(&self.local.shared)));
        self.pump(ctx);
    }
}

impl Handler<Rest> for WorkflowActor {
    type Result = ();

    fn handle(&mut self, _: Rest, ctx: &mut Self::Context) {
        self.pump(ctx);
    }
}
