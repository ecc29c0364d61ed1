//! The part of an instance that is the same for every kind: sequence, attempts, errors, pause, deadline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::clock::DeadlineClock;
use super::facts::KernelFact;
use crate::model::{ErrorInfo, Name, RunId, Timestamp, WorkflowId};

/// How many of the newest errors are kept in the state; the history has them all.
const RECENT_ERRORS_MAX: usize = 5;

/// Where one activity of an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRun {
    /// The number of the newest attempt, counted over the whole life of the instance: never used twice.
    pub attempt: u32,
    /// Attempts since the activity was last wished for anew; what the retry policy counts.
    pub tries: u32,
    pub queue: Name,
    pub key: String,
    pub timeout_ms: u64,
    /// When the first of these tries was scheduled.
    pub since: Timestamp,
    /// When the newest was.
    pub scheduled_at: Timestamp,
    /// It was found on disk or parked: the call may have been made before, whatever the next answer says. Not stored:
    /// what is read from the store is always in this position.
    #[serde(skip)]
    pub recovered: bool,
    #[serde(flatten)]
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// The attempt is on disk and may be under way.
    Running,
    /// The last attempt failed; the next is made then.
    Backoff { until: Timestamp },
}

/// The common part of an instance's state. It is the fold of its facts, like the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Core {
    pub id: WorkflowId,
    pub run_id: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<WorkflowId>,
    /// The number of facts so far, and of the newest of them.
    pub seq: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// Why it is parked after crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
    pub clock: DeadlineClock,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deadline_passed: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub activities: BTreeMap<Name, ActivityRun>,
    /// Attempts made of each activity, over the whole life.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<Name, u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_errors: Vec<ErrorInfo>,
    /// How often an operator restarted it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Core {
    pub(super) fn new(
        id: WorkflowId,
        run_id: RunId,
        parent: Option<WorkflowId>,
        deadline_ms: Option<u64>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            run_id,
            parent,
            seq: 0,
            created_at: now,
            updated_at: now,
            ended_at: None,
            paused_at: None,
            stuck: None,
            clock: DeadlineClock::start(deadline_ms, now),
            deadline_passed: false,
            activities: BTreeMap::new(),
            attempts: BTreeMap::new(),
            recent_errors: Vec::new(),
            retries: 0,
        }
    }

    /// Folds one kernel fact.
    pub(super) fn apply(&mut self, fact: &KernelFact, at: Timestamp) {
        match fact {
            KernelFact::ActivityScheduled { activity, attempt, queue, idempotency_key, timeout_ms } => {
                self.attempts.insert(activity.clone(), *attempt);
                let before = self.activities.get(activity);
                let run = ActivityRun {
                    attempt: *attempt,
                    tries: before.map_or(0, |run| run.tries) + 1,
                    queue: queue.clone(),
                    key: idempotency_key.clone(),
                    timeout_ms: *timeout_ms,
                    since: before.map_or(at, |run| run.since),
                    scheduled_at: at,
                    recovered: false,
                    phase: Phase::Running,
                };
                self.activities.insert(activity.clone(), run);
            }
            KernelFact::ActivityCompleted { activity, .. } => {
                self.activities.remove(activity);
            }
            KernelFact::ActivityFailed { activity, attempt, kind, message, retry_at } => {
                match retry_at {
                    Some(until) => {
                        if let Some(run) = self.activities.get_mut(activity) {
                            run.phase = Phase::Backoff { until: *until };
                        }
                    }
                    None => {
                        self.activities.remove(activity);
                    }
                }
                if self.recent_errors.len() == RECENT_ERRORS_MAX {
                    self.recent_errors.remove(0);
                }
                self.recent_errors.push(ErrorInfo {
                    kind: *kind,
                    message: message.clone(),
                    activity: activity.clone(),
                    attempt: *attempt,
                    at,
                });
            }
            KernelFact::DeadlineReached {} => {
                self.deadline_passed = true;
                // What is still asked for now is compensation: its waits begin small again.
                self.activities.values_mut().for_each(|run| run.tries = 0);
            }
            KernelFact::Paused {} => self.paused_at = Some(at),
            KernelFact::Resumed { .. } => self.paused_at = None,
            KernelFact::Stuck { reason } => self.stuck = Some(reason.clone()),
            KernelFact::Unstuck {} => {
                self.stuck = None;
                self.retries += 1;
                self.renew_deadline(at);
            }
            KernelFact::RetryRequested {} => {
                // A pause ended with the order; while it was over nobody could lift it.
                self.paused_at = None;
                self.retries += 1;
                self.renew_deadline(at);
            }
        }
    }

    /// What is outstanding may have been called before this.
    pub(super) fn mark_recovered(&mut self) {
        self.activities.values_mut().for_each(|run| run.recovered = true);
    }

    fn renew_deadline(&mut self, at: Timestamp) {
        self.deadline_passed = false;
        self.clock.reset(at);
    }

    /// Whether new activities may start and timers may fire.
    pub fn is_held(&self) -> bool {
        self.paused_at.is_some() || self.stuck.is_some()
    }

    pub fn last_error(&self) -> Option<&ErrorInfo> {
        self.recent_errors.last()
    }

    /// Whether an attempt of this activity is on disk without a result.
    pub fn is_running(&self, activity: &str) -> bool {
        self.activities.get(activity).is_some_and(|run| run.phase == Phase::Running)
    }

    /// Whether any activity waits to be tried again.
    pub fn is_retrying(&self) -> bool {
        self.activities.values().any(|run| run.tries > 1 || run.phase != Phase::Running)
    }
}
