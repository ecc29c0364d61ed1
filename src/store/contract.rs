//! What every store promises, whatever the database, as a suite for the tests of an implementation.
//!
//! It runs the real kernel and the real workflows, and panics where a promise is broken. [`suite`] takes a function that
//! opens a database by name, making it where there is none, and opens the same database when it is called again.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // A broken promise is a failed test.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kernel::{Commit, Cx, Family, IdSource, Input, Policies, Registry, Stepped};
use crate::model::{Key, OrderId, ResultRow, RunId, Timestamp, WorkflowId};
use crate::store::{
    Conflict, EventsOf, KindFilter, OrderFilter, Sort, SortField, Store, StoreError, StoredAnswer, StoredEvent,
    StoredQueue, Unit, Verdict,
};
use crate::workflows;

/// Gives keys from a start, and run ids that tell them apart.
struct Ids(Cell<i64>);

impl IdSource for Ids {
    fn key(&self) -> Key {
        self.0.set(self.0.get() + 1);
        Key(self.0.get() - 1)
    }

    fn run_id(&self) -> RunId {
        RunId(uuid::Uuid::from_u128(self.0.get() as u128))
    }
}

/// Makes commits as the engine does: with the real kernel and the real workflows.
struct Maker {
    ids: Ids,
    registry: Registry,
    policies: Policies,
    now: Cell<i64>,
}

impl Maker {
    fn new(next: Key) -> Self {
        let (registry, policies) = (workflows::registry(), Policies::default());
        Self { ids: Ids(Cell::new(next.0)), registry, policies, now: Cell::new(1_000_000) }
    }

    fn cx(&self) -> Cx<'_> {
        self.now.set(self.now.get() + 1);
        Cx { now: Timestamp(self.now.get()), policies: &self.policies, registry: &self.registry, ids: &self.ids }
    }

    fn start(&self, order: &str, payment: &str) -> (Family, Unit) {
        let input = json!({
            "order_id": order, "payment_id": payment, "amount": "49.90", "currency": "USD", "address": "1 Main",
            "review": {"mode": "auto", "auto_ms": 0}, "deadline_ms": 60_000, "fingerprint": "f",
            "metadata": {"shop": "a\"b.c", "vip": true},
        });
        let (family, commit) = Family::start("order", id(order), &input, &self.cx()).unwrap();
        (family, unit(commit))
    }

    fn step(&self, family: &Family, to: &WorkflowId, input: &Input) -> (Family, Unit) {
        match family.step(to, input, &self.cx()).unwrap() {
            Stepped::Changed { next, commit } => (next, unit(commit)),
            Stepped::Unchanged => panic!("{input:?} changed nothing"),
        }
    }

    /// The next result that is waited for arrives.
    fn advance(&self, family: &Family) -> (Family, Unit) {
        let call = family.outstanding().remove(0);
        let done = Input::ActivityCompleted { activity: call.activity, attempt: call.attempt, result: Value::Null };
        self.step(family, &call.workflow_id, &done)
    }
}

fn id(order: &str) -> WorkflowId {
    OrderId::parse(order).unwrap().workflow()
}

fn unit(commit: Commit) -> Unit {
    Unit { transitions: commit.transitions, ..Unit::default() }
}

fn answer(key: &str) -> Option<StoredAnswer> {
    let text = |t: &str| t.to_owned();
    Some(StoredAnswer { key: text(key), fingerprint: text("f"), outcome: text("{}"), at: Timestamp(1) })
}

/// The first transition of an order, as the engine would store it.
pub fn start_of(order: &str, payment: &str, store: &Store) -> Unit {
    Maker::new(store.next_key).start(order, payment).1
}

/// Runs every promise.
pub fn suite(open: &dyn Fn(&str) -> Store) {
    a_whole_life_is_read_back_as_it_was_written(open("life"));
    conflicts_leave_a_unit_out_whole_and_the_rest_in(open("conflicts"));
    what_is_stored_survives_reopening_and_keys_go_on(open);
    families_are_due_in_order_and_page_by_page(open("due"));
    lists_page_without_loss_or_repetition(open("lists"));
    lists_by_kind_are_newest_first_and_leave_out_all_others(open("kinds"));
    a_transition_is_stored_once(open("once"));
    answers_are_kept_and_forgotten(open("answers"));
    events_are_numbered_without_gaps_over_all_histories(open);
    a_batch_of_many_orders_is_counted_right(open("several"));
    what_is_outstanding_is_told_by_queue(open("outstanding"));
    what_was_changed_of_queues_and_the_secret_survive(open);
    results_come_with_their_unit_once_under_a_name_and_are_read_by_name(open("results"));
}

fn results_come_with_their_unit_once_under_a_name_and_are_read_by_name(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let row = |name: &str, body: &str| ResultRow { name: name.to_owned(), body: body.to_owned() };
    let (family, mut first) = maker.start("o-1", "p-1");
    first.transitions[0].results = vec![row("b", "1"), row("a", "2"), row("b", "3")];
    let (_, mut taken) = maker.start("o-1", "p-2");
    taken.transitions[0].results = vec![row("z", "0")];
    let (_, other) = maker.start("o-2", "p-3");
    let verdicts = store.journal.append(&[first, taken, other]).unwrap();
    assert_eq!(verdicts[1], Verdict::Conflict(Conflict::WorkflowExists));
    let (_, mut second) = maker.advance(&family);
    second.transitions[0].results = vec![row("B", "4"), row("a", "5"), row("ä", "6")];
    store.journal.append(&[second]).unwrap();
    let read = |of: &str, after: &str, limit| store.queries.results(&id(of), after, limit).unwrap();
    let all = vec![row("B", "4"), row("a", "2"), row("b", "1"), row("ä", "6")];
    assert_eq!(read("o-1", "", 10), Some(all.clone()));
    assert_eq!(read("o-1", "B", 2), Some(all[1..3].to_vec()));
    assert_eq!((read("o-2", "", 10), read("o-3", "", 10)), (Some(Vec::new()), None));
}

fn what_is_outstanding_is_told_by_queue(mut store: Store) {
    let maker = Maker::new(store.next_key);
    assert_eq!(store.queries.outstanding().unwrap(), []);
    let mut oldest = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (n, steps) in [0, 2, 4, 4, 5, 20].into_iter().enumerate() {
        let (mut family, first) = maker.start(&format!("o-{n}"), &format!("p-{n}"));
        store.journal.append(&[first]).unwrap();
        for _ in 0..steps {
            if !family.root().machine.is_terminal() {
                let (next, unit) = maker.advance(&family);
                store.journal.append(&[unit]).unwrap();
                family = next;
            }
        }
        for call in family.outstanding() {
            *counts.entry(call.queue.to_string()).or_default() += 1;
            let first = oldest.entry(call.queue.to_string()).or_insert(call.scheduled_at);
            *first = (*first).min(call.scheduled_at);
        }
    }
    assert!(counts.len() > 1, "{counts:?}");
    let loads = store.queries.outstanding().unwrap();
    assert_eq!(loads.iter().map(|load| (load.queue.clone(), load.calls)).collect::<BTreeMap<_, _>>(), counts);
    assert_eq!(loads.into_iter().map(|load| (load.queue, load.oldest)).collect::<BTreeMap<_, _>>(), oldest);
}

fn what_was_changed_of_queues_and_the_secret_survive(open: &dyn Fn(&str) -> Store) {
    let queue = |name: &str, change: &str| StoredQueue { name: name.to_owned(), change: change.to_owned() };
    let mut store = open("queues");
    let secret = store.secret.clone();
    assert!(secret.len() >= 32 && store.queues.is_empty());
    for kept in [queue("b", "{}"), queue("a", "{\"paused\":true}"), queue("b", "{\"paused\":false}")] {
        store.journal.put_queue(&kept).unwrap();
    }
    drop(store);
    let store = open("queues");
    assert_eq!(store.queues, [queue("a", "{\"paused\":true}"), queue("b", "{\"paused\":false}")]);
    assert_eq!(store.secret, secret);
    assert_ne!(open("another").secret, secret);
}

fn a_whole_life_is_read_back_as_it_was_written(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let (mut family, first) = maker.start("o-1", "p-1");
    let mut facts = u64::from(first.transitions[0].facts);
    assert_eq!(store.journal.append(&[first]).unwrap(), [Verdict::Stored]);
    while !family.root().machine.is_terminal() {
        let (next, unit) = maker.advance(&family);
        let mine = unit.transitions.iter().filter(|t| t.id == id("o-1"));
        facts += mine.map(|t| u64::from(t.facts)).sum::<u64>();
        let members = next.members().len();
        store.journal.append(&[unit]).unwrap();
        family = next;
        // Read-your-write: the rows are those of the last commit, open children with their parent.
        let rows = store.queries.family(&id("o-1")).unwrap();
        assert_eq!(rows.len(), members);
        for (row, member) in rows.iter().zip(family.members()) {
            assert_eq!((row.key, row.snapshot.clone()), (member.key, member.machine.snapshot().unwrap()));
            assert_eq!((row.state.as_str(), row.seq), (member.machine.state_name(), member.machine.core().seq));
        }
    }
    let history = store.queries.history(&id("o-1"), 0, 1_000).unwrap().unwrap();
    assert_eq!(history.iter().map(|f| f.seq).collect::<Vec<_>>(), (1..=facts).collect::<Vec<_>>());
    // Any page is a part of the whole, wherever it begins.
    for after in 0..=facts {
        let page = store.queries.history(&id("o-1"), after, 3).unwrap().unwrap();
        let expected: Vec<u64> = (after + 1..=facts).take(3).collect();
        assert_eq!(page.iter().map(|f| f.seq).collect::<Vec<_>>(), expected, "after {after}");
    }
    let folded = history.iter().map(|f| (&f.fact, f.at));
    let row = store.queries.workflow(&id("o-1")).unwrap().unwrap();
    let machine = maker.registry.fold(&row.kind, &row.id, row.run_id, row.parent.clone(), folded).unwrap();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(&machine.snapshot().unwrap()), json(&row.snapshot));
    let child = store.queries.workflow(&id("o-1").child("shipping", 1)).unwrap().unwrap();
    assert_eq!((child.root, child.parent.as_ref(), child.state.as_str()), (row.key, Some(&row.id), "dispatched"));
    let payment = store.queries.payment(&id("o-1")).unwrap().unwrap();
    assert_eq!(
        (payment.payment_id.as_str(), payment.status.as_str(), payment.amount.as_str()),
        ("p-1", "charged", "49.90")
    );
    let counted = |kind: &str, state: &str, n| BTreeMap::from([(kind.to_owned(), (state.to_owned(), n))]);
    let stats = store.queries.stats().unwrap();
    for (kind, (state, n)) in counted("order", "completed", 1).into_iter().chain(counted("shipping", "dispatched", 1)) {
        assert_eq!(stats[&kind][&state], n);
        assert!(stats[&kind].iter().all(|(name, n)| *name == state || *n == 0), "{stats:?}");
    }
    assert!(store.queries.history(&id("nobody"), 0, 1).unwrap().is_none());
    assert!(store.queries.family(&id("nobody")).unwrap().is_empty());
}

fn conflicts_leave_a_unit_out_whole_and_the_rest_in(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let verdicts = |store: &mut Store, units: Vec<Unit>| store.journal.append(&units).unwrap();
    let keyed = |mut unit: Unit, key| {
        unit.answer = answer(key);
        unit
    };
    let first = keyed(maker.start("o-1", "p-1").1, "k-1");
    assert_eq!(verdicts(&mut store, vec![first]), [Verdict::Stored]);
    let batch = vec![
        maker.start("o-1", "p-9").1,
        maker.start("o-2", "p-1").1,
        keyed(maker.start("o-3", "p-3").1, "k-1"),
        maker.start("o-4", "p-4").1,
        // Within the batch the first wins.
        maker.start("o-4", "p-5").1,
        maker.start("o-5", "p-4").1,
        keyed(maker.start("o-6", "p-6").1, "k-6"),
        keyed(Unit::default(), "k-6"),
    ];
    let held = |p: &str| Verdict::Conflict(Conflict::PaymentInUse(crate::model::PaymentId::parse(p).unwrap()));
    let expected = [
        Verdict::Conflict(Conflict::WorkflowExists),
        held("p-1"),
        Verdict::Conflict(Conflict::KeyUsed),
        Verdict::Stored,
        Verdict::Conflict(Conflict::WorkflowExists),
        held("p-4"),
        Verdict::Stored,
        Verdict::Conflict(Conflict::KeyUsed),
    ];
    assert_eq!(verdicts(&mut store, batch), expected);
    for (order, there) in [("o-1", 1), ("o-2", 0), ("o-3", 0), ("o-4", 1), ("o-5", 0), ("o-6", 1)] {
        assert_eq!(store.queries.family(&id(order)).unwrap().len(), there, "{order}");
    }
    assert_eq!(store.queries.stats().unwrap()["order"]["received"], 3);
    assert_eq!(store.queries.payment(&id("o-4")).unwrap().unwrap().payment_id, "p-4");
}

fn what_is_stored_survives_reopening_and_keys_go_on(open: &dyn Fn(&str) -> Store) {
    let mut store = open("again");
    let maker = Maker::new(store.next_key);
    store.journal.append(&[maker.start("o-1", "p-1").1, maker.start("o-2", "p-2").1]).unwrap();
    drop(store);
    let mut store = open("again");
    let rows = store.queries.scan(Key(0), 10).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.key < store.next_key));
    let maker = Maker::new(store.next_key);
    store.journal.append(&[maker.start("o-3", "p-3").1]).unwrap();
    assert_eq!(store.queries.scan(rows[1].key, 10).unwrap().len(), 1);
}

fn families_are_due_in_order_and_page_by_page(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let mut units = Vec::new();
    for n in 0..7 {
        let (family, unit) = maker.start(&format!("o-{n}"), &format!("p-{n}"));
        units.push(unit);
        if n % 2 == 0 {
            // Paused with nothing outstanding, it waits for a signal alone.
            let (family, unit) = maker.advance(&family);
            units.push(unit);
            let failed = family.outstanding().remove(0);
            let failure = crate::model::Failure::new(crate::model::FailureKind::Timeout, "late");
            let input = Input::ActivityFailed { activity: failed.activity, attempt: failed.attempt, failure };
            units.push(maker.step(&family, &id(&format!("o-{n}")), &input).1);
        }
    }
    for unit in units {
        store.journal.append(&[unit]).unwrap();
    }
    let q = &store.queries;
    let far = Timestamp(i64::MAX);
    let mut all = Vec::new();
    let mut after = (Timestamp(-1), Key(i64::MAX));
    loop {
        let page = q.due(after, far, 2).unwrap();
        let Some(last) = page.last() else { break };
        after = (last.at, last.key);
        all.extend(page);
    }
    assert_eq!(all.len(), 7);
    assert!(all.windows(2).all(|w| (w[0].at, w[0].key) < (w[1].at, w[1].key)));
    assert_eq!(all.iter().filter(|due| due.at == Timestamp(0)).count(), 3, "a call outstanding: due at once");
    let first_later = all.iter().map(|due| due.at).find(|at| at.0 > 0);
    assert_eq!(q.next_due(Timestamp(0)).unwrap(), first_later);
    assert_eq!(q.next_due(all[6].at).unwrap(), None);
    assert_eq!(q.due((Timestamp(-1), Key(0)), Timestamp(0), 10).unwrap().len(), 3);
    let roots: Vec<WorkflowId> = (0..7).map(|n| id(&format!("o-{n}"))).chain([id("nobody")]).collect();
    assert_eq!(q.families(&roots).unwrap().len(), 7);
}

fn lists_page_without_loss_or_repetition(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let units: Vec<Unit> = (0..23).map(|n| maker.start(&format!("o-{n:02}"), &format!("p-{n}")).1).collect();
    store.journal.append(&units).unwrap();
    let indexed = [SortField::CreatedAt, SortField::UpdatedAt, SortField::OrderId, SortField::State];
    let windowed = [SortField::Amount, SortField::Attempts, SortField::Address, SortField::UpdatedAt, SortField::State];
    let sorts = indexed.map(|field| (field, false)).into_iter().chain(windowed.map(|field| (field, true)));
    for (field, bounded) in sorts {
        for descending in [true, false] {
            let sort = Sort { field, descending };
            let mut filter = OrderFilter { sort, bounded, limit: 5, ..OrderFilter::default() };
            let mut seen: Vec<WorkflowId> = Vec::new();
            loop {
                let page = store.queries.orders(&filter).unwrap();
                seen.extend(page.orders.iter().map(|family| family[0].id.clone()));
                filter.cursor = page.next;
                if filter.cursor.is_none() {
                    break;
                }
            }
            let mut expected: Vec<WorkflowId> = (0..23).map(|n| id(&format!("o-{n:02}"))).collect();
            if descending {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{sort:?}");
        }
    }
    let found = |filter: OrderFilter| store.queries.orders(&OrderFilter { limit: 50, ..filter }).unwrap().orders.len();
    let with = |key: &str, value: &str| OrderFilter {
        metadata: vec![(key.to_owned(), value.to_owned())],
        ..OrderFilter::default()
    };
    let retrying = |yes: bool| OrderFilter { retrying: Some(yes), ..OrderFilter::default() };
    assert_eq!((found(retrying(true)), found(retrying(false))), (0, 23));
    let by_deadline = Sort { field: SortField::Deadline, descending: false };
    let listed = store.queries.orders(&OrderFilter { sort: by_deadline, limit: 50, ..OrderFilter::default() }).unwrap();
    assert!(listed.orders.len() <= 23 && listed.sorted_within.is_none());
    assert_eq!(found(with("shop", "a\"b.c")), 23);
    assert_eq!(found(with("vip", "true")), 23);
    assert_eq!(found(with("shop", "other")), 0);
    assert_eq!(found(OrderFilter { q: Some("%".to_owned()), ..OrderFilter::default() }), 0, "not a wildcard");
    assert_eq!(found(OrderFilter { q: Some("o_0".to_owned()), ..OrderFilter::default() }), 0, "nor is this");
    assert_eq!(found(OrderFilter { q: Some("O-0".to_owned()), ..OrderFilter::default() }), 10);
}

fn lists_by_kind_are_newest_first_and_leave_out_all_others(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let mut jobs = Vec::new();
    for n in 0..9 {
        let (_, order) = maker.start(&format!("o-{n}"), &format!("p-{n}"));
        let job = format!("job-{n}");
        let input = json!({"job_id": job, "numbers": ["1"], "fingerprint": "f"});
        let (family, started) = Family::start("job", id(&job), &input, &maker.cx()).unwrap();
        store.journal.append(&[order, unit(started)]).unwrap();
        if n % 3 == 0 {
            let cancel = Input::Signal { name: "cancel".into(), payload: Value::Null };
            let (_, cancelled) = maker.step(&family, &id(&job), &cancel);
            store.journal.append(&[cancelled]).unwrap();
        }
        jobs.insert(0, job);
    }
    let all = |kinds: &[&'static str], states: &[&str], limit| {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let states = states.iter().map(|s| (*s).to_owned()).collect();
            let filter = KindFilter { kinds: kinds.to_vec(), owner: None, states, before, limit };
            let page = store.queries.of_kinds(&filter).unwrap();
            assert!(page.families.len() <= limit);
            found.extend(page.families.iter().map(|family| family[0].id.as_str().to_owned()));
            match page.next {
                Some(next) => before = Some(next),
                None => return found,
            }
        }
    };
    for limit in [1, 2, 3, 9, 100] {
        assert_eq!(all(&["job"], &[], limit), jobs);
        assert_eq!(all(&["none", "job"], &[], limit), jobs);
        assert_eq!(all(&["job"], &["cancelled", "failed"], limit), ["job-6", "job-3", "job-0"]);
    }
    assert_eq!(all(&["none"], &[], 5).len() + all(&[], &[], 5).len(), 0);
}

fn a_transition_is_stored_once(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let (family, unit) = maker.start("o-1", "p-1");
    store.journal.append(&[unit]).unwrap();
    let (_, second) = maker.advance(&family);
    store.journal.append(std::slice::from_ref(&second)).unwrap();
    // A writer whose memory is behind the disk cannot write over it, and takes nobody down with it.
    let other = maker.start("o-2", "p-2").1;
    let refused = store.journal.append(&[second.clone(), other.clone()]);
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert!(store.queries.family(&id("o-2")).unwrap().is_empty(), "a refused batch leaves nothing");
    assert_eq!(store.journal.append(&[other]).unwrap(), [Verdict::Stored]);
}

fn answers_are_kept_and_forgotten(mut store: Store) {
    let unit = Unit { answer: answer("k"), ..Unit::default() };
    assert_eq!(store.journal.append(&[unit]).unwrap(), [Verdict::Stored]);
    assert_eq!(store.queries.answer("k").unwrap(), answer("k"));
    assert_eq!(store.queries.answer("other").unwrap(), None);
    assert_eq!(store.journal.forget_answers(Timestamp(1)).unwrap(), 0);
    assert_eq!(store.journal.forget_answers(Timestamp(2)).unwrap(), 1);
    assert_eq!(store.queries.answer("k").unwrap(), None);
}

fn a_batch_of_many_orders_is_counted_right(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let orders: Vec<_> = (0..3).map(|n| maker.start(&format!("o-{n}"), &format!("p-{n}"))).collect();
    let (families, units): (Vec<_>, Vec<_>) = orders.into_iter().unzip();
    assert_eq!(store.journal.append(&units).unwrap(), vec![Verdict::Stored; 3]);
    let units: Vec<Unit> = families.iter().map(|family| maker.advance(family).1).collect();
    assert_eq!(store.journal.append(&units).unwrap(), vec![Verdict::Stored; 3]);
    let stats = store.queries.stats().unwrap();
    assert_eq!(stats["order"].values().sum::<i64>(), 3);
}

fn events_are_numbered_without_gaps_over_all_histories(open: &dyn Fn(&str) -> Store) {
    let mut store = open("events");
    assert_eq!(store.journal.last_event(), 0);
    let maker = Maker::new(store.next_key);
    let (one, first) = maker.start("o-1", "p-1");
    let (two, second) = maker.start("o-2", "p-2");
    let again = maker.start("o-1", "p-3").1;
    store.journal.append(&[first, again, second]).unwrap();
    let mut families = [one, two];
    while !families[0].root().machine.is_terminal() {
        for family in &mut families {
            let (next, unit) = maker.advance(family);
            store.journal.append(&[unit]).unwrap();
            *family = next;
        }
    }
    let q = &store.queries;
    let all = q.events(&EventsOf::All, 0, 1_000).unwrap();
    let last = store.journal.last_event();
    assert_eq!(all.iter().map(|e| e.id).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    let family = |e: &&StoredEvent| e.order_id.root() == "o-1";
    let own = |e: &&StoredEvent| e.order_id.as_str() == "o-1";
    let (family, own): (Vec<_>, Vec<_>) = (all.iter().filter(family).collect(), all.iter().filter(own).collect());
    assert!(own.len() < family.len() && family.len() < all.len());
    let ids = |events: &[&StoredEvent], after: u64| events.iter().map(|e| e.id).filter(|id| *id > after).collect();
    for after in 0..=last + 1 {
        for (of, expected) in [
            (EventsOf::All, ids(&all.iter().collect::<Vec<_>>(), after)),
            (EventsOf::Family(id("o-1")), ids(&family, after)),
            (EventsOf::Instance(id("o-1")), ids(&own, after)),
            (EventsOf::Instance(id("nobody")), Vec::new()),
        ] {
            // Page by page, beginning anywhere.
            let mut seen: Vec<u64> = Vec::new();
            loop {
                let page = q.events(&of, seen.last().copied().unwrap_or(after), 2).unwrap();
                seen.extend(page.iter().map(|e| e.id));
                if page.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{of:?} after {after}");
        }
    }
    let history = q.history(&id("o-1"), 0, 1_000).unwrap().unwrap();
    let told = |seq: u64, fact: &crate::kernel::FactRecord| (seq, fact.kind.clone(), fact.data.get().to_owned());
    let streamed: Vec<_> = own.iter().map(|e| told(e.seq, &e.fact)).collect();
    assert_eq!(streamed, history.iter().map(|f| told(f.seq, &f.fact)).collect::<Vec<_>>());
    drop(store);
    assert_eq!(open("events").journal.last_event(), last);
}
