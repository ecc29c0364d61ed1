//! The import of invoices as a pure machine: whatever comes in whatever order, every invoice is kept once and no more is
//! open than may be; the state stays small.

use std::collections::{BTreeMap, BTreeSet};

use ordain::kernel::{ActivityCall, Commit, Cx, FactRecord, Family, Input, Policies, Registry, Stepped};
use ordain::model::{Failure, FailureKind, Key, RunId, Timestamp, WorkflowId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::ids::Ids;

/// What is stored of one instance.
struct Row {
    id: WorkflowId,
    parent: Option<WorkflowId>,
    run_id: RunId,
    kind: &'static str,
    snapshot: String,
    facts: Vec<(FactRecord, Timestamp)>,
}

/// A portal with so many invoices in each month, twenty on a page, and an import of it.
struct World {
    per_month: u32,
    family: Family,
    calls: Vec<ActivityCall>,
    rows: BTreeMap<Key, Row>,
    kept: BTreeMap<String, String>,
    fetched: BTreeMap<String, u32>,
    now: i64,
    registry: Registry,
    policies: Policies,
    ids: Ids,
    most_open: usize,
    largest: usize,
    steps: u32,
}

impl World {
    fn new(per_month: u32, first: &str, last: &str) -> Self {
        let (registry, policies, ids) = (ordain::tasks::builtin().registry(), Policies::default(), Ids::default());
        let input = json!({"task_id": "t-1", "fingerprint": "f", "params": {
            "company_id": "acme", "company_name": "Acme", "credentials": {"username": "u", "password": "p"},
            "date_range_start": first, "date_range_end": last,
        }});
        let now = 1_700_000_000_000;
        let cx = Cx { now: Timestamp(now), policies: &policies, registry: &registry, ids: &ids };
        let (family, commit) = Family::start("gdt_invoice_import", WorkflowId::new("t-1"), &input, &cx).unwrap();
        let (rows, kept, fetched) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (most_open, largest, steps, calls) = (0, 0, 0, Vec::new());
        let mut world = Self {
            per_month,
            family,
            calls,
            rows,
            kept,
            fetched,
            now,
            registry,
            policies,
            ids,
            most_open,
            largest,
            steps,
        };
        world.keep(commit);
        world
    }

    fn keep(&mut self, commit: Commit) {
        self.steps += 1;
        for t in commit.transitions {
            let facts: Vec<FactRecord> = serde_json::from_str(&t.facts_json).unwrap();
            let row = self.rows.entry(t.key).or_insert_with(|| Row {
                id: t.id.clone(),
                parent: t.parent.clone(),
                run_id: t.run_id,
                kind: t.kind,
                snapshot: String::new(),
                facts: Vec::new(),
            });
            assert_eq!(t.first_seq, row.facts.len() as u64 + 1, "seq has a gap");
            row.facts.extend(facts.into_iter().map(|fact| (fact, t.at)));
            self.largest = self.largest.max(t.snapshot.len()).max(t.facts_json.len());
            row.snapshot = t.snapshot;
            for result in t.results {
                assert!(self.kept.insert(result.name, result.body).is_none(), "kept twice");
            }
        }
        self.calls.extend(commit.calls);
        self.most_open = self.most_open.max(self.family.members().len() - 1);
    }

    fn feed(&mut self, to: &WorkflowId, input: &Input) -> Result<bool, String> {
        let cx = Cx { now: Timestamp(self.now), policies: &self.policies, registry: &self.registry, ids: &self.ids };
        match self.family.step(to, input, &cx) {
            Err(rejection) => Err(rejection.code.into_owned()),
            Ok(Stepped::Unchanged) => Ok(false),
            Ok(Stepped::Changed { next, commit }) => {
                self.family = next;
                self.keep(commit);
                Ok(true)
            }
        }
    }

    fn root(&self) -> WorkflowId {
        WorkflowId::new("t-1")
    }

    fn state(&self) -> &'static str {
        self.family.root().machine.state_name()
    }

    fn document(&self) -> Value {
        serde_json::from_str(self.family.document(None).unwrap().get()).unwrap()
    }

    fn invoice(&self, month: &str, place: u32) -> Value {
        let day = (place - 1) * 28 / self.per_month.max(1) + 1;
        json!({"id": format!("{month}:{place:05}"), "issued_on": format!("{month}-{day:02}")})
    }

    /// What the portal answers.
    fn answer(&mut self, call: &ActivityCall) -> Value {
        if call.activity == "list_invoices" {
            let (month, page) = (call.input["month"].as_str().unwrap(), call.input["page"].as_u64().unwrap());
            let places = (page - 1) * 20 + 1..=(page * 20).min(u64::from(self.per_month));
            let invoices: Vec<Value> = places.map(|place| self.invoice(month, place as u32)).collect();
            return json!({"invoices": invoices, "pages": self.per_month.div_ceil(20).max(1)});
        }
        let id = call.input["invoice_id"].as_str().unwrap().to_owned();
        *self.fetched.entry(id.clone()).or_default() += 1;
        json!({ "id": id, "lines": [] })
    }

    fn complete(&mut self, index: usize) -> bool {
        let call = self.calls.remove(index);
        let result = self.answer(&call);
        self.now += 1;
        let input = Input::ActivityCompleted { activity: call.activity, attempt: call.attempt, result };
        self.feed(&call.workflow_id, &input).unwrap()
    }

    fn fail(&mut self, index: usize, kind: FailureKind) {
        let call = self.calls.remove(index);
        self.now += 1;
        let failure = Failure::new(kind, "planned");
        let input = Input::ActivityFailed { activity: call.activity, attempt: call.attempt, failure };
        self.feed(&call.workflow_id, &input).unwrap();
    }

    fn wait(&mut self) {
        if let Some(at) = self.family.next_timer() {
            self.now = self.now.max(at.0);
            self.feed(&self.root(), &Input::Tick).unwrap();
        }
    }

    /// The process is killed: what is not stored is gone, and what is outstanding is called again.
    fn kill(&mut self) {
        let members = self.rows.iter().filter_map(|(key, row)| {
            let machine = self.registry.restore(row.kind, &row.snapshot).unwrap();
            (row.parent.is_none() || !machine.is_terminal()).then_some(ordain::kernel::Member { key: *key, machine })
        });
        self.family = Family::restored(members.collect()).unwrap();
        self.calls = self.family.outstanding();
    }

    fn check(&self) {
        for row in self.rows.values() {
            let facts = row.facts.iter().map(|(fact, at)| (fact, *at));
            let folded = self.registry.fold(row.kind, &row.id, row.run_id, row.parent.clone(), facts).unwrap();
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(value(&folded.snapshot().unwrap()), value(&row.snapshot));
        }
        let root = &self.family.root().machine;
        assert_eq!(root.waiting_for().is_empty(), root.is_terminal());
        if root.is_terminal() {
            assert_eq!((self.family.members().len(), self.family.outstanding().len()), (1, 0), "a child is left");
        }
    }

    /// Lets everything go well until it ends.
    fn run(&mut self) {
        let mut steps = 0;
        while self.state() == "running" {
            if self.calls.is_empty() {
                self.wait();
            } else {
                self.complete(0);
            }
            steps += 1;
            assert!(steps < 500_000, "it does not end");
        }
    }

    fn expected(&self, months: &[&str], first: &str, last: &str) -> BTreeSet<String> {
        let all = months.iter().flat_map(|month| (1..=self.per_month).map(|place| self.invoice(month, place)));
        all.filter(|i| (first..=last).contains(&i["issued_on"].as_str().unwrap()))
            .map(|i| i["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[derive(Debug, Clone)]
enum Event {
    Complete(prop::sample::Index),
    Fail(prop::sample::Index, FailureKind),
    Wait,
    Kill,
    Pause,
    Resume,
    Crash,
    Retry,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let kind = prop_oneof![
        Just(FailureKind::RateLimited),
        Just(FailureKind::Timeout),
        Just(FailureKind::Unreachable),
        Just(FailureKind::UnknownOutcome),
    ];
    let event = prop_oneof![
        20 => any::<prop::sample::Index>().prop_map(Event::Complete),
        4 => (any::<prop::sample::Index>(), kind).prop_map(|(index, kind)| Event::Fail(index, kind)),
        4 => Just(Event::Wait),
        1 => Just(Event::Kill),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => Just(Event::Crash),
        2 => Just(Event::Retry),
    ];
    prop::collection::vec(event, 0..150)
}

fn live(world: &mut World, events: &[Event]) {
    let root = world.root();
    for event in events {
        match event {
            Event::Complete(index) if !world.calls.is_empty() => {
                world.complete(index.index(world.calls.len()));
            }
            Event::Fail(index, kind) if !world.calls.is_empty() => world.fail(index.index(world.calls.len()), *kind),
            Event::Complete(_) | Event::Fail(..) | Event::Wait => world.wait(),
            Event::Kill => world.kill(),
            Event::Pause => drop(world.feed(&root, &Input::Pause)),
            Event::Resume => drop(world.feed(&root, &Input::Resume)),
            Event::Crash => drop(world.feed(&root, &Input::Crashed { reason: "planned".into() })),
            Event::Retry => drop(world.feed(&root, &Input::Retry)),
        }
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_every_invoice_is_kept_once(per_month in 0_u32..90, events in events()) {
        let (first, last) = ("2023-12-10", "2024-02-20");
        let mut world = World::new(per_month, first, last);
        live(&mut world, &events);
        let root = world.root();
        let _not_stuck = world.feed(&root, &Input::Retry);
        let _not_paused = world.feed(&root, &Input::Resume);
        world.kill();
        world.run();
        world.check();
        prop_assert_eq!(world.state(), "completed");
        let expected = world.expected(&["2023-12", "2024-01", "2024-02"], first, last);
        let kept: BTreeSet<String> = world.kept.keys().cloned().collect();
        prop_assert_eq!(&kept, &expected);
        let progress = &world.document()["progress"];
        prop_assert_eq!(&progress["done"], &json!(expected.len()));
        prop_assert_eq!(&progress["total"], &json!(expected.len()));
    }

    #[test]
    fn a_cancel_at_any_moment_ends_all_of_it(per_month in 0_u32..90, events in events()) {
        let mut world = World::new(per_month, "2024-01-01", "2024-02-29");
        live(&mut world, &events);
        let root = world.root();
        let was_running = world.state() == "running" || world.state() == "stuck";
        let cancelled = world.feed(&root, &Input::Signal { name: "cancel".into(), payload: json!({}) });
        prop_assert_eq!(cancelled.is_ok(), was_running);
        world.check();
        if was_running {
            prop_assert_eq!(world.state(), "cancelled");
            let kept = world.kept.len();
            for _ in 0..world.calls.len() {
                prop_assert!(!world.complete(0), "what comes later changes nothing");
            }
            prop_assert_eq!(world.kept.len(), kept);
        }
    }
}

#[test]
fn what_is_kept_of_one_step_does_not_grow_with_the_number_of_invoices() {
    let sizes: Vec<(usize, usize)> = [200, 2_000]
        .map(|per_month| {
            let mut world = World::new(per_month, "2024-01-01", "2024-03-31");
            world.run();
            assert_eq!(world.kept.len() as u32, 3 * per_month);
            assert!(world.fetched.values().all(|times| *times == 1));
            (world.most_open, world.largest)
        })
        .into();
    let [(open, small), (most_open, large)] = sizes[..] else { panic!() };
    assert!(open >= 12 && most_open == open && most_open <= 28, "{sizes:?}");
    // A few more digits.
    assert!(large <= small + 200 && large < 8_192, "{sizes:?}");
}

#[test]
fn the_count_comes_first_and_costs_two_pages_a_whole_month() {
    let mut world = World::new(90, "2024-01-01", "2024-02-29");
    let mut listed = Vec::new();
    while world.document()["progress"]["total"].is_null() {
        listed.push((world.calls[0].input["month"].clone(), world.calls[0].input["page"].clone()));
        world.complete(0);
    }
    let expected = [("2024-01", 1), ("2024-01", 5), ("2024-02", 1), ("2024-02", 5)];
    assert_eq!(listed, expected.map(|(month, page)| (json!(month), json!(page))));
    assert_eq!(world.document()["progress"], json!({"done": 0, "total": 180, "message": "importing 2024-01"}));
    // While it runs, what the open batches have counts too.
    for _ in 0..30 {
        world.complete(0);
    }
    let progress = world.document()["progress"].clone();
    assert_eq!(progress["done"], json!(world.kept.len()));
    world.run();
    assert_eq!(world.document()["result"], json!({"invoices": 180, "months": 2}));
}

#[test]
fn one_invoice_that_cannot_be_fetched_fails_the_import_and_stops_the_others() {
    let mut world = World::new(40, "2024-01-01", "2024-01-31");
    while !world.calls.iter().any(|call| call.activity == "fetch_invoice") {
        world.complete(0);
    }
    let index = world.calls.iter().position(|call| call.activity == "fetch_invoice").unwrap();
    world.fail(index, FailureKind::Refused);
    world.check();
    let document = world.document();
    assert_eq!((&document["status"], &document["error"]["kind"]), (&json!("failed"), &json!("refused")));
    assert_eq!(document["error"]["activity"], "fetch_invoice");
}

#[test]
fn a_portal_that_lies_about_its_pages_ends_the_import_all_the_same() {
    let mut world = World::new(40, "2024-01-01", "2024-01-31");
    let call = world.calls.remove(0);
    let lie = json!({"invoices": [{"id": "a"}, {"id": "a"}, {"id": "b", "issued_on": "2030-01-01"}], "pages": 4_000_000_000_u32});
    world
        .feed(&call.workflow_id, &Input::ActivityCompleted { activity: call.activity, attempt: 1, result: lie })
        .unwrap();
    world.per_month = 0;
    world.run();
    assert_eq!((world.state(), world.document()["progress"]["total"].clone()), ("completed", json!(0)));
    let mut world = World::new(40, "2024-01-01", "2024-01-31");
    let call = world.calls.remove(0);
    let garbage = Input::ActivityCompleted { activity: call.activity, attempt: 1, result: json!({"odd": true}) };
    world.feed(&call.workflow_id, &garbage).unwrap();
    assert_eq!(world.state(), "failed");
}

/// A history of it stays in `tests/golden/histories`, where `golden_histories.rs` folds it for as long as there is ordain.
#[test]
fn a_history_is_kept_for_later_versions() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/histories/import_completed.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        let mut world = World::new(7, "2024-01-15", "2024-02-29");
        while world.fetched.len() < 3 {
            world.complete(0);
        }
        world.fail(0, FailureKind::RateLimited);
        world.wait();
        world.run();
        let rows = world.rows.values().map(|row| {
            let facts = (1..)
                .zip(&row.facts)
                .map(|(seq, (fact, at))| json!({"seq": seq, "at": at, "type": fact.kind, "data": fact.data}));
            let snapshot: Value = serde_json::from_str(&row.snapshot).unwrap();
            let machine = world.registry.restore(row.kind, &row.snapshot).unwrap();
            json!({
                "kind": row.kind, "id": row.id, "run_id": row.run_id, "parent": row.parent,
                "state": machine.state_name(), "facts": facts.collect::<Vec<_>>(), "snapshot": snapshot,
            })
        });
        let text = serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    assert!(path.exists());
}
