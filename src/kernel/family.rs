//! A root instance and its open children, stepped as one: what one input brings about in all of them is one commit.
//!
//! Parent and child speak by signals that follow from facts. A host that keeps them together (this one) delivers such
//! a signal within the same step, so that a gate between them (may the parcel still be dispatched?) cannot be passed
//! by both sides at once.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::machine::{ActivityCall, ChildStart, CodecError, Cx, Document, Input, Live, Machine, Step, Waiting};
use super::retry::{mix, seed};
use super::workflow::{Recipient, Rejection};
use crate::model::{Key, Name, PaymentRow, ResultRow, RunId, Timestamp, Trace, WorkflowId};

/// How many inputs may follow from one another between relatives.
const CASCADE_MAX: usize = 64;

/// Where new keys and run ids come from. The only way randomness gets in, and it is passed in.
pub trait IdSource {
    fn key(&self) -> Key;
    fn run_id(&self) -> RunId;
}

/// An instance and the key it is stored under.
#[derive(Debug)]
pub struct Member {
    pub key: Key,
    pub machine: Box<dyn Machine>,
}

impl Clone for Member {
    fn clone(&self) -> Self {
        Self { key: self.key, machine: self.machine.boxed() }
    }
}

/// A root instance, first, and its open children.
#[derive(Debug, Clone)]
pub struct Family {
    members: Vec<Member>,
}

/// Everything that is stored of one instance's step: its facts and its row.
#[derive(Debug, Clone)]
pub struct Transition {
    pub key: Key,
    /// The key of the family's root; its own for a root.
    pub root: Key,
    pub is_new: bool,
    pub id: WorkflowId,
    pub parent: Option<WorkflowId>,
    pub kind: &'static str,
    pub run_id: RunId,
    pub at: Timestamp,
    /// The `seq` of the first fact, and how many there are.
    pub first_seq: u64,
    pub facts: u32,
    /// The facts as a JSON array of `{"type", "data"}`.
    pub facts_json: String,
    pub state: &'static str,
    /// The state before, unless it is new.
    pub state_before: Option<&'static str>,
    pub terminal: bool,
    pub seq: u64,
    pub wake_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The most attempts any of its activities has had.
    pub attempts: u32,
    pub retrying: bool,
    pub paused: bool,
    pub last_error: Option<&'static str>,
    pub snapshot: String,
    /// Its payment, where it is new or has changed.
    pub payment: Option<PaymentRow>,
    /// Rows of the family's results that came with these facts.
    pub results: Vec<ResultRow>,
}

/// What must be durable before anything of it may show, and the calls that may be made after.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub transitions: Vec<Transition>,
    pub calls: Vec<ActivityCall>,
}

/// The outcome of a step.
#[derive(Debug)]
pub enum Stepped {
    /// It is already so; there is nothing to store.
    Unchanged,
    Changed {
        next: Family,
        commit: Commit,
    },
}

/// A member's state before the step.
struct Before {
    key: Key,
    state: &'static str,
    payment: Option<PaymentRow>,
}

impl Family {
    /// A new root and all that follows from its start.
    ///
    /// # Errors
    /// A [`Rejection`] where the input cannot start this kind.
    pub fn start(kind: &str, id: WorkflowId, input: &Value, cx: &Cx<'_>) -> Result<(Self, Commit), Rejection> {
        let mut family = Self { members: Vec::new() };
        let mut work = Work::default();
        family.create(kind, id, None, input, &mut work, cx)?;
        family.cascade(&mut work, cx)?;
        let commit = family.commit(&[], work, cx)?;
        Ok((family.without_ended_children(), commit))
    }

    /// A family brought back from the store: the root first, then its open children.
    pub fn restored(members: Vec<Member>) -> Option<Self> {
        (!members.is_empty()).then_some(Self { members })
    }

    pub fn root(&self) -> &Member {
        // A family is made with a root (`start`, `restored`) and the root is never removed.
        &self.members[0]
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Takes an input for the member `to`. The family itself stays as it is: the next one is adopted once the
    /// commit is durable.
    ///
    /// # Errors
    /// A [`Rejection`] where the member's state forbids the input.
    pub fn step(&self, to: &WorkflowId, input: &Input, cx: &Cx<'_>) -> Result<Stepped, Rejection> {
        let before: Vec<Before> = self.members.iter().map(Before::of).collect();
        let mut next = self.clone();
        let mut work = Work::default();
        match input {
            // These concern all of them. The root's word counts; a child that has nothing to do stays out of it.
            Input::Tick | Input::Pause | Input::Resume | Input::Crashed { .. } | Input::Retry => {
                next.feed(0, input, &mut work, cx)?;
                // The root's word reaches the children first: at an overdue deadline none starts what is to be stopped.
                next.cascade(&mut work, cx)?;
                for index in 1..next.members.len() {
                    if *input != Input::Retry || next.members[index].machine.core().stuck.is_some() {
                        let _not_for_it = next.feed(index, input, &mut work, cx);
                    }
                }
            }
            Input::Signal { .. } | Input::ActivityCompleted { .. } | Input::ActivityFailed { .. } => {
                let Some(index) = next.index(to) else { return Ok(Stepped::Unchanged) };
                next.feed(index, input, &mut work, cx)?;
            }
        }
        next.cascade(&mut work, cx)?;
        let commit = next.commit(&before, work, cx)?;
        if commit.transitions.is_empty() {
            return Ok(Stepped::Unchanged);
        }
        Ok(Stepped::Changed { next: next.without_ended_children(), commit })
    }

    /// Calls that are on disk without a result: what a recovery makes again.
    pub fn outstanding(&self) -> Vec<ActivityCall> {
        let calls = self.members.iter().flat_map(|m| m.machine.outstanding());
        calls.map(|call| self.traced(call)).collect()
    }

    /// The trace all of them belong to.
    pub fn trace(&self) -> Trace {
        self.root().machine.trace()
    }

    /// The call as a span of the family's trace: another for each attempt, the same when that is made again.
    fn traced(&self, call: ActivityCall) -> ActivityCall {
        let span = mix(seed(&[call.workflow_id.as_str(), &call.activity], u64::from(call.attempt)));
        ActivityCall { trace: self.trace().within(span), ..call }
    }

    /// When one of them next has something to do by itself.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.members.iter().filter_map(|m| m.machine.next_timer()).min()
    }

    /// The root's status document, with what is known of its open children.
    ///
    /// # Errors
    /// [`CodecError`] where it cannot be written.
    pub fn document(&self, live: Option<&Live>) -> Result<Document, CodecError> {
        let children: Vec<&dyn Machine> = self.members[1..].iter().map(|m| m.machine.as_ref()).collect();
        self.root().machine.document(&children, live)
    }

    /// What the root waits for; of a child, what that child waits for in turn.
    pub fn waiting_for(&self) -> Vec<Waiting> {
        let mut waits = self.root().machine.waiting_for();
        for wait in waits.iter_mut().filter(|w| w.kind == "child") {
            let child = self.members.iter().find(|m| m.machine.core().id.as_str() == wait.name);
            let inner = child.and_then(|m| m.machine.waiting_for().into_iter().next());
            if let Some(inner) = inner {
                wait.attempt = inner.attempt;
                wait.since = inner.since;
                wait.until = inner.until;
                wait.last_error = inner.last_error;
            }
        }
        waits
    }

    fn index(&self, id: &WorkflowId) -> Option<usize> {
        self.members.iter().position(|m| m.machine.core().id == *id)
    }

    fn without_ended_children(mut self) -> Self {
        let mut index = 0;
        self.members.retain(|m| {
            index += 1;
            index == 1 || !m.machine.is_terminal()
        });
        self
    }

    fn feed(&mut self, index: usize, input: &Input, work: &mut Work, cx: &Cx<'_>) -> Result<(), Rejection> {
        let member = &mut self.members[index];
        let step = member.machine.step(input, cx)?;
        let (key, id, parent) = (member.key, member.machine.core().id.clone(), member.machine.core().parent.clone());
        work.add(key, &id, parent, step);
        Ok(())
    }

    fn create(
        &mut self,
        kind: &str,
        id: WorkflowId,
        parent: Option<WorkflowId>,
        input: &Value,
        work: &mut Work,
        cx: &Cx<'_>,
    ) -> Result<(), Rejection> {
        let (machine, step) = cx.registry.start(kind, id.clone(), parent.clone(), input, cx)?;
        let key = cx.ids.key();
        work.add(key, &id, parent, step);
        self.members.push(Member { key, machine });
        Ok(())
    }

    /// Delivers signals between relatives and creates children until all is quiet.
    fn cascade(&mut self, work: &mut Work, cx: &Cx<'_>) -> Result<(), Rejection> {
        for _ in 0..CASCADE_MAX {
            if let Some((parent, child)) = work.children.pop_front() {
                if self.index(&child.id).is_none() {
                    self.create(child.kind, child.id, Some(parent), &child.input, work, cx)?;
                }
            } else if let Some((to, name, payload)) = work.signals.pop_front() {
                if let Some(index) = self.index(&to) {
                    // A relative for whom it comes too late does not take it; that is no fault of the sender.
                    let _too_late = self.feed(index, &Input::Signal { name, payload }, work, cx);
                }
            } else {
                return Ok(());
            }
        }
        Err(Rejection::new("workflow_restless", "the workflow and its children do not come to rest"))
    }

    fn commit(&self, before: &[Before], mut work: Work, cx: &Cx<'_>) -> Result<Commit, Rejection> {
        let root = self.root().key;
        let mut commit = Commit::default();
        for member in &self.members {
            if let Some(facts) = work.facts.remove(&member.key) {
                let was = before.iter().find(|b| b.key == member.key);
                let transition = member.transition(root, was, &facts, cx.now);
                let mut transition = transition.map_err(|e| Rejection::new("state_not_writable", e.to_string()))?;
                transition.results = work.results.remove(&member.key).unwrap_or_default();
                commit.transitions.push(transition);
            }
        }
        // A call that a later fact of the same commit took back is not made.
        let stands = |call: &ActivityCall| {
            let core = self.index(&call.workflow_id).map(|i| self.members[i].machine.core());
            core.and_then(|c| c.activities.get(&call.activity)).is_some_and(|run| run.attempt == call.attempt)
        };
        commit.calls = work.calls.into_iter().filter(stands).map(|call| self.traced(call)).collect();
        Ok(commit)
    }
}

/// What a step has brought about so far.
#[derive(Default)]
struct Work {
    facts: BTreeMap<Key, Vec<String>>,
    calls: Vec<ActivityCall>,
    children: VecDeque<(WorkflowId, ChildStart)>,
    signals: VecDeque<(WorkflowId, Name, Value)>,
    results: BTreeMap<Key, Vec<ResultRow>>,
}

impl Work {
    fn add(&mut self, key: Key, id: &WorkflowId, parent: Option<WorkflowId>, step: Step) {
        if !step.facts.is_empty() {
            self.facts.entry(key).or_default().extend(step.facts);
        }
        if !step.results.is_empty() {
            self.results.entry(key).or_default().extend(step.results);
        }
        self.calls.extend(step.calls);
        self.children.extend(step.children.into_iter().map(|child| (id.clone(), child)));
        for message in step.messages {
            let to = match message.to {
                Recipient::Child(child) => Some(child),
                Recipient::Parent => parent.clone(),
            };
            self.signals.extend(to.map(|to| (to, Name::Borrowed(message.signal), message.payload)));
        }
    }
}

impl Before {
    fn of(member: &Member) -> Self {
        let machine = &member.machine;
        Self { key: member.key, state: machine.state_name(), payment: machine.payment() }
    }
}

impl Member {
    fn transition(
        &self,
        root: Key,
        before: Option<&Before>,
        facts: &[String],
        at: Timestamp,
    ) -> Result<Transition, CodecError> {
        let machine = self.machine.as_ref();
        let core = machine.core();
        let count = facts.len() as u32;
        let payment = machine.payment();
        Ok(Transition {
            key: self.key,
            root,
            is_new: before.is_none(),
            id: core.id.clone(),
            parent: core.parent.clone(),
            kind: machine.kind(),
            run_id: core.run_id,
            at,
            first_seq: core.seq + 1 - u64::from(count),
            facts: count,
            facts_json: array(facts),
            state: machine.state_name(),
            state_before: before.map(|b| b.state),
            terminal: machine.is_terminal(),
            seq: core.seq,
            wake_at: machine.wake_at(),
            created_at: core.created_at,
            ended_at: core.ended_at,
            attempts: core.attempts.values().copied().max().unwrap_or(0),
            retrying: core.is_retrying(),
            paused: core.paused_at.is_some() && !machine.is_terminal(),
            last_error: core.last_error().map(|e| e.kind.as_str()),
            snapshot: machine.snapshot()?,
            results: Vec::new(),
            payment: if before.is_some_and(|b| b.payment == payment) { None } else { payment },
        })
    }
}

/// A JSON array of what is JSON already.
fn array(items: &[String]) -> String {
    let mut text = String::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + 2);
    text.push('[');
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text.push(']');
    text
}
