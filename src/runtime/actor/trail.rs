//! What is told of a step once it is durable: how long things took, and a line for each transition at level debug.

use crate::kernel::{Commit, FactRecord, Family, Input};
use crate::model::{Name, RunId, TraceId, WorkflowId};
use crate::runtime::envelope::Work;
use crate::runtime::meters::ShardMeter;

/// Put together before the step is handed to the journal; told after.
#[derive(Default)]
pub(super) struct Trail {
    /// Kind, state and age in ms of what has ended.
    ended: Vec<(&'static str, &'static str, u64)>,
    /// An activity whose outcome is known now, and the ms since it was first scheduled.
    step: Option<(Name, u64)>,
    /// Empty where nobody reads them.
    lines: Vec<Line>,
}

struct Line {
    workflow_id: WorkflowId,
    run_id: RunId,
    trace_id: TraceId,
    seq: u64,
    from: Option<&'static str>,
    to: &'static str,
    facts: String,
    /// Of the result that led to it.
    attempt: Option<(Name, u32)>,
}

impl Trail {
    pub fn of(work: &Work, before: Option<&Family>, next: Option<&Family>, commit: &Commit) -> Self {
        let ended = commit.transitions.iter().filter(|t| t.terminal);
        let ended = ended.map(|t| (t.kind, t.state, t.at.ms_since(t.created_at))).collect();
        let lines = if tracing::enabled!(tracing::Level::DEBUG) { lines(work, next, commit) } else { Vec::new() };
        Self { ended, step: step(work, before, next, commit), lines }
    }

    pub fn tell(self, meter: &ShardMeter) {
        for (kind, state, ms) in self.ended {
            meter.ended(kind, state, ms);
        }
        if let Some((activity, ms)) = &self.step {
            meter.step(activity, *ms);
        }
        for line in self.lines {
            tracing::debug!(
                order_id = line.workflow_id.root(),
                workflow_id = %line.workflow_id,
                run_id = %line.run_id,
                seq = line.seq,
                activity = line.attempt.as_ref().map(|(name, _)| name.as_ref()),
                attempt = line.attempt.as_ref().map(|(_, attempt)| attempt),
                trace_id = %line.trace_id,
                from = line.from,
                to = line.to,
                facts = line.facts,
                "a transition is on disk"
            );
        }
    }
}

/// The activity and the attempt a result belongs to.
fn attempt_of(work: &Work) -> Option<(&WorkflowId, &Name, u32)> {
    match work {
        Work::Input {
            to,
            input: Input::ActivityCompleted { activity, attempt, .. } | Input::ActivityFailed { activity, attempt, .. },
        } => Some((to, activity, *attempt)),
        _ => None,
    }
}

/// An activity that was wished for before and is not after, or is anew, has an outcome.
fn step(work: &Work, before: Option<&Family>, next: Option<&Family>, commit: &Commit) -> Option<(Name, u64)> {
    let (to, activity, _) = attempt_of(work)?;
    let since = |family: &Family| {
        let member = family.members().iter().find(|m| m.machine.core().id == *to)?;
        member.machine.core().activities.get(activity).map(|run| run.since)
    };
    let (began, at) = (since(before?)?, commit.transitions.first()?.at);
    let goes_on = next.and_then(since) == Some(began);
    (!goes_on).then(|| (activity.clone(), at.ms_since(began)))
}

fn lines(work: &Work, next: Option<&Family>, commit: &Commit) -> Vec<Line> {
    let Some(next) = next else { return Vec::new() };
    let trace_id = next.trace().id();
    let attempt = attempt_of(work);
    let of = |t: &crate::kernel::Transition| Line {
        workflow_id: t.id.clone(),
        run_id: t.run_id,
        trace_id,
        seq: t.seq,
        from: t.state_before,
        to: t.state,
        facts: types(&t.facts_json),
        attempt: attempt.filter(|(to, ..)| **to == t.id).map(|(_, activity, attempt)| (activity.clone(), attempt)),
    };
    commit.transitions.iter().map(of).collect()
}

/// The types of facts, with commas.
fn types(facts_json: &str) -> String {
    let facts: Vec<FactRecord> = serde_json::from_str(facts_json).unwrap_or_default();
    facts.iter().map(|fact| fact.kind.as_str()).collect::<Vec<_>>().join(",")
}
