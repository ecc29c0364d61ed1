//! What a store promises of what is read: as it was written, in order, page by page.

use std::collections::BTreeMap;

use ordain::kernel::{Family, Input};
use ordain::model::{Key, Timestamp, WorkflowId};
use ordain::store::{EventsOf, KindFilter, OrderFilter, Sort, SortField, Store, StoredEvent, Unit, Verdict};
use serde_json::{Value, json};

use crate::maker::{Maker, id, unit};

pub fn a_whole_life_is_read_back_as_it_was_written(mut store: Store) {
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

pub fn families_are_due_in_order_and_page_by_page(mut store: Store) {
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
            let failure = ordain::model::Failure::new(ordain::model::FailureKind::Timeout, "late");
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

pub fn lists_page_without_loss_or_repetition(mut store: Store) {
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

pub fn lists_by_kind_are_newest_first_and_leave_out_all_others(mut store: Store) {
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

pub fn events_are_numbered_without_gaps_over_all_histories(open: &dyn Fn(&str) -> Store) {
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
    let told = |seq: u64, fact: &ordain::kernel::FactRecord| (seq, fact.kind.clone(), fact.data.get().to_owned());
    let streamed: Vec<_> = own.iter().map(|e| told(e.seq, &e.fact)).collect();
    assert_eq!(streamed, history.iter().map(|f| told(f.seq, &f.fact)).collect::<Vec<_>>());
    drop(store);
    assert_eq!(open("events").journal.last_event(), last);
}

pub fn what_is_outstanding_is_told_by_queue(mut store: Store) {
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
