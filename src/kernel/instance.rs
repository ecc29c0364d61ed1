//! One instance of one kind of workflow: [`Core`] and state, stepped together.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::core::{Core, Phase};
use super::facts::{FactRecord, KernelFact};
use super::machine::{ActivityCall, ChildStart, CodecError, Cx, Input, Machine, Step};
use super::retry::{Pace, seed};
use super::workflow::{ClockMode, Persistence, Rejection, Stimulus, View, Wish, Workflow};
use crate::model::{Failure, FailureKind, Name, RunId, Timestamp, WorkflowId};

/// The shortest time an attempt is given, in ms, however near the deadline is.
const ATTEMPT_MS_MIN: u64 = 50;
/// What most facts fit into.
const FACT_BYTES: usize = 256;
/// How many facts may follow from one another in one step; more is a workflow that never comes to rest.
const FACTS_PER_STEP_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Instance<W: Workflow> {
    /// The version the state is written in.
    v: u16,
    pub core: Core,
    pub state: W,
}

impl<W: Workflow> Instance<W> {
    /// A new instance and its first step.
    pub fn start(
        id: WorkflowId,
        run_id: RunId,
        parent: Option<WorkflowId>,
        input: &Value,
        cx: &Cx<'_>,
    ) -> Result<(Self, Step), Rejection> {
        let event = W::start(&id, input, cx.now)?;
        let mut instance = Self::born(id, run_id, parent, &event, cx.now)
            .ok_or_else(|| Rejection::new("not_a_start", "the input cannot start this workflow"))?;
        let mut step = Step::default();
        step.facts.push(encode(&event)?);
        instance.settle(&mut step, cx)?;
        Ok((instance, step))
    }

    fn born(
        id: WorkflowId,
        run_id: RunId,
        parent: Option<WorkflowId>,
        event: &W::Event,
        at: Timestamp,
    ) -> Option<Self> {
        let state = W::born(event, at)?;
        let core = Core::new(id, run_id, parent, state.deadline_ms(), at);
        let mut instance = Self { v: W::VERSION, core, state };
        instance.after_fact(at);
        Some(instance)
    }

    /// An instance out of its first stored fact; the others follow by [`Machine::replay`].
    pub fn reborn(
        id: WorkflowId,
        run_id: RunId,
        parent: Option<WorkflowId>,
        fact: &FactRecord,
        at: Timestamp,
    ) -> Result<Option<Self>, CodecError> {
        Ok(Self::born(id, run_id, parent, &decode(fact)?, at))
    }

    fn view<'a>(&'a self, cx: &Cx<'a>) -> View<'a> {
        View { now: cx.now, core: &self.core, policies: cx.policies }
    }

    /// What every fact, of the kernel or the workflow, entails.
    fn after_fact(&mut self, at: Timestamp) {
        self.core.seq += 1;
        self.core.updated_at = at;
        self.core.ended_at = if self.state.is_terminal() { self.core.ended_at.or(Some(at)) } else { None };
        match self.state.clock_mode() {
            ClockMode::Running => self.core.clock.set_running(!self.core.is_held(), at),
            ClockMode::Still => self.core.clock.set_running(false, at),
            ClockMode::Over => {}
        }
        if !self.core.activities.is_empty() {
            let wishes = self.state.wishes();
            let wished = |run: &Name| wishes.iter().any(|w| matches!(w, Wish::Activity { name, .. } if name == run));
            self.core.activities.retain(|name, _| wished(name));
        }
    }

    pub(super) fn fold_event(&mut self, event: &W::Event, at: Timestamp) {
        self.state.evolve(event, at);
        self.after_fact(at);
    }

    pub(super) fn fold_kernel(&mut self, fact: &KernelFact, at: Timestamp) {
        if let KernelFact::Resumed { paused_ms } = fact {
            self.state.shift_timers(*paused_ms);
        }
        self.core.apply(fact, at);
        self.after_fact(at);
    }

    fn emit_event(&mut self, event: &W::Event, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        self.fold_event(event, cx.now);
        step.facts.push(encode(event)?);
        step.messages.extend(self.state.messages(event));
        Ok(())
    }

    fn emit_kernel(&mut self, fact: &KernelFact, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        self.fold_kernel(fact, cx.now);
        step.facts.push(encode(fact)?);
        Ok(())
    }

    fn decide(&mut self, stimulus: &Stimulus<'_>, step: &mut Step, cx: &Cx<'_>) -> Result<bool, Rejection> {
        let events = self.state.decide(stimulus, &self.view(cx))?;
        if !events.is_empty() {
            step.results.extend(self.state.results(stimulus));
        }
        for event in &events {
            self.emit_event(event, step, cx)?;
        }
        Ok(!events.is_empty())
    }

    /// Follows the state to rest, then schedules what it wishes for.
    pub(super) fn settle(&mut self, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        while let Some(event) = self.state.advance(&self.view(cx)) {
            if step.facts.len() >= FACTS_PER_STEP_MAX {
                return Err(Rejection::new("workflow_restless", "the workflow does not come to rest"));
            }
            self.emit_event(&event, step, cx)?;
        }
        for wish in self.state.wishes() {
            match wish {
                Wish::Activity { name, queue, .. } => {
                    if !self.core.is_held() && !self.core.activities.contains_key(name) {
                        let key = self.state.idempotency_key(name);
                        let fact = self.schedule(Name::Borrowed(name), Name::Borrowed(queue), key, cx);
                        self.emit_kernel(&fact, step, cx)?;
                        self.call(name, step);
                    }
                }
                Wish::Child { kind, id } => {
                    let input = self.state.child_input(&id);
                    step.children.push(ChildStart { kind, id, input });
                }
                Wish::Timer { .. } | Wish::Signal { .. } => {}
            }
        }
        Ok(())
    }

    fn schedule(&self, activity: Name, queue: Name, idempotency_key: String, cx: &Cx<'_>) -> KernelFact {
        let attempt = self.core.attempts.get(&activity).map_or(0, |n| *n) + 1;
        let policy = cx.policies.of(&activity);
        let left = self.left_ms(cx.now);
        let timeout_ms = left.map_or(policy.timeout_ms, |left| policy.timeout_ms.min(left)).max(ATTEMPT_MS_MIN);
        KernelFact::ActivityScheduled { activity, attempt, queue, idempotency_key, timeout_ms }
    }

    /// Running time left, in ms, where the deadline still counts.
    fn left_ms(&self, now: Timestamp) -> Option<u64> {
        match self.state.clock_mode() {
            ClockMode::Running if !self.core.deadline_passed => self.core.clock.left_ms(now),
            ClockMode::Running | ClockMode::Still | ClockMode::Over => None,
        }
    }

    pub(super) fn call_of(&self, activity: &str, recovered: bool) -> Option<ActivityCall> {
        let (name, run) = self.core.activities.get_key_value(activity)?;
        Some(ActivityCall {
            workflow_id: self.core.id.clone(),
            run_id: self.core.run_id,
            seq: self.core.seq,
            activity: name.clone(),
            attempt: run.attempt,
            queue: run.queue.clone(),
            idempotency_key: run.key.clone(),
            timeout_ms: run.timeout_ms,
            scheduled_at: run.scheduled_at,
            input: self.state.activity_input(activity),
            recovered,
            trace: self.trace(),
        })
    }

    fn call(&self, activity: &str, step: &mut Step) {
        step.calls.extend(self.call_of(activity, false));
    }

    /// Whether a result belongs to the attempt that is outstanding; any other is a repetition or comes too late.
    pub(super) fn is_current(&self, activity: &str, attempt: u32) -> bool {
        self.core.stuck.is_none()
            && self.core.activities.get(activity).is_some_and(|r| r.attempt == attempt && r.phase == Phase::Running)
    }

    fn failed(
        &mut self,
        activity: &Name,
        attempt: u32,
        failure: &Failure,
        step: &mut Step,
        cx: &Cx<'_>,
    ) -> Result<(), Rejection> {
        let wished = self.state.wishes().into_iter().find_map(|wish| match wish {
            Wish::Activity { name, persistence, .. } if name == activity => Some(persistence),
            _ => None,
        });
        let persistence = wished.unwrap_or(Persistence::Policy);
        let run = self.core.activities.get(activity);
        let (tries, elapsed_ms) = run.map_or((1, 0), |run| (run.tries.max(1), cx.now.ms_since(run.scheduled_at)));
        // The call was made twice, and this speaks of the second: what became of the first is not known.
        let doubtful = run.is_some_and(|run| run.recovered) && failure.kind.claims_no_effect();
        let kind = if doubtful { FailureKind::UnknownOutcome } else { failure.kind };
        let failure = &Failure { kind, ..failure.clone() };
        let seed = seed(&[self.core.id.as_str(), activity], u64::from(attempt));
        let pace = Pace { elapsed_ms, left_ms: self.left_ms(cx.now), seed };
        let wait = cx.policies.of(activity).next_wait_ms(failure, tries, persistence, pace);
        let fact = KernelFact::ActivityFailed {
            activity: activity.clone(),
            attempt,
            kind: failure.kind,
            message: failure.message.clone(),
            retry_at: wait.map(|ms| cx.now.plus_ms(ms)),
        };
        self.emit_kernel(&fact, step, cx)?;
        let stimulus = Stimulus::AttemptFailed { activity, attempt, failure, gave_up: wait.is_none() };
        self.decide(&stimulus, step, cx)?;
        Ok(())
    }

    /// Fires what is due: the deadline first, then timers, then attempts whose wait is over.
    fn tick(&mut self, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        if self.core.is_held() || self.state.is_terminal() {
            return Ok(());
        }
        if self.deadline().is_some_and(|at| at <= cx.now) {
            self.emit_kernel(&KernelFact::DeadlineReached {}, step, cx)?;
            self.decide(&Stimulus::DeadlineReached, step, cx)?;
        }
        for wish in self.state.wishes() {
            if let Wish::Timer { name, due } = wish
                && due <= cx.now
            {
                self.decide(&Stimulus::TimerFired { timer: name }, step, cx)?;
            }
        }
        let due = |run: &super::core::ActivityRun| matches!(run.phase, Phase::Backoff { until } if until <= cx.now);
        let ready: Vec<_> = self.core.activities.iter().filter(|(_, run)| due(run)).map(|(n, _)| n.clone()).collect();
        for name in ready {
            let Some(run) = self.core.activities.get(&name) else { continue };
            let fact = self.schedule(name.clone(), run.queue.clone(), run.key.clone(), cx);
            self.emit_kernel(&fact, step, cx)?;
            self.call(&name, step);
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let counts = self.state.clock_mode() == ClockMode::Running && !self.core.deadline_passed;
        if counts { self.core.clock.deadline() } else { None }
    }

    /// Lets a parked one go on. What was under way when it was parked is asked again: its result was not taken.
    fn unstick(&mut self, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        self.emit_kernel(&KernelFact::Unstuck {}, step, cx)?;
        self.core.mark_recovered();
        step.calls.extend(self.outstanding());
        Ok(())
    }

    fn retry(&mut self, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        if self.core.stuck.is_some() {
            return self.unstick(step, cx);
        }
        if self.state.is_retriable() {
            self.emit_kernel(&KernelFact::RetryRequested {}, step, cx)?;
            self.decide(&Stimulus::Retry, step, cx)?;
            return Ok(());
        }
        if self.core.retries > 0 && !self.state.is_terminal() {
            return Ok(());
        }
        Err(Rejection::new(
            "not_retriable",
            format!("only a failed or stuck one can be retried; this is {}", self.state_name()),
        ))
    }

    pub(super) fn take(&mut self, input: &Input, step: &mut Step, cx: &Cx<'_>) -> Result<(), Rejection> {
        let ended = || Rejection::new("already_ended", "it has ended");
        match input {
            Input::Signal { name, payload } => {
                if self.core.stuck.is_some() && self.state.frees_when_stuck(name) {
                    self.unstick(step, cx)?;
                }
                self.decide(&Stimulus::Signal { name, payload }, step, cx)?;
            }
            Input::ActivityCompleted { activity, attempt, result } => {
                if self.is_current(activity, *attempt) {
                    let fact = KernelFact::ActivityCompleted { activity: activity.clone(), attempt: *attempt };
                    self.emit_kernel(&fact, step, cx)?;
                    self.decide(&Stimulus::ActivityCompleted { activity, result }, step, cx)?;
                }
            }
            Input::ActivityFailed { activity, attempt, failure } => {
                if self.is_current(activity, *attempt) {
                    self.failed(activity, *attempt, failure, step, cx)?;
                }
            }
            Input::Tick => self.tick(step, cx)?,
            Input::Pause if self.state.is_terminal() => return Err(ended()),
            Input::Pause if self.core.paused_at.is_none() => self.emit_kernel(&KernelFact::Paused {}, step, cx)?,
            Input::Pause => {}
            Input::Resume if self.state.is_terminal() => return Err(ended()),
            Input::Resume => {
                if let Some(since) = self.core.paused_at {
                    let fact = KernelFact::Resumed { paused_ms: cx.now.ms_since(since) };
                    self.emit_kernel(&fact, step, cx)?;
                }
            }
            Input::Retry => self.retry(step, cx)?,
            Input::Crashed { reason } => {
                if !self.state.is_terminal() && self.core.stuck.is_none() {
                    self.emit_kernel(&KernelFact::Stuck { reason: reason.clone() }, step, cx)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(fact: &impl Serialize) -> Result<String, Rejection> {
    // Facts are plain data; failing to write one is a bug, and is refused rather than stored in part.
    json(fact, FACT_BYTES).map_err(|e| Rejection::new("fact_not_writable", e.to_string()))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(fact: &FactRecord) -> Result<T, CodecError> {
    let what = || format!("fact {}", fact.kind);
    let room = fact.kind.len() + fact.data.get().len() + FACT_BYTES;
    let text = json(fact, room).map_err(|source| CodecError { what: what(), source })?;
    serde_json::from_str(&text).map_err(|source| CodecError { what: what(), source })
}

/// As JSON, in a buffer that need not grow where `room` (in bytes) is enough.
pub(super) fn json(value: &impl Serialize, room: usize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(room);
    serde_json::to_writer(&mut bytes, value)?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}
