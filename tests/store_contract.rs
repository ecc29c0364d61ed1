//! The contract suite of stores on the databases there are.

mod support;

use ordain::store::{self, Location, contract};

#[test]
fn sqlite_keeps_every_promise_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    contract::suite(&|name| store::open(&Location::Sqlite(folder.path().join(format!("{name}.db"))), 2).unwrap());
}

#[test]
fn postgres_keeps_every_promise_of_a_store() {
    let Some(cluster) = support::postgres::cluster() else { return };
    let made = std::cell::RefCell::new(std::collections::BTreeSet::new());
    contract::suite(&|name| {
        if made.borrow_mut().insert(name.to_owned()) {
            cluster.sql("postgres", &format!("CREATE DATABASE {name}"));
        }
        store::open(&Location::parse(&cluster.url(name)).unwrap(), 2).unwrap()
    });
}
