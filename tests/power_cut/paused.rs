//! The files of the real server under load, copied while it is stopped at any instant, its log being copied back and
//! begun anew now and then: they open to all that was acknowledged before, also where the disk lost what the log has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use serde_json::json;

use super::cut::{Files, in_checkpoint};
use super::support::crowd::setting;
use super::support::faults::Dice;
use super::support::server::Server;
use super::{files, opened_with};

const COPIES: u64 = 6;

/// Everything it has written so far, and nothing that it writes meanwhile.
fn copy(server: &Server) -> Files {
    server.signal("-STOP");
    let state = format!("/proc/{}/stat", server.pid());
    // Whoever is in the middle of a call to the system ends it first.
    while std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") T ")) {
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_millis(20));
    let files = files(&server.database());
    server.signal("-CONT");
    files
}

#[test]
fn the_files_of_a_server_stopped_at_any_instant_have_all_that_was_acknowledged() {
    let mut dice = Dice::new(setting("ORDAIN_TEST_SEED", 1) << 34);
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let client = |number: u32| {
        let (line, stop, acknowledged) = (server.line(), Arc::clone(&stop), Arc::clone(&acknowledged));
        thread::spawn(move || {
            for n in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                let order = format!("o-{number}-{n}");
                let body = json!({"address": "1 Main Street".repeat(20)});
                let answer = line.post(&format!("/orders/{order}/start"), Some(&body)).unwrap();
                assert_eq!(answer.status, 202, "{}", answer.text());
                acknowledged.lock().unwrap().push(order);
            }
        })
    };
    let clients: Vec<_> = (0..3).map(client).collect();
    let mut other = SqliteConnection::establish(&server.database().to_string_lossy()).unwrap();
    let mut copies = Vec::new();
    for _ in 0..COPIES {
        sleep(Duration::from_millis(50 + dice.below(300)));
        let before = acknowledged.lock().unwrap().clone();
        copies.push((copy(&server), before));
        other.batch_execute("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    for (files, before) in copies {
        let cut = in_checkpoint(&files, &files, &mut dice);
        println!("{} orders, a log of {} bytes: {}", before.len(), files.log.len(), cut.story);
        opened_with(&files, &before, &mut dice);
        opened_with(&cut.files, &before, &mut dice);
    }
}
