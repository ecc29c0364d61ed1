//! Who waits in a queue: a window of calls in memory, and beyond it notes of who waits in SQL.
//!
//! Every call that is known stands in one place only, so a call that is handed in once more (a recovery within the
//! process does that) is not made twice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use crate::kernel::ActivityCall;
use crate::model::{Name, Timestamp, WorkflowId};

/// What tells an attempt from all others.
pub(in crate::runtime) type CallId = (WorkflowId, Name, u32);

pub(super) fn id_of(call: &ActivityCall) -> CallId {
    (call.workflow_id.clone(), call.activity.clone(), call.attempt)
}

/// A call that waits.
pub(super) struct Job {
    pub shard: usize,
    pub call: ActivityCall,
    pub queued: Instant,
    /// Only an outside worker does it.
    pub outside: bool,
}

/// A call that waits beyond the window.
struct Note {
    shard: usize,
    id: CallId,
    since: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    Beyond,
    UnderWay,
}

pub(super) struct Line {
    window: usize,
    /// For the pool's own slots, and for outside workers.
    inside: VecDeque<Job>,
    /// For outside workers only.
    outside: VecDeque<Job>,
    beyond: VecDeque<Note>,
    /// How many wait in the window, by activity: most workers that ask do only some of them.
    waiting: HashMap<Name, usize>,
    known: HashMap<CallId, Place>,
    /// Who was asked to hand their call in again and has not yet.
    asked: HashSet<CallId>,
    under_way: usize,
}

impl Line {
    pub fn new(window: usize) -> Self {
        Self {
            window,
            inside: VecDeque::new(),
            outside: VecDeque::new(),
            beyond: VecDeque::new(),
            waiting: HashMap::new(),
            known: HashMap::new(),
            asked: HashSet::new(),
            under_way: 0,
        }
    }

    fn in_memory(&self) -> usize {
        self.inside.len() + self.outside.len()
    }

    /// Whether the call is new here (or waited beyond the window until now).
    pub fn is_new(&mut self, id: &CallId) -> bool {
        self.asked.remove(id);
        self.known.get(id).is_none_or(|place| *place == Place::Beyond)
    }

    /// A call begins that did not wait in the window.
    pub fn begins(&mut self, id: CallId) {
        self.under_way += 1;
        self.known.insert(id, Place::UnderWay);
    }

    /// A new call waits. False: beyond the window; only a note is kept of it.
    pub fn push(&mut self, job: Job) -> bool {
        let id = id_of(&job.call);
        if self.in_memory() < self.window {
            self.known.insert(id, Place::Waiting);
            *self.waiting.entry(job.call.activity.clone()).or_default() += 1;
            if job.outside {
                self.outside.push_back(job)
            } else {
                self.inside.push_back(job)
            }
            return true;
        }
        if self.known.insert(id.clone(), Place::Beyond).is_none() {
            self.beyond.push_back(Note { shard: job.shard, id, since: job.call.scheduled_at });
        }
        false
    }

    /// Puts back a call that was taken out and did not begin.
    pub fn put_back(&mut self, job: Job) {
        self.under_way = self.under_way.saturating_sub(1);
        self.known.insert(id_of(&job.call), Place::Waiting);
        *self.waiting.entry(job.call.activity.clone()).or_default() += 1;
        if job.outside { self.outside.push_front(job) } else { self.inside.push_front(job) }
    }

    /// Whether a call waits for the pool's own slots.
    pub fn has_inside(&self) -> bool {
        !self.inside.is_empty()
    }

    pub fn is_waiting(&self) -> bool {
        self.in_memory() > 0
    }

    /// The next call for the pool's own slots; it is under way then.
    pub fn next_inside(&mut self) -> Option<Job> {
        let job = self.inside.pop_front()?;
        self.taken(&job);
        Some(job)
    }

    /// The next call for an outside worker that does these activities (none named: any); it is under way then.
    pub fn next_for(&mut self, activities: &[String]) -> Option<Job> {
        if !activities.is_empty() && !activities.iter().any(|name| self.waiting.contains_key(name.as_str())) {
            return None;
        }
        let wanted = |job: &Job| activities.is_empty() || activities.iter().any(|name| *name == job.call.activity);
        let first = |line: &VecDeque<Job>| line.iter().position(wanted);
        let (inside, outside) = (first(&self.inside), first(&self.outside));
        let older = |a: usize, b: usize| self.inside[a].queued <= self.outside[b].queued;
        let job = match (inside, outside) {
            (Some(a), Some(b)) if older(a, b) => self.inside.remove(a),
            (_, Some(b)) => self.outside.remove(b),
            (Some(a), None) => self.inside.remove(a),
            (None, None) => None,
        }?;
        self.taken(&job);
        Some(job)
    }

    /// This very call, if it waits in the window; it is under way then.
    pub fn take(&mut self, id: &CallId) -> Option<Job> {
        if self.known.get(id) != Some(&Place::Waiting) {
            return None;
        }
        let of = |job: &Job| job.call.workflow_id == id.0 && job.call.activity == id.1 && job.call.attempt == id.2;
        let job = match self.inside.iter().position(of) {
            Some(index) => self.inside.remove(index),
            None => self.outside.iter().position(of).and_then(|index| self.outside.remove(index)),
        }?;
        self.taken(&job);
        Some(job)
    }

    fn taken(&mut self, job: &Job) {
        self.under_way += 1;
        if let Some(n) = self.waiting.get_mut(&job.call.activity) {
            *n -= 1;
            if *n == 0 {
                self.waiting.remove(&job.call.activity);
            }
        }
        self.known.insert(id_of(&job.call), Place::UnderWay);
    }

    pub fn is_under_way(&self, id: &CallId) -> bool {
        self.known.get(id) == Some(&Place::UnderWay)
    }

    /// A call whose workflow wants it no more: it does not wait any longer. One that is under way goes on.
    pub fn forget(&mut self, id: &CallId) {
        if self.take(id).is_some() {
            self.ended(id);
        } else if self.known.get(id) == Some(&Place::Beyond) {
            // Its note is passed over when its turn comes.
            self.known.remove(id);
        }
        self.asked.remove(id);
    }

    /// A call that was under way has ended.
    pub fn ended(&mut self, id: &CallId) {
        if self.known.remove(id) == Some(Place::UnderWay) {
            self.under_way = self.under_way.saturating_sub(1);
        }
    }

    /// Who is to hand its call in again, now that there is room in the window.
    pub fn ask_again(&mut self) -> Option<(usize, WorkflowId)> {
        if self.under_way == 0 && self.in_memory() == 0 {
            // Some that were asked have ended meanwhile and will never answer.
            self.asked.clear();
        }
        while self.in_memory() + self.asked.len() < self.window.div_ceil(2) {
            let note = self.beyond.pop_front()?;
            // One that came into the window on its own has left its note behind.
            if self.known.get(&note.id) == Some(&Place::Beyond) {
                self.known.remove(&note.id);
                let asked = (note.shard, note.id.0.clone());
                self.asked.insert(note.id);
                return Some(asked);
            }
        }
        None
    }

    /// Calls that wait, those in SQL included.
    pub fn backlog(&self) -> usize {
        self.known.len() - self.under_way + self.asked.len()
    }

    /// Since when the oldest call waits.
    pub fn oldest(&self) -> Option<Timestamp> {
        let waiting = self.inside.iter().chain(&self.outside).map(|job| job.call.scheduled_at);
        let beyond = self.beyond.iter().filter(|note| self.known.get(&note.id) == Some(&Place::Beyond));
        waiting.chain(beyond.map(|note| note.since)).min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::{RunId, Trace};

    fn job(n: u32, outside: bool) -> Job {
        let call = ActivityCall {
            workflow_id: WorkflowId::new(format!("o-{n}")),
            run_id: RunId(uuid::Uuid::nil()),
            seq: 1,
            activity: if outside { "far".into() } else { "near".into() },
            attempt: 1,
            queue: "q".into(),
            idempotency_key: "k".into(),
            timeout_ms: 1,
            scheduled_at: Timestamp(i64::from(1_000 - n)),
            input: Value::Null,
            recovered: false,
            trace: Trace::of_run(RunId(uuid::Uuid::nil())),
        };
        Job { shard: 0, call, queued: Instant::now(), outside }
    }

    fn offer(line: &mut Line, job: Job) -> bool {
        line.is_new(&id_of(&job.call)) && line.push(job)
    }

    #[test]
    fn a_call_that_is_known_is_not_taken_in_again_wherever_it_stands() {
        let mut line = Line::new(2);
        assert!(offer(&mut line, job(1, false)) && offer(&mut line, job(2, false)));
        assert!(
            !offer(&mut line, job(1, false)) && !offer(&mut line, job(3, false)) && !offer(&mut line, job(3, false))
        );
        assert_eq!((line.backlog(), line.oldest()), (3, Some(Timestamp(997))));
        let first = line.next_inside().unwrap();
        assert_eq!((line.backlog(), line.is_under_way(&id_of(&first.call))), (2, true));
        assert!(!offer(&mut line, job(1, false)));
        line.put_back(first);
        assert_eq!(line.backlog(), 3);
        while let Some(job) = line.next_inside() {
            line.ended(&id_of(&job.call));
        }
        // The third is asked for, comes, and its note is gone.
        assert_eq!((line.backlog(), line.ask_again()), (1, Some((0, WorkflowId::new("o-3")))));
        assert!(offer(&mut line, job(3, false)));
        assert_eq!((line.backlog(), line.ask_again()), (1, None));
    }

    #[test]
    fn what_is_forgotten_does_not_wait_any_more_wherever_it_stood_and_what_is_under_way_goes_on() {
        let mut line = Line::new(2);
        for n in 1..=4 {
            offer(&mut line, job(n, n == 2));
        }
        let first = line.next_inside().unwrap();
        for n in 1..=3 {
            line.forget(&id_of(&job(n, n == 2).call));
        }
        assert_eq!((line.backlog(), line.is_under_way(&id_of(&first.call)), line.is_waiting()), (1, true, false));
        assert_eq!(line.ask_again(), Some((0, WorkflowId::new("o-4"))));
        line.ended(&id_of(&first.call));
        assert_eq!(line.backlog(), 1);
        // The one that was asked for will not come.
        line.forget(&id_of(&job(4, false).call));
        assert_eq!((line.ask_again(), line.backlog()), (None, 0));
    }

    #[test]
    fn outside_workers_get_the_oldest_of_what_they_do_and_the_pool_none_of_what_is_theirs_alone() {
        let mut line = Line::new(10);
        for (n, outside) in [(1, true), (2, false), (3, true)] {
            assert!(offer(&mut line, job(n, outside)));
        }
        let id = |job: Option<Job>| job.map(|job| job.call.workflow_id.as_str().to_owned());
        assert_eq!(id(line.next_for(&["near".to_owned()])), Some("o-2".to_owned()));
        assert!(!line.has_inside() && line.is_waiting());
        assert_eq!(id(line.next_for(&[])), Some("o-1".to_owned()));
        let third = id_of(&job(3, true).call);
        assert!(line.take(&third).is_some() && line.take(&third).is_none());
        assert_eq!((line.backlog(), id(line.next_for(&[]))), (0, None));
    }
}
