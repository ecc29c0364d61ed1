//! The worst days of a database and its owners, under load and against a world that misbehaves; judged outside.
//!
//! Rounds: `ORDAIN_TEST_OUTAGES` (3) of the database, one every `ORDAIN_TEST_OUTAGE_EVERY_MS` (2000) for up to
//! `ORDAIN_TEST_OUTAGE_MS` (1000); `ORDAIN_TEST_TAKEOVERS` (2) kills of the owner; `ORDAIN_TEST_SLEEPS` (1) stops of the
//! owner for `ORDAIN_TEST_SLEEP_MS` (5000).

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::crowd::{Crowd, setting};
use super::support::faults::{Dice, Faults};
use super::support::postgres::{Cluster, cluster};
use super::support::server::Server;
use super::support::world::World;

const ARGS: [&str; 2] = ["--attempt-timeout-seconds", "1"];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn told(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{what}: {} times, median {:?}, max {:?}", times.len(), times[times.len() / 2], times[times.len() - 1]);
}

#[test]
fn a_database_killed_again_and_again_under_load_loses_nothing() {
    let Some(like) = cluster() else { return };
    let own = Arc::new(Cluster::another(&like));
    let (rounds, every, down) = (
        setting("ORDAIN_TEST_OUTAGES", 3),
        setting("ORDAIN_TEST_OUTAGE_EVERY_MS", 2_000),
        setting("ORDAIN_TEST_OUTAGE_MS", 1_000),
    );
    let world = World::start(Faults::rough(7));
    let server = Server::start_on(folder(), own.database(), Some(Arc::clone(&own)), &ARGS, world.env());
    let crowd = Crowd::start(&server.line(), 7);
    let mut dice = Dice::new(7);
    let mut healed = Vec::new();
    for _ in 0..rounds {
        sleep(Duration::from_millis(every));
        own.stop_immediate();
        sleep(Duration::from_millis(dice.below(down)));
        assert_eq!(server.get("/healthz").status, 200);
        own.start();
        healed.push(server.until_ready());
    }
    told("ready again after the database was", healed.clone());
    assert!(healed.iter().all(|took| *took < Duration::from_secs(5)), "{healed:?}");
    crowd.judge(&server, &world);
}

#[test]
fn a_standby_takes_over_from_every_owner_that_is_killed() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let world = World::start(Faults::rough(8));
    let mut owner = Server::start_on(folder(), url.clone(), Some(Arc::clone(&cluster)), &ARGS, world.env());
    let balancer = owner.line().split();
    let crowd = Crowd::start(&balancer, 8);
    let mut dice = Dice::new(8);
    let mut took = Vec::new();
    for _ in 0..setting("ORDAIN_TEST_TAKEOVERS", 2) {
        let standby = Server::standby_on(folder(), url.clone(), Some(Arc::clone(&cluster)), &ARGS, world.env());
        sleep(Duration::from_millis(300 + dice.below(1_000)));
        owner.kill9();
        took.push(standby.until_ready());
        balancer.follow(&standby.line());
        owner = standby;
    }
    told("taken over", took.clone());
    assert!(took.iter().all(|took| *took < Duration::from_secs(5)), "{took:?}");
    crowd.judge(&owner, &world);
}

#[test]
fn an_owner_that_was_asleep_writes_nothing_over_its_successor() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let world = World::start(Faults::rough(9));
    let asleep = Duration::from_millis(setting("ORDAIN_TEST_SLEEP_MS", 5_000));
    let start = |standby| {
        let (folder, url, cluster) = (folder(), url.clone(), Some(Arc::clone(&cluster)));
        if standby {
            Server::standby_on(folder, url, cluster, &ARGS, world.env())
        } else {
            Server::start_on(folder, url, cluster, &ARGS, world.env())
        }
    };
    let (mut owner, mut other) = (start(false), start(true));
    let balancer = owner.line().split();
    let crowd = Crowd::start(&balancer, 9);
    let mut dice = Dice::new(9);
    for _ in 0..setting("ORDAIN_TEST_SLEEPS", 1) {
        sleep(Duration::from_millis(500 + dice.below(1_000)));
        owner.signal("-STOP");
        let began = Instant::now();
        other.until_ready();
        balancer.follow(&other.line());
        sleep(asleep.saturating_sub(began.elapsed()));
        owner.signal("-CONT");
        std::mem::swap(&mut owner, &mut other);
    }
    crowd.judge(&owner, &world);
    // What the sleepers had begun to write was refused, and none of them is an owner still.
    assert_eq!(other.get("/readyz").status, 503);
}
