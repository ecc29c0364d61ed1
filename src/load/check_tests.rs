use std::time::Duration;

use diesel::connection::SimpleConnection as _;

use super::*;
use crate::load::LoadOptions;
use crate::load::scratch::Scratch;

/// The public tables, as far as the check reads them.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE orders (id TEXT PRIMARY KEY, state TEXT NOT NULL);
    CREATE TABLE payments (payment_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, status TEXT NOT NULL);
    CREATE TABLE shipments (id TEXT PRIMARY KEY, order_id TEXT NOT NULL, state TEXT NOT NULL);
    CREATE TABLE events (id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL);";

/// A database of three orders: 0 completed, 1 cancelled after its charge, 2 failed before it; and one of someone else.
struct World {
    folder: Scratch,
    orders: Orders,
    tally: Tally,
}

impl World {
    fn new() -> Self {
        let orders = Orders::new(&LoadOptions::default());
        let mut tally = Tally::new(3).unwrap();
        for (number, state) in [(0, "completed"), (1, "cancelled"), (2, "failed")] {
            tally.accept(number, Duration::ZERO, Duration::ZERO);
            tally.end(number, state, Duration::ZERO, Duration::ZERO);
        }
        let world = Self { folder: Scratch::new(false).unwrap(), orders, tally };
        let [a, b, c] = [0, 1, 2].map(|n| world.orders.id(n));
        world.sql(SCHEMA);
        world.order(&a, "completed", "charged", &["OrderReceived", "PaymentCharged", "OrderCompleted"]);
        world.order(
            &b,
            "cancelled",
            "refunded",
            &["OrderReceived", "PaymentCharged", "PaymentRefunded", "OrderCancelled"],
        );
        world.order(&c, "failed", "pending", &["OrderReceived", "OrderFailed"]);
        world.order("someone-elses", "completed", "pending", &[]);
        world.sql(&format!(
            "INSERT INTO shipments VALUES ('{a}/shipping/1', '{a}', 'failed'), ('{a}/shipping/2', '{a}', 'dispatched');
             INSERT INTO events VALUES (NULL, '{a}/shipping/2', 1, 'ShipmentRequested')"
        ));
        world
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("a #1?.db")
    }

    fn sql(&self, text: &str) {
        let mut connection = SqliteConnection::establish(self.path().to_str().unwrap()).unwrap();
        connection.batch_execute(text).unwrap();
    }

    fn order(&self, id: &str, state: &str, payment: &str, events: &[&str]) {
        self.sql(&format!(
            "INSERT INTO orders VALUES ('{id}', '{state}'); INSERT INTO payments VALUES ('pay-{id}', '{id}', '{payment}')"
        ));
        for (seq, event) in (1..).zip(events) {
            self.sql(&format!("INSERT INTO events VALUES (NULL, '{id}', {seq}, '{event}')"));
        }
    }

    fn check(&self) -> Check {
        check(&Location::Sqlite(self.path()), &self.orders, &self.tally, None).unwrap()
    }

    /// What is found after a change; `{0}`, `{1}`, `{2}` are the orders.
    fn found_after(change: &str) -> Vec<String> {
        let world = Self::new();
        let ids = [0, 1, 2].map(|n| world.orders.id(n));
        let change = change.replace("{0}", &ids[0]).replace("{1}", &ids[1]).replace("{2}", &ids[2]);
        world.sql(&change);
        let check = world.check();
        assert_eq!(check.breaches as usize, check.first.len());
        check.first.into_iter().map(|b| format!("{} {}", b.id.rsplit('-').next().unwrap(), b.what)).collect()
    }
}

#[test]
fn a_database_that_kept_its_promises_passes() {
    let check = World::new().check();
    assert_eq!((check.breaches, check.first), (0, vec![]));
    assert_eq!((check.orders, check.events), (3, 10));
}

#[test]
fn a_lost_order_is_found() {
    let found = World::found_after("DELETE FROM orders WHERE id = '{0}'");
    assert_eq!(found, ["00000000 was accepted and is not there"]);
}

#[test]
fn a_state_other_than_the_reported_one_is_found() {
    let found = World::found_after("UPDATE orders SET state = 'timed_out' WHERE id = '{2}'");
    assert_eq!(found, ["00000002 was reported failed and is timed_out"]);
}

#[test]
fn a_second_charge_is_found() {
    let found = World::found_after("INSERT INTO events VALUES (NULL, '{0}', 4, 'PaymentCharged')");
    assert_eq!(found, ["00000000 is completed with 2 PaymentCharged, 0 PaymentRefunded, 1 final events"]);
    let found = World::found_after("INSERT INTO payments VALUES ('other', '{0}', 'charged')");
    assert_eq!(found, ["00000000 has 2 payment rows"]);
}

#[test]
fn a_charge_without_a_refund_is_found() {
    let found = World::found_after("UPDATE payments SET status = 'charged' WHERE order_id = '{1}'");
    assert_eq!(found, ["00000001 is cancelled, its payment charged after 1 charges"]);
    let found = World::found_after("UPDATE payments SET status = 'unknown' WHERE order_id = '{2}'");
    assert_eq!(found, ["00000002 is failed, its payment unknown after 0 charges"]);
    let found = World::found_after("UPDATE payments SET status = 'refunded' WHERE order_id = '{0}'");
    assert_eq!(found, ["00000000 is completed, its payment refunded"]);
}

#[test]
fn a_gap_in_a_history_is_found_in_orders_and_their_children() {
    let found = World::found_after("UPDATE events SET seq = 4 WHERE order_id = '{0}' AND seq = 3");
    assert_eq!(found, ["00000000 has 3 events, seq 1 to 4"]);
    let found = World::found_after("UPDATE events SET seq = 2 WHERE order_id = '{0}/shipping/2'");
    assert_eq!(found, ["00000000/shipping/2 has 1 events, seq 2 to 2"]);
    let found = World::found_after("DELETE FROM events WHERE order_id = '{2}'");
    assert_eq!(found, ["00000002 has no event"]);
}

#[test]
fn parcels_too_many_too_few_and_left_behind_are_found() {
    let found = World::found_after("UPDATE shipments SET state = 'dispatched'");
    assert_eq!(found, ["00000000 is completed with 2 dispatched and 0 open shipments"]);
    let found = World::found_after("DELETE FROM shipments");
    assert_eq!(found, ["00000000 is completed with 0 dispatched and 0 open shipments"]);
    let found = World::found_after("INSERT INTO shipments VALUES ('x', '{1}', 'preparing')");
    assert_eq!(found, ["00000001 is cancelled with 0 dispatched and 1 open shipments"]);
}

#[test]
fn statistics_that_differ_from_the_rows_are_found() {
    let world = World::new();
    let stats = |completed| BTreeMap::from([("completed".to_owned(), completed), ("cancelled".to_owned(), 1)]);
    let found =
        |stats| check(&Location::Sqlite(world.path()), &world.orders, &world.tally, Some(&stats)).unwrap().first;
    assert_eq!(found(stats(2)).len(), 1, "the failed one is not counted there");
    assert_eq!(found(stats(3))[0].what, "says 3 completed where SQL counts 2");
}

#[test]
fn only_the_first_breaches_are_named_and_all_are_counted() {
    let world = World::new();
    for number in 10..40 {
        world.order(&world.orders.id(number), "completed", "pending", &[]);
    }
    let check = world.check();
    assert_eq!(check.first.len(), NAMED_MAX);
    assert!(check.breaches >= 30);
}

#[test]
fn the_check_changes_nothing_and_says_when_there_is_nothing_to_read() {
    let world = World::new();
    let before = std::fs::read(world.path()).unwrap();
    world.check();
    assert_eq!(std::fs::read(world.path()).unwrap(), before);
    let missing = world.folder.path().join("missing.db");
    assert!(matches!(
        check(&Location::Sqlite(missing.clone()), &world.orders, &world.tally, None),
        Err(LoadError::Check(_))
    ));
    assert!(!missing.exists());
}
