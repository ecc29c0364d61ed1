//! A store in memory that keeps what a real one keeps: rows, facts and payments, all of a commit or nothing of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::kernel::{ActivityCall, Commit, FactRecord, Family, Member, Registry, Transition};
use crate::model::{Key, PaymentRow, RunId, Timestamp, WorkflowId};

/// How the fact of a call begins. Made once, as the next: that takes longer than a search.
static SCHEDULED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#"{"type":"ActivityScheduled","data":{"#));
/// How the fact of another address begins.
pub(super) static ADDRESS_UPDATED: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(r#"{"type":"AddressUpdated","data":{"#));

/// The facts of one transition.
#[derive(Debug, Clone)]
pub struct Batch {
    pub at: Timestamp,
    /// A JSON array of `{"type", "data"}`.
    pub json: String,
}

/// What is stored of one instance.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: WorkflowId,
    pub root: Key,
    pub parent: Option<WorkflowId>,
    pub kind: &'static str,
    pub run_id: RunId,
    pub state: &'static str,
    pub terminal: bool,
    pub seq: u64,
    pub wake_at: Option<Timestamp>,
    pub snapshot: String,
    pub facts: Vec<Batch>,
    pub payment: Option<PaymentRow>,
}

impl Row {
    /// The facts behind the first `batches` of them, each with its instant.
    ///
    /// # Errors
    /// A sentence where they cannot be read.
    pub fn facts_from(&self, batches: usize) -> Result<Vec<(FactRecord, Timestamp)>, String> {
        let mut all = Vec::new();
        for batch in self.facts.iter().skip(batches) {
            let facts: Vec<FactRecord> = serde_json::from_str(&batch.json).map_err(|e| e.to_string())?;
            all.extend(facts.into_iter().map(|fact| (fact, batch.at)));
        }
        Ok(all)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Store {
    rows: BTreeMap<Key, Row>,
    keys: HashMap<WorkflowId, Key>,
}

impl Store {
    /// Stores a commit whole.
    ///
    /// # Errors
    /// A sentence where it does not continue what is stored; then nothing of it is.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), String> {
        for transition in &commit.transitions {
            self.check(transition)?;
        }
        for transition in &commit.transitions {
            self.put(transition);
        }
        Ok(())
    }

    fn check(&self, t: &Transition) -> Result<(), String> {
        let stored = self.rows.get(&t.key);
        let seq = stored.map_or(0, |row| row.seq);
        let broken = |what: &str| Err(format!("{}: {what} (stored seq {seq}, transition {t:?})", t.id));
        if stored.is_none() != t.is_new || (t.is_new && self.keys.contains_key(&t.id)) {
            return broken("new or not new, but stored otherwise");
        }
        if t.first_seq != seq + 1 || t.seq != seq + u64::from(t.facts) || t.facts == 0 {
            return broken("seq has a gap");
        }
        if stored.map(|row| row.state) != t.state_before {
            return broken("it came from another state than is stored");
        }
        Ok(())
    }

    fn put(&mut self, t: &Transition) {
        let row = self.rows.entry(t.key).or_insert_with(|| Row {
            id: t.id.clone(),
            root: t.root,
            parent: t.parent.clone(),
            kind: t.kind,
            run_id: t.run_id,
            state: t.state,
            terminal: false,
            seq: 0,
            wake_at: None,
            snapshot: String::new(),
            facts: Vec::new(),
            payment: None,
        });
        row.state = t.state;
        row.terminal = t.terminal;
        row.seq = t.seq;
        row.wake_at = t.wake_at;
        row.snapshot.clone_from(&t.snapshot);
        row.facts.push(Batch { at: t.at, json: t.facts_json.clone() });
        if t.payment.is_some() {
            row.payment.clone_from(&t.payment);
        }
        self.keys.insert(t.id.clone(), t.key);
    }

    /// As a store that has no unique ids: what is there gives way.
    pub(super) fn forget(&mut self, id: &WorkflowId) {
        if let Some(key) = self.keys.remove(id) {
            self.rows.retain(|_, row| row.root != key);
        }
    }

    /// As a store whose history can be changed.
    pub(super) fn rewrite(&mut self, id: &WorkflowId) {
        let row = self.keys.get(id).and_then(|key| self.rows.get_mut(key));
        if let Some(first) = row.filter(|row| row.facts.len() > 3).and_then(|row| row.facts.first_mut()) {
            first.json = first.json.replace("Main Street", "Side Street");
        }
    }

    pub fn row(&self, id: &WorkflowId) -> Option<&Row> {
        self.rows.get(self.keys.get(id)?)
    }

    /// The rows of a root and its children, ended ones too, oldest first.
    pub fn family_rows(&self, root: &WorkflowId) -> impl Iterator<Item = (Key, &Row)> {
        let root = self.keys.get(root).copied();
        self.rows.iter().filter(move |(_, row)| Some(row.root) == root).map(|(key, row)| (*key, row))
    }

    /// When the family must be brought to life by itself, as a recovery reads it.
    pub fn wake_at(&self, root: &WorkflowId) -> Option<Timestamp> {
        self.family_rows(root).filter(|(_, row)| !row.terminal).filter_map(|(_, row)| row.wake_at).min()
    }

    /// Brings a family back from its snapshots: the root, and its children that have not ended.
    ///
    /// # Errors
    /// A sentence where it is not stored or cannot be read.
    pub fn restore(&self, registry: &Registry, root: &WorkflowId) -> Result<Family, String> {
        let live = self.family_rows(root).filter(|(_, row)| row.parent.is_none() || !row.terminal);
        let members = live.map(|(key, row)| {
            let machine = registry.restore(row.kind, &row.snapshot).map_err(|e| format!("{}: {e}", row.id))?;
            Ok(Member { key, machine })
        });
        let members: Vec<Member> = members.collect::<Result<_, String>>()?;
        Family::restored(members).ok_or_else(|| format!("{root} is not stored"))
    }

    /// The facts of an instance, each with its instant.
    ///
    /// # Errors
    /// A sentence where they cannot be read.
    pub fn facts(&self, id: &WorkflowId) -> Result<Vec<(FactRecord, Timestamp)>, String> {
        self.row(id).map_or(Ok(Vec::new()), |row| row.facts_from(0))
    }

    /// How many facts of a type an instance has.
    pub fn count(&self, id: &WorkflowId, kind: &str) -> usize {
        let needle = format!("{{\"type\":\"{kind}\"");
        self.row(id).map_or(0, |row| row.facts.iter().map(|b| b.json.matches(&needle).count()).sum())
    }

    /// Whether a call's intent, its attempt and its key, is on disk.
    pub fn has_intent(&self, call: &ActivityCall) -> bool {
        let intent = format!(
            "\"activity\":\"{}\",\"attempt\":{},\"queue\":\"{}\",\"idempotency_key\":\"{}\"",
            call.activity, call.attempt, call.queue, call.idempotency_key
        );
        let is_in = |json: &str| {
            let mut scheduled = SCHEDULED.find_iter(json.as_bytes()).map(|at| at + SCHEDULED.needle().len());
            scheduled.any(|at| json.as_bytes()[at..].starts_with(intent.as_bytes()))
        };
        self.row(&call.workflow_id).is_some_and(|row| row.facts.iter().rev().any(|batch| is_in(&batch.json)))
    }
}
