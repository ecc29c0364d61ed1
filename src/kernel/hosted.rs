//! An instance as a host sees it: [`Machine`] for every kind of workflow.

use super::core::{Core, Phase};
use super::facts::{FactRecord, KernelFact};
use super::instance::{Instance, decode, json};
use super::machine::{ActivityCall, CodecError, Cx, Document, Input, Live, Machine, Step, Waiting};
use super::workflow::{Rejection, Wish, Workflow};
use crate::model::{PaymentRow, Timestamp, Trace};

/// What most snapshots fit into.
const SNAPSHOT_BYTES: usize = 1_024;

impl<W: Workflow> Machine for Instance<W> {
    fn kind(&self) -> &'static str {
        W::KIND
    }

    fn group(&self) -> &'static str {
        W::GROUP
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn step(&mut self, input: &Input, cx: &Cx<'_>) -> Result<Step, Rejection> {
        let mut step = Step::default();
        self.take(input, &mut step, cx)?;
        if !step.facts.is_empty() {
            self.settle(&mut step, cx)?;
            // What was scheduled and dropped again within the step must not be called.
            step.calls.retain(|call| self.is_current(&call.activity, call.attempt));
        }
        Ok(step)
    }

    fn replay(&mut self, fact: &FactRecord, at: Timestamp) -> Result<(), CodecError> {
        if KernelFact::TYPES.contains(&fact.kind.as_str()) {
            self.fold_kernel(&decode(fact)?, at);
        } else {
            self.fold_event(&decode(fact)?, at);
        }
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }

    fn state_name(&self) -> &'static str {
        if self.core.stuck.is_some() && !self.state.is_terminal() { "stuck" } else { self.state.state_name() }
    }

    fn is_terminal(&self) -> bool {
        self.state.is_terminal()
    }

    fn snapshot(&self) -> Result<String, CodecError> {
        json(self, SNAPSHOT_BYTES)
            .map_err(|source| CodecError { what: format!("snapshot of {}", self.core.id), source })
    }

    fn document(&self, children: &[&dyn Machine], live: Option<&Live>) -> Result<Document, CodecError> {
        let document = self.state.document(&self.core, children, live);
        document.map_err(|source| CodecError { what: format!("document of {}", self.core.id), source })
    }

    fn trace(&self) -> Trace {
        self.state.trace().unwrap_or_else(|| Trace::of_run(self.core.run_id))
    }

    fn payment(&self) -> Option<PaymentRow> {
        self.state.payment()
    }

    fn waiting_for(&self) -> Vec<Waiting> {
        if self.state.is_terminal() {
            return Vec::new();
        }
        let base = |kind, name: &str| Waiting {
            kind,
            name: name.to_owned(),
            attempt: None,
            since: None,
            until: None,
            last_error: None,
        };
        let mut all = Vec::new();
        if let Some(since) = self.core.paused_at {
            all.push(Waiting { since: Some(since), ..base("signal", "resume") });
        }
        if self.core.stuck.is_some() {
            all.push(base("signal", "retry"));
        }
        for (name, run) in &self.core.activities {
            let until = match run.phase {
                Phase::Running => None,
                Phase::Backoff { until } => Some(until),
            };
            let last_error = self.core.recent_errors.iter().rev().find(|e| e.activity == *name).cloned();
            let (attempt, since) = (Some(run.attempt), Some(run.since));
            all.push(Waiting { attempt, since, until, last_error, ..base("activity", name) });
        }
        for wish in self.state.wishes() {
            match wish {
                Wish::Activity { .. } => {}
                Wish::Timer { name, due } => all.push(Waiting { until: Some(due), ..base("timer", name) }),
                Wish::Signal { name } => all.push(base("signal", name)),
                Wish::Child { id, .. } => all.push(base("child", id.as_str())),
            }
        }
        all
    }

    fn outstanding(&self) -> Vec<ActivityCall> {
        if self.core.stuck.is_some() {
            return Vec::new();
        }
        let running = self.core.activities.iter().filter(|(_, run)| run.phase == Phase::Running);
        running.filter_map(|(name, _)| self.call_of(name, true)).collect()
    }

    fn next_timer(&self) -> Option<Timestamp> {
        if self.core.is_held() || self.state.is_terminal() {
            return None;
        }
        let timers = self.state.wishes().into_iter().filter_map(|wish| match wish {
            Wish::Timer { due, .. } => Some(due),
            _ => None,
        });
        let backoffs = self.core.activities.values().filter_map(|run| match run.phase {
            Phase::Backoff { until } => Some(until),
            Phase::Running => None,
        });
        timers.chain(backoffs).chain(self.deadline()).min()
    }
}
