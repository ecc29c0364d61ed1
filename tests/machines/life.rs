//! A job or a task on the real kernel, step by step, every transition kept; checked after each against the fold.

use ordain::kernel::{ActivityCall, Commit, Cx, FactRecord, Family, Input, Policies, Registry, Stepped};
use ordain::model::{Failure, FailureKind, Timestamp, WorkflowId};
use serde_json::Value;

use super::ids::Ids;

pub const BEGIN: i64 = 1_700_000_000_000;

pub struct Life {
    pub now: i64,
    pub family: Family,
    pub facts: Vec<(FactRecord, Timestamp)>,
    /// Calls that are under way.
    pub calls: Vec<ActivityCall>,
    pub kind: &'static str,
    pub snapshot: String,
    registry: Registry,
    policies: Policies,
    ids: Ids,
}

impl Life {
    pub fn start(kind: &'static str, id: &str, input: &Value) -> Self {
        let (registry, policies, ids) = (ordain::tasks::builtin().registry(), Policies::default(), Ids::default());
        let cx = Cx { now: Timestamp(BEGIN), policies: &policies, registry: &registry, ids: &ids };
        let (family, commit) = Family::start(kind, WorkflowId::new(id), input, &cx).unwrap();
        let (facts, calls, snapshot) = (Vec::new(), Vec::new(), String::new());
        let mut life = Self { now: BEGIN, family, facts, calls, kind, snapshot, registry, policies, ids };
        life.keep(commit);
        life
    }

    fn keep(&mut self, commit: Commit) {
        for transition in commit.transitions {
            let facts: Vec<FactRecord> = serde_json::from_str(&transition.facts_json).unwrap();
            assert_eq!(transition.first_seq, self.facts.len() as u64 + 1, "seq has a gap");
            self.facts.extend(facts.into_iter().map(|fact| (fact, transition.at)));
            self.snapshot = transition.snapshot;
        }
        self.calls.extend(commit.calls);
        self.check();
    }

    /// The state is the fold of the facts, and whatever has not ended has something under way.
    pub fn check(&self) {
        let machine = &self.family.root().machine;
        let core = machine.core();
        let facts = self.facts.iter().map(|(fact, at)| (fact, *at));
        let folded = self.registry.fold(self.kind, &core.id, core.run_id, None, facts).unwrap();
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&folded.snapshot().unwrap()), value(&self.snapshot));
        assert_eq!(machine.waiting_for().is_empty(), machine.is_terminal());
        let document = value(self.document().get());
        assert_eq!(document["completed_at"].is_string(), machine.is_terminal(), "{document}");
    }

    pub fn document(&self) -> ordain::kernel::Document {
        self.family.document(None).unwrap()
    }

    pub fn state(&self) -> &'static str {
        self.family.root().machine.state_name()
    }

    /// Whether it changed something, or the code of its refusal.
    pub fn feed(&mut self, input: &Input) -> Result<bool, String> {
        let cx = Cx { now: Timestamp(self.now), policies: &self.policies, registry: &self.registry, ids: &self.ids };
        let id = self.family.root().machine.core().id.clone();
        match self.family.step(&id, input, &cx) {
            Err(rejection) => Err(rejection.code.into_owned()),
            Ok(Stepped::Unchanged) => Ok(false),
            Ok(Stepped::Changed { next, commit }) => {
                self.family = next;
                self.keep(commit);
                Ok(true)
            }
        }
    }

    pub fn signal(&mut self, name: &'static str, payload: Value) -> Result<bool, String> {
        self.feed(&Input::Signal { name: name.into(), payload })
    }

    /// The call under way ends so.
    pub fn done(&mut self, result: Value) -> bool {
        let call = self.calls.remove(0);
        self.now += 10;
        self.feed(&Input::ActivityCompleted { activity: call.activity, attempt: call.attempt, result }).unwrap()
    }

    pub fn fails(&mut self, kind: FailureKind, message: &str) -> bool {
        let call = self.calls.remove(0);
        self.now += 10;
        let failure = Failure::new(kind, message);
        self.feed(&Input::ActivityFailed { activity: call.activity, attempt: call.attempt, failure }).unwrap()
    }

    /// To the next timer.
    pub fn wait(&mut self) -> bool {
        let Some(at) = self.family.next_timer() else { return false };
        self.now = self.now.max(at.0);
        self.feed(&Input::Tick).unwrap()
    }
}
