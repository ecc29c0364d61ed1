//! Handles of metrics, looked up once and kept by whoever records: a shard, a queue, the writer.
//!
//! Recording is what the hot path does; finding a metric by its name and labels is not.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};
use serde::{Deserialize, Serialize};

use crate::model::{Name, Timestamp};

/// Commits of which the size and time are remembered.
const COMMITS_KEPT: usize = 64;
/// Failures of one activity are told apart by so few words that they fit in a list.
type ByFailure = Vec<(&'static str, Counter)>;

/// What the actors of one shard record. Lives on their arbiter.
pub(super) struct ShardMeter {
    pub started: Counter,
    pub passivated: Counter,
    pub restarted: Counter,
    pub stuck: Counter,
    pub violations: Counter,
    pub depth: Histogram,
    pub wait: Histogram,
    ends: RefCell<HashMap<(&'static str, &'static str), Histogram>>,
    steps: RefCell<HashMap<Name, Histogram>>,
}

impl ShardMeter {
    pub fn new() -> Self {
        Self {
            started: counter!("ordain_actors_started_total"),
            passivated: counter!("ordain_actors_passivated_total"),
            restarted: counter!("ordain_actors_restarted_total"),
            stuck: counter!("ordain_actors_stuck_total"),
            violations: counter!("ordain_invariant_violations_total"),
            depth: histogram!("ordain_mailbox_depth"),
            wait: histogram!("ordain_mailbox_wait_seconds"),
            ends: RefCell::default(),
            steps: RefCell::default(),
        }
    }

    /// A workflow has ended.
    pub fn ended(&self, kind: &'static str, state: &'static str, after_ms: u64) {
        let new = || histogram!("ordain_workflow_seconds", "kind" => kind, "state" => state);
        self.ends.borrow_mut().entry((kind, state)).or_insert_with(new).record(seconds(after_ms));
    }

    /// The outcome of an activity is known, after all its attempts.
    pub fn step(&self, activity: &Name, after_ms: u64) {
        let mut steps = self.steps.borrow_mut();
        if let Some(known) = steps.get(activity) {
            return known.record(seconds(after_ms));
        }
        let new = histogram!("ordain_step_seconds", "activity" => activity.clone());
        new.record(seconds(after_ms));
        steps.insert(activity.clone(), new);
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

/// What one queue records.
pub(super) struct QueueMeter {
    wait: Histogram,
    attempts: BTreeMap<Name, (Histogram, ByFailure)>,
}

impl QueueMeter {
    pub fn new(name: &Name) -> Self {
        let wait = histogram!("ordain_queue_wait_seconds", "queue" => name.clone());
        Self { wait, attempts: BTreeMap::new() }
    }

    pub fn waited(&self, since: Instant) {
        self.wait.record(since.elapsed().as_secs_f64());
    }

    /// An attempt has ended; `failure`: its kind, or `none`.
    pub fn attempt(&mut self, activity: &Name, failure: &'static str, took: Duration) {
        if !self.attempts.contains_key(activity) {
            let seconds = histogram!("ordain_activity_seconds", "activity" => activity.clone());
            self.attempts.insert(activity.clone(), (seconds, Vec::new()));
        }
        let Some((seconds, counters)) = self.attempts.get_mut(activity) else { return };
        seconds.record(took.as_secs_f64());
        if let Some((_, known)) = counters.iter().find(|(kind, _)| *kind == failure) {
            return known.increment(1);
        }
        let labels = [("activity", activity.clone()), ("failure", Name::Borrowed(failure))];
        let new = counter!("ordain_activity_attempts_total", &labels);
        new.increment(1);
        counters.push((failure, new));
    }
}

/// What the writer records, and its newest commits for whoever asks.
pub(super) struct WriterMeter {
    commit: Histogram,
    batch: Histogram,
    transitions: Counter,
    failures: Counter,
    log: Arc<JournalLog>,
}

/// The newest commits, and how many there were.
#[derive(Default)]
pub(super) struct JournalLog(Mutex<JournalNow>);

/// The journal since the engine started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JournalNow {
    pub commits: u64,
    pub transitions: u64,
    pub failures: u64,
    /// The newest last.
    pub last: VecDeque<CommitNow>,
}

/// One commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommitNow {
    pub at: Timestamp,
    pub units: usize,
    pub transitions: usize,
    pub ms: f64,
}

impl JournalLog {
    fn lock(&self) -> std::sync::MutexGuard<'_, JournalNow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> JournalNow {
        self.lock().clone()
    }
}

impl WriterMeter {
    pub fn new(log: Arc<JournalLog>) -> Self {
        Self {
            commit: histogram!("ordain_journal_commit_seconds"),
            batch: histogram!("ordain_journal_batch_transitions"),
            transitions: counter!("ordain_journal_transitions_total"),
            failures: counter!("ordain_journal_failures_total"),
            log,
        }
    }

    pub fn committed(&self, units: usize, transitions: usize, took: Duration) {
        self.commit.record(took.as_secs_f64());
        self.batch.record(transitions as f64);
        self.transitions.increment(transitions as u64);
        let ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let at = super::shared::Clock::wall();
        let mut log = self.log.lock();
        log.commits += 1;
        log.transitions += transitions as u64;
        if log.last.len() == COMMITS_KEPT {
            log.last.pop_front();
        }
        log.last.push_back(CommitNow { at, units, transitions, ms });
    }

    pub fn failed(&self) {
        self.failures.increment(1);
        self.log.lock().failures += 1;
    }
}
