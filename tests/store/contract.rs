//! What every store promises, whatever the database, on the databases there are.

mod reading;
mod writing;

use ordain::store::{self, Location, Store};

use super::support::postgres;

/// Every promise. `open` opens a database by name, making it where there is none, and the same one when it is called again.
fn suite(open: &dyn Fn(&str) -> Store) {
    reading::a_whole_life_is_read_back_as_it_was_written(open("life"));
    writing::conflicts_leave_a_unit_out_whole_and_the_rest_in(open("conflicts"));
    writing::what_is_stored_survives_reopening_and_keys_go_on(open);
    reading::families_are_due_in_order_and_page_by_page(open("due"));
    reading::lists_page_without_loss_or_repetition(open("lists"));
    reading::lists_by_kind_are_newest_first_and_leave_out_all_others(open("kinds"));
    writing::a_transition_is_stored_once(open("once"));
    writing::answers_are_kept_and_forgotten(open("answers"));
    reading::events_are_numbered_without_gaps_over_all_histories(open);
    writing::a_batch_of_many_orders_is_counted_right(open("several"));
    reading::what_is_outstanding_is_told_by_queue(open("outstanding"));
    writing::what_was_changed_of_queues_and_the_secret_survive(open);
    writing::results_come_with_their_unit_once_under_a_name_and_are_read_by_name(open("results"));
}

#[test]
fn sqlite_keeps_every_promise_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    suite(&|name| store::open(&Location::Sqlite(folder.path().join(format!("{name}.db"))), 2).unwrap());
}

#[test]
fn postgres_keeps_every_promise_of_a_store() {
    let Some(cluster) = postgres::cluster() else { return };
    let made = std::cell::RefCell::new(std::collections::BTreeSet::new());
    suite(&|name| {
        if made.borrow_mut().insert(name.to_owned()) {
            cluster.sql("postgres", &format!("CREATE DATABASE {name}"));
        }
        store::open(&Location::parse(&cluster.url(name)).unwrap(), 2).unwrap()
    });
}
