//! `ordain demo`: its claims hold, and it leaves nothing behind, however it ends.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn demo(folder: &Path, pace: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.args(["demo", "--pace", pace]).env("TMPDIR", folder).current_dir(folder).stdin(Stdio::null());
    // Settings of whoever runs it take no part.
    command.env("ORDAIN_CHAOS", "rough").env("DATABASE_URL", "sqlite:///nowhere/x.db");
    command
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn every_claim_of_the_story_holds() {
    let folder = tempfile::tempdir().unwrap();
    let told = demo(folder.path(), "fast").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(0), "{out}\n{err}");
    for claim in [
        "the order is completed",
        "approved, it went on to its end",
        "the carrier took it to 2 Side Street, Shelbyville",
        "one charge, one refund, nothing dispatched",
        "the third attempt, with the same key, went well",
        "the server died with 200 orders in flight",
        "all 200 orders arrived",
        "205 orders, 205 charges",
        "1 cancelled, 1 refund",
        "204 completed, 204 dispatches",
        "double charges: 0, double dispatches: 0",
        "0 differences",
    ] {
        assert!(out.lines().any(|line| line.contains('✓') && line.contains(claim)), "{claim}\n{out}");
    }
    assert!(!out.contains('✗') && !out.contains('\u{1b}'), "{out}");
    assert!(is_empty(folder.path()));
}

#[test]
fn interrupted_or_left_alone_it_takes_its_children_with_it() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = demo(folder.path(), "normal").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let urls: Vec<SocketAddr> = lines
            .filter_map(|line| {
                let (_, rest) = line.split_once("http://")?;
                rest.split_whitespace().next()?.parse().ok()
            })
            .take(2)
            .collect();
        assert!(urls.iter().all(|address| TcpStream::connect(address).is_ok()), "{signal}");
        // Standard output is closed by now; that is a reason to end as well, but not a panic.
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "{signal}: it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(1), "{signal}");
        assert!(urls.iter().all(|address| TcpStream::connect(address).is_err()), "{signal}: a child lives on");
        assert!(is_empty(folder.path()), "{signal}");
    }
}
