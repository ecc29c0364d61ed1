//! What a store promises of what is written: whole or not at all, once, and still there later.

use ordain::model::{Key, ResultRow, Timestamp};
use ordain::store::{Conflict, Store, StoreError, StoredAnswer, StoredQueue, Unit, Verdict};

use crate::maker::{Maker, id};

fn answer(key: &str) -> Option<StoredAnswer> {
    let text = |t: &str| t.to_owned();
    Some(StoredAnswer { key: text(key), fingerprint: text("f"), outcome: text("{}"), at: Timestamp(1) })
}

pub fn conflicts_leave_a_unit_out_whole_and_the_rest_in(mut store: Store) {
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
    let held = |p: &str| Verdict::Conflict(Conflict::PaymentInUse(ordain::model::PaymentId::parse(p).unwrap()));
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

pub fn what_is_stored_survives_reopening_and_keys_go_on(open: &dyn Fn(&str) -> Store) {
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

pub fn a_transition_is_stored_once(mut store: Store) {
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

pub fn answers_are_kept_and_forgotten(mut store: Store) {
    let unit = Unit { answer: answer("k"), ..Unit::default() };
    assert_eq!(store.journal.append(&[unit]).unwrap(), [Verdict::Stored]);
    assert_eq!(store.queries.answer("k").unwrap(), answer("k"));
    assert_eq!(store.queries.answer("other").unwrap(), None);
    assert_eq!(store.journal.forget_answers(Timestamp(1)).unwrap(), 0);
    assert_eq!(store.journal.forget_answers(Timestamp(2)).unwrap(), 1);
    assert_eq!(store.queries.answer("k").unwrap(), None);
}

pub fn a_batch_of_many_orders_is_counted_right(mut store: Store) {
    let maker = Maker::new(store.next_key);
    let orders: Vec<_> = (0..3).map(|n| maker.start(&format!("o-{n}"), &format!("p-{n}"))).collect();
    let (families, units): (Vec<_>, Vec<_>) = orders.into_iter().unzip();
    assert_eq!(store.journal.append(&units).unwrap(), vec![Verdict::Stored; 3]);
    let units: Vec<Unit> = families.iter().map(|family| maker.advance(family).1).collect();
    assert_eq!(store.journal.append(&units).unwrap(), vec![Verdict::Stored; 3]);
    let stats = store.queries.stats().unwrap();
    assert_eq!(stats["order"].values().sum::<i64>(), 3);
}

pub fn what_was_changed_of_queues_and_the_secret_survive(open: &dyn Fn(&str) -> Store) {
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

pub fn results_come_with_their_unit_once_under_a_name_and_are_read_by_name(mut store: Store) {
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
