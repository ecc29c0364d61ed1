//! Backups, migrations, and a disk that fills up.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;

use super::support::faults::Faults;
use super::support::server::Server;
use super::support::world::World;

fn ordain(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ordain")).env_clear().current_dir(folder).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn start(server: &Server, order: &str) {
    let body = json!({"amount": "49.90", "address": "1 Main Street", "review_seconds": 0.1, "deadline_seconds": 0});
    let answer = server.post(&format!("/orders/{order}/start"), Some(&body));
    assert!([200, 202].contains(&answer.status), "{}", answer.text());
}

fn completes(server: &Server, order: &str) {
    let status = server.get(&format!("/orders/{order}/status?wait=20")).json();
    assert_eq!(status["state"], "completed", "{status}");
}

#[test]
fn a_backup_is_consistent_under_load_and_a_restored_copy_does_not_charge_again() {
    let world = World::start(Faults { slow: 100, slow_ms_max: 150, ..Faults::none() });
    let server = Server::start(&[], world.env());
    for n in 0..150 {
        start(&server, &format!("o-{n}"));
    }
    let copy = server.folder().join("copy.db");
    let copied = ordain(server.folder(), &["backup", "copy.db"]);
    assert!(copied.status.success(), "{}", said(&copied));
    // What comes after the backup is not in it, and is started again by whoever sent it.
    start(&server, "late");
    for n in 0..150 {
        completes(&server, &format!("o-{n}"));
    }
    completes(&server, "late");
    let again = ordain(server.folder(), &["backup", "copy.db"]);
    assert!(!again.status.success() && said(&again).contains("overwrites nothing"), "{}", said(&again));
    let verified = ordain(server.folder(), &["verify", "--database-url", "copy.db"]);
    assert!(verified.status.success(), "{}", said(&verified));

    let url = format!("sqlite://{}", copy.display());
    let restored = Server::start_on(tempfile::tempdir().unwrap(), url, None, &[], world.env());
    let open = restored.get("/orders?limit=500").json();
    let states: Vec<_> = open["orders"].as_array().unwrap().iter().map(|o| o["state"].clone()).collect();
    assert_eq!(states.len(), 150, "the copy has what was acknowledged before it");
    assert!(states.iter().any(|state| *state != "completed"), "it was taken while they ran");
    start(&restored, "late");
    for n in 0..150 {
        completes(&restored, &format!("o-{n}"));
    }
    completes(&restored, "late");
    let ledger = world.ledger();
    assert_eq!(ledger.violations, Vec::<String>::new());
    assert_eq!((ledger.double_charges(), ledger.double_dispatches()), (vec![], vec![]));
    assert_eq!(ledger.orders().len(), 151);
}

#[test]
fn migrations_are_shown_and_applied_and_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| ordain(folder.path(), args);
    let before = run(&["migrate"]);
    assert!(before.status.success() && said(&before).contains("pending"), "{}", said(&before));
    assert!(!folder.path().join("ordain.db").exists(), "asking changes nothing");
    let up = run(&["migrate", "up"]);
    assert!(up.status.success() && said(&up).contains("applied") && !said(&up).contains("pending"), "{}", said(&up));
    let mut sql = SqliteConnection::establish(&folder.path().join("ordain.db").to_string_lossy()).unwrap();
    sql.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')").unwrap();
    drop(sql);
    for args in [&["migrate"][..], &["migrate", "up"], &["backup", "x.db"], &["verify"]] {
        let refused = run(args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {}", said(&refused));
        assert!(said(&refused).contains("newer ordain"), "{}", said(&refused));
    }
}

#[test]
fn a_schema_is_not_changed_under_a_running_server() {
    let server = Server::start(&[], Vec::new());
    let up = ordain(server.folder(), &["migrate", "up"]);
    assert_eq!(up.status.code(), Some(1));
    assert!(said(&up).contains(&format!("process {}", server.pid())), "{}", said(&up));
}

/// A small file system of its own, as root on Linux. It is larger than the log of a database grows.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(folder.path()).output();
        if !mounted.is_ok_and(|m| m.status.success()) {
            let _ = writeln!(std::io::stderr(), "\nSKIPPED: the test of a full disk: a tmpfs cannot be mounted here");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_told_loses_nothing_and_heals_without_a_restart() {
    let Some(disk) = SmallDisk::new() else { return };
    let world = World::start(Faults::none());
    let url = format!("sqlite://{}", disk.0.path().join("ordain.db").display());
    let server = Server::start_on(tempfile::tempdir().unwrap(), url, None, &[], world.env());
    start(&server, "before");
    completes(&server, "before");
    let ballast = disk.0.path().join("ballast");
    let mut acknowledged = Vec::new();
    // Something else fills the disk while orders come in.
    let mut fill = std::fs::File::create(&ballast).unwrap();
    fill.write_all(&vec![7; 42 << 20]).unwrap();
    let began = Instant::now();
    let refused = loop {
        let _full = fill.write_all(&[7; 65_536]);
        let order = format!("o-{}", acknowledged.len());
        let answer = server
            .post(&format!("/orders/{order}/start"), Some(&json!({"review_seconds": 0.1, "deadline_seconds": 0})));
        match answer.status {
            202 => acknowledged.push(order),
            // A smaller write, such as the entry of this refusal in the audit, may still have found room: then it is ready.
            503 if server.get("/readyz").status == 503 => break answer,
            503 => {}
            _ => panic!("{}", answer.text()),
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it never fills");
    };
    assert!(refused.header("retry-after").is_some(), "{}", refused.text());
    assert_eq!(server.get("/healthz").status, 200);
    // As long as it is full every write is answered so, at once, but for one that still finds room; reads go on.
    let mut refused = Vec::new();
    for n in 0..20 {
        let _full = fill.write_all(&[7; 65_536]);
        let (order, asked) = (format!("full-{n}"), Instant::now());
        let answer = server.post(&format!("/orders/{order}/start"), Some(&json!({"deadline_seconds": 0})));
        match answer.status {
            202 => acknowledged.push(order),
            status => {
                assert!(status == 503 && answer.header("retry-after").is_some(), "{}", answer.text());
                refused.push(order);
            }
        }
        assert!(asked.elapsed() < Duration::from_secs(3));
        assert_eq!(server.get("/orders/before/status").json()["state"], "completed");
        assert_eq!(server.get("/healthz").status, 200);
        sleep(Duration::from_millis(50));
    }
    assert!(refused.len() > 10, "it was not full");
    let process = server.pid();
    drop(fill);
    std::fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    while server.get("/readyz").status != 200 {
        assert!(freed.elapsed() < Duration::from_secs(5), "it does not heal:\n{}", server.log());
        sleep(Duration::from_millis(20));
    }
    assert_eq!(server.pid(), process);
    start(&server, "after");
    let copied_back = std::fs::metadata(disk.0.path().join("ordain.db")).unwrap().len();
    assert!(copied_back > 100_000, "the log gives its room back as soon as there is some: {copied_back} bytes");
    for order in refused {
        assert_eq!(server.get(&format!("/orders/{order}/status")).status, 404, "{order} was refused");
    }
    for order in acknowledged.iter().map(String::as_str).chain(["after"]) {
        completes(&server, order);
    }
    let verified = server.verify();
    assert!(verified.status.success(), "{}", said(&verified));
    let ledger = world.ledger();
    assert_eq!(ledger.violations, Vec::<String>::new());
    for order in &acknowledged {
        ledger.settled(order, "completed").unwrap();
    }
}

#[test]
fn the_auditor_names_an_order_whose_row_is_not_its_history_and_counts_it_once() {
    let server = Server::start(&[], Vec::new());
    for n in 0..5 {
        start(&server, &format!("o-{n}"));
        completes(&server, &format!("o-{n}"));
    }
    let value = |name: &str| {
        let text = server.get("/metrics").text();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    let wait_until = |what: &str, is: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            sleep(Duration::from_millis(50));
        }
    };
    wait_until("all are looked at", &|| value("ordain_audited_total") >= 10.0);
    assert_eq!(value("ordain_invariant_violations_total"), 0.0);
    let mut database = SqliteConnection::establish(server.folder().join("ordain.db").to_str().unwrap()).unwrap();
    database
        .batch_execute("PRAGMA busy_timeout = 5000; UPDATE workflows SET state = 'failed' WHERE id = 'o-3'")
        .unwrap();
    // Something happens, so there is a reason to look again.
    start(&server, "o-9");
    wait_until("it is found", &|| value("ordain_invariant_violations_total") >= 1.0);
    sleep(Duration::from_secs(2));
    // Its state, and the charge that stands in it.
    let found = value("ordain_invariant_violations_total");
    assert_eq!(found, 2.0);
    start(&server, "o-10");
    sleep(Duration::from_secs(3));
    assert_eq!(value("ordain_invariant_violations_total"), found, "each is counted once");
    let log = server.log();
    assert!(log.contains("o-3: its row says") && log.contains("the auditor found a difference"), "{log}");
}
