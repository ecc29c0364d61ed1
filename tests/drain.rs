//! The end in order: SIGTERM under load, twice, while something hangs, and while the server is still starting.

mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use serde_json::{Value, json};
use support::crowd::{Crowd, Promise};
use support::faults::Faults;
use support::line::Line;
use support::server::Server;
use support::world::World;

/// What is promised of a drain.
const WITHIN: Duration = Duration::from_secs(10);

const ADDRESS: &str = "1 Main Street";

fn body() -> Value {
    json!({"amount": "49.90", "address": ADDRESS, "review_seconds": 0.01, "deadline_seconds": 0})
}

fn start(line: &Line, order: &str) -> u16 {
    line.post(&format!("/orders/{order}/start"), Some(&body())).map_or(0, |answer| answer.status)
}

#[test]
fn under_load_nothing_new_is_taken_what_runs_is_answered_and_the_next_start_is_at_once() {
    let world = World::start(Faults { slow: 100, slow_ms_max: 1_500, ..Faults::none() });
    let mut server = Server::start(&[], world.env());
    let crowd = Crowd::start(&server.line(), 3);
    sleep(Duration::from_millis(1_500));
    let line = server.line();
    assert_eq!(start(&line, "waited-for"), 202);
    // One that waits for an end is answered, though the end does not come.
    let waiting = {
        let line = line.clone();
        thread::spawn(move || line.get("/orders/waited-for/status?wait=30&until=terminal"))
    };
    let late = {
        let line = line.clone();
        thread::spawn(move || late(&line))
    };
    sleep(Duration::from_millis(300));
    let told = Instant::now();
    server.signal("-TERM");
    sleep(Duration::from_millis(300));
    let calls = world.ledger().calls();
    let status = server.ended();
    let took = told.elapsed();
    assert_eq!(status.code(), Some(0), "{status}\n{}", server.log());
    assert!(took < WITHIN, "{took:?}");
    assert_eq!(world.ledger().calls(), calls, "a call began while it drained");
    let waited = waiting.join().unwrap().expect("it is answered");
    assert!(waited.status == 503 && waited.header("retry-after").is_some(), "{}", waited.text());
    let (mut taken, refused) = late.join().unwrap();
    println!("drained in {took:?}; {} calls before; {} starts taken, {refused} refused", calls.0, taken.len());
    assert!(!taken.is_empty() && refused > 0);
    let ready = server.restart();
    assert!(ready < Duration::from_secs(3), "{ready:?}");
    taken.push("waited-for".into());
    let taken = taken.into_iter().map(|order| Promise::good(order, ADDRESS)).collect();
    let outcome = crowd.judge_with(taken, &server, &world);
    // Every call that was under way ended within the process that made it: the next had none to make again.
    assert_eq!(outcome.repeated, 0);
}

/// Starts orders until nobody listens any more: which were taken, and how many were refused, with a time to come back.
fn late(line: &Line) -> (Vec<String>, u32) {
    let (mut taken, mut refused) = (Vec::new(), 0);
    for n in 0.. {
        let order = format!("late-{n}");
        match line.post(&format!("/orders/{order}/start"), Some(&body())) {
            Ok(answer) if answer.status == 503 => {
                assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                refused += 1;
            }
            Ok(answer) => {
                assert_eq!((answer.status, refused), (202, 0), "{}", answer.text());
                taken.push(order);
            }
            Err(_) => break,
        }
        sleep(Duration::from_millis(10));
    }
    (taken, refused)
}

/// A server with a call under way that is never answered.
fn hanging(world: &World) -> Server {
    let server = Server::start(&["--attempt-timeout-seconds", "60"], world.env());
    assert_eq!(start(&server.line(), "o-1"), 202);
    let began = Instant::now();
    while world.ledger().calls().0 == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "no call is made");
        sleep(Duration::from_millis(10));
    }
    server
}

#[test]
fn a_call_that_hangs_does_not_keep_it_and_is_made_again_by_the_next() {
    let world = World::start(Faults { hang_before: 100, ..Faults::none() });
    let mut server = hanging(&world);
    let told = Instant::now();
    assert_eq!(server.sigterm().code(), Some(0));
    assert!(told.elapsed() < WITHIN, "{:?}", told.elapsed());
    world.set_faults(Faults::none());
    server.restart();
    let done = server.get("/orders/o-1/status?wait=20").json();
    assert_eq!(done["state"], "completed", "{done}");
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let world = World::start(Faults { hang_before: 100, ..Faults::none() });
    let mut server = hanging(&world);
    server.signal("-TERM");
    sleep(Duration::from_millis(500));
    let told = Instant::now();
    assert_eq!(server.sigterm().code(), Some(0), "{}", server.log());
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert!(server.verify().status.success());
    world.set_faults(Faults::none());
    server.restart();
    assert_eq!(server.get("/orders/o-1/status?wait=20").json()["state"], "completed");
}

#[test]
fn a_signal_while_the_database_is_still_being_opened_ends_it_in_order() {
    let mut server = Server::start(&[], Vec::new());
    assert!(server.sigterm().success());
    // Opening waits for whoever writes.
    let mut other = SqliteConnection::establish(&server.database().to_string_lossy()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    server.launch();
    sleep(Duration::from_millis(700));
    server.signal("-TERM");
    sleep(Duration::from_millis(200));
    other.batch_execute("ROLLBACK").unwrap();
    let status = server.ended();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", server.log());
}

#[test]
fn a_signal_right_after_ready_with_much_to_recover_ends_it_in_order() {
    let world = World::start(Faults { hang_before: 100, ..Faults::none() });
    let mut server = Server::start(&["--attempt-timeout-seconds", "60"], world.env());
    for n in 0..200 {
        assert_eq!(start(&server.line(), &format!("o-{n}")), 202);
    }
    server.kill9();
    server.restart();
    let told = Instant::now();
    assert_eq!(server.sigterm().code(), Some(0), "{}", server.log());
    assert!(told.elapsed() < WITHIN, "{:?}", told.elapsed());
    assert!(server.verify().status.success());
    world.set_faults(Faults::none());
    server.restart();
    for n in 0..200 {
        let done = server.get(&format!("/orders/o-{n}/status?wait=20")).json();
        assert_eq!(done["state"], "completed", "{done}");
    }
    assert_eq!(world.ledger().double_charges(), Vec::<&str>::new());
}
