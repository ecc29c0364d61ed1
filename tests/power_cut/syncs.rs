//! The calls of a server to its operating system: each commit is synced before anything else is written to the log.
//! What the cuts of this bench take for granted, seen on the real process; needs `strace`, and says so where it is missing.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::support::server::Server;

/// What was done to the log, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// The header of a frame that ends a transaction.
    CommitFrame,
    /// Any other write.
    Write,
    Sync,
}

/// `-wal>` as a trace writes it, the end of a descriptor's path.
const LOG: &str = r"\x2d\x77\x61\x6c>";

/// A call to the log in a line of a trace, such as `12 pwrite64(9<…\x77\x61\x6c>, "\x00…", 24, 32) = 24`.
fn done(line: &str) -> Option<Done> {
    let call = line.split_once(' ')?.1.trim_start();
    if !call.contains(LOG) {
        return None;
    }
    if call.starts_with("fdatasync") || call.starts_with("fsync") {
        return Some(Done::Sync);
    }
    let bytes = call.strip_prefix("pwrite64")?.split('"').nth(1)?;
    let bytes: Vec<u8> = bytes.split("\\x").skip(1).filter_map(|hex| u8::from_str_radix(hex, 16).ok()).collect();
    // A frame's header is written by itself: 24 bytes, the second number of which a commit sets.
    let ends = call.contains("\", 24, ") && bytes.get(4..8).is_some_and(|size| size != [0; 4]);
    Some(if ends { Done::CommitFrame } else { Done::Write })
}

/// How many transactions were synced.
///
/// # Panics
/// If one was not before the next write.
fn synced(trace: &str) -> usize {
    let calls: Vec<(Done, &str)> = trace.lines().filter_map(|line| Some((done(line)?, line))).collect();
    let ends = calls.iter().enumerate().filter(|(_, (done, _))| *done == Done::CommitFrame).map(|(at, _)| at);
    // The page of the frame comes behind its header. The trace may end between a write and its sync.
    let ends = ends.filter(|at| at + 2 < calls.len());
    ends.map(|at| assert_eq!((calls[at + 1].0, calls[at + 2].0), (Done::Write, Done::Sync), "{}", calls[at].1)).count()
}

#[test]
fn every_commit_is_synced_before_anything_else_is_written() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|out| out.status.success()) {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: the test of syncs: there is no strace here");
        return;
    }
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    let trace = server.folder().join("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "24", "-e", "trace=pwrite64,fsync,fdatasync", "-o"])
        .arg(&trace)
        .args(["-p", &server.pid().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (began, mut n, mut found) = (Instant::now(), 0, String::new());
    // It takes a while to attach to all threads.
    while found.lines().filter(|line| done(line) == Some(Done::CommitFrame)).count() < 30 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "nothing is traced: {}",
            found.lines().last().unwrap_or_default()
        );
        n += 1;
        assert_eq!(server.post(&format!("/orders/o-{n}/start"), Some(&json!({}))).status, 202);
        if let Ok(Some(_)) = strace.try_wait() {
            let _ = writeln!(std::io::stderr(), "\nSKIPPED: the test of syncs: strace may not attach here");
            return;
        }
        found = std::fs::read_to_string(&trace).unwrap_or_default();
    }
    let told = Command::new("kill").args(["-INT", &strace.id().to_string()]).status().unwrap();
    assert!(told.success());
    strace.wait().unwrap();
    let count = synced(&std::fs::read_to_string(&trace).unwrap());
    assert!(count > 10, "{count} commits were seen");
}
