//! The command line: help, exit codes, what the commands print.

use std::path::Path;

use serde_json::Value;

use super::support::command::{err, ordain, out};
use super::support::server::Server;

const COMMANDS: [&str; 30] = [
    "key",
    "job",
    "task",
    "serve",
    "config",
    "start-workflow",
    "status",
    "state",
    "list",
    "describe",
    "history",
    "approve",
    "cancel",
    "update-address",
    "retry",
    "pause",
    "resume",
    "health",
    "logs",
    "top",
    "load",
    "demo",
    "sandbox",
    "queues",
    "worker",
    "verify",
    "migrate",
    "backup",
    "openapi",
    "completions",
];

#[test]
fn the_help_of_every_command_is_the_one_that_was_reviewed() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = out(&ordain(folder.path(), &[], &["--help"]));
    let listed = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut named: Vec<&str> = listed
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   ")))
        .filter(|name| *name != "help")
        .collect();
    let mut known = COMMANDS.to_vec();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known, "a command is missing here");
    for name in COMMANDS {
        let help = ordain(folder.path(), &[], &[name, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{name}");
        all.push_str(&format!("\n### ordain {name}\n{}", out(&help)));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &all).unwrap();
    }
    let reviewed = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(all == reviewed, "the help has changed: look at it, then run with UPDATE_GOLDEN=1");
}

#[test]
fn wrong_usage_is_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["serve", "--odd"][..],
        &["odd"],
        &["status"],
        &["update-address", "o-1"],
        &["start-workflow", "o-1", "--metadata", "novalue"],
        &["status", "o-1", "--url", "ftp://x"],
    ] {
        let done = ordain(folder.path(), &[], args);
        assert_eq!(done.status.code(), Some(2), "{args:?}: {}", err(&done));
    }
}

#[test]
fn a_server_that_is_not_there_is_exit_3_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let done = ordain(folder.path(), &[], &["list", "--url", "http://127.0.0.1:9"]);
    assert_eq!(done.status.code(), Some(3));
    let words = "server not reachable at http://127.0.0.1:9: start it with \"ordain serve\"";
    assert!(err(&done).contains(words), "{}", err(&done));
}

#[test]
fn the_order_commands_do_what_they_say() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    let url = server.url();
    let run = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--url", &url]);
        ordain(server.folder(), &[], &all)
    };
    let json = |args: &[&str]| -> Value {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        let done = run(&all);
        assert_eq!(done.status.code(), Some(0), "{args:?}: {}", err(&done));
        serde_json::from_str(&out(&done)).unwrap()
    };
    let done = json(&["start-workflow", "o-1", "pay-1", "--amount", "49.90", "--line", "1 Main", "--wait", "20"]);
    assert_eq!((&done["state"], &done["payment"]["amount"]), (&"completed".into(), &"49.90".into()));
    json(&["start-workflow", "o-2", "--review", "manual", "--metadata", "shop=a"]);
    assert_eq!(json(&["status", "o-2", "--wait", "20", "--until", "in_review"])["state"], "in_review");
    let moved =
        json(&["update-address", "o-2", "--street", "2 Side", "--city", "X", "--zip", "12345", "--country", "US"]);
    assert_eq!(moved["address"]["zip_code"], "12345");
    assert_eq!(json(&["pause", "o-2"])["paused"], true);
    assert_eq!(json(&["resume", "o-2"])["paused"], false);
    json(&["approve", "o-2"]);
    assert_eq!(json(&["status", "o-2", "--wait", "20"])["state"], "completed");
    json(&["start-workflow", "o-3", "--review", "manual"]);
    assert_eq!(json(&["cancel", "o-3", "--reason", "no"])["state"], "cancelled");
    assert_eq!(json(&["list", "--state", "completed"])["orders"].as_array().unwrap().len(), 2);
    assert_eq!(json(&["state", "o-1", "--seq", "1"])["seq"], 1);
    assert!(json(&["history", "o-1"])["events"].as_array().unwrap().len() > 10);
    assert!(json(&["history", "o-1/shipping/1"])["events"].as_array().unwrap().len() > 3);
    assert!(json(&["describe", "o-1"])["retry"]["activities"]["charge_payment"]["timeout_ms"].is_u64());
    let refused = run(&["retry", "o-1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("order_not_retriable"), "{}", err(&refused));
    for args in [&["list"][..], &["status", "o-1"], &["history", "o-1"], &["describe", "o-2"], &["health"]] {
        let shown = run(args);
        assert_eq!(shown.status.code(), Some(0));
        assert!(!out(&shown).contains('\u{1b}'), "no colours where there is no terminal");
    }
    assert!(out(&run(&["list"])).contains("o-3"));
    let verified = server.verify();
    assert!(verified.status.success(), "{}", err(&verified));
}

#[test]
fn documents_and_completions_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let openapi: Value = serde_json::from_str(&out(&ordain(folder.path(), &[], &["openapi"]))).unwrap();
    assert!(openapi["paths"]["/orders/{order_id}/start"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        assert!(out(&ordain(folder.path(), &[], &["completions", shell])).contains("start-workflow"), "{shell}");
    }
}
