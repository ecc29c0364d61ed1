//! The commands that read: long histories and lists to their end, filters, logs, and readers that go away.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::support::command::{err, out};
use super::support::server::Server;

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.env_clear().current_dir(folder).args(args);
    command
}

fn run(server: &Server, args: &[&str]) -> Output {
    command(server.folder(), args).args(["--url", &server.url()]).output().unwrap()
}

/// What a command prints; it must succeed.
fn said(server: &Server, args: &[&str]) -> String {
    let done = run(server, args);
    assert_eq!(done.status.code(), Some(0), "{args:?}: {}", err(&done));
    out(&done)
}

fn json(server: &Server, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["-o", "json"]);
    serde_json::from_str(&said(server, &all)).unwrap()
}

fn ids(page: &Value) -> Vec<&str> {
    page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap()).collect()
}

fn start(server: &Server, id: &str, body: &Value) {
    assert_eq!(server.post(&format!("/orders/{id}/start"), Some(body)).status, 202);
}

fn ended(server: &Server, id: &str) {
    let status = server.get(&format!("/orders/{id}/status?wait=30")).json();
    assert_eq!(status["terminal"], true, "{status}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["openapi"][..], &["config"], &["completions", "bash"], &["--help"]] {
        let mut child = command(folder.path(), args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), err(&done).as_str()), (Some(0), ""), "{args:?}");
    }
    let server = Server::start(&[], Vec::new());
    start(&server, "o-1", &json!({"review": "manual"}));
    for args in [
        &["list"][..],
        &["list", "--all", "-o", "json"],
        &["history", "o-1"],
        &["describe", "o-1"],
        &["status", "o-1"],
        &["logs"],
        &["logs", "o-1", "--follow"],
        &["health"],
    ] {
        let mut command = command(server.folder(), args);
        command.args(["--url", &server.url()]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), err(&done).as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_history_is_followed_to_its_end() {
    let server = Server::start(&[], Vec::new());
    start(&server, "o-1", &json!({"review": "manual"}));
    for n in 0..1_005 {
        let body = json!({"address": format!("{n} Main Street")});
        assert_eq!(server.post("/orders/o-1/signals/update-address", Some(&body)).status, 202);
    }
    let all = server.history("/orders/o-1");
    assert!(all.len() > 1_005);
    let history = json(&server, &["history", "o-1"]);
    assert_eq!((&history["order_id"], &history["next_after"]), (&"o-1".into(), &Value::Null));
    assert_eq!(history["events"].as_array().unwrap(), &all);
    assert_eq!(json(&server, &["describe", "o-1"])["history"].as_array().unwrap(), &all);
    assert!(said(&server, &["history", "o-1"]).contains("1004 Main Street"));
    let described = said(&server, &["describe", "o-1"]);
    assert!(described.contains("1004 Main Street") && !described.contains("900 Main Street"), "{described}");
    let logged = said(&server, &["logs", "o-1", "-o", "json"]);
    assert_eq!(logged.lines().count(), all.len());
}

#[test]
fn a_list_is_filtered_sorted_and_followed_to_its_end() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    let before = server.get("/orders?limit=1").status;
    assert_eq!(before, 200);
    for n in 1..=5 {
        let tier = if n % 2 == 0 { "gold & silver" } else { "iron" };
        start(&server, &format!("o-{n}"), &json!({"metadata": {"tier": tier, "n": n.to_string()}}));
        ended(&server, &format!("o-{n}"));
    }
    start(&server, "bad-1", &json!({"amount": "-1"}));
    ended(&server, "bad-1");
    let list = |args: &[&str]| {
        let mut all = vec!["list", "--sort", "order_id"];
        all.extend(args);
        json(&server, &all)
    };
    assert_eq!(ids(&list(&["--limit", "2"])), ["bad-1", "o-1"]);
    let all = list(&["--all", "--limit", "2"]);
    assert_eq!((ids(&all), &all["next_cursor"]), (vec!["bad-1", "o-1", "o-2", "o-3", "o-4", "o-5"], &Value::Null));
    assert_eq!(ids(&list(&["--all", "--state", "completed,cancelled"])).len(), 5);
    assert_eq!(ids(&list(&["--metadata", "tier=gold & silver"])), ["o-2", "o-4"]);
    assert_eq!(ids(&list(&["--metadata", "tier=gold & silver", "--metadata", "n=4"])), ["o-4"]);
    assert_eq!(ids(&list(&["--error", "validation"])), ["bad-1"]);
    assert_eq!(ids(&list(&["--attempts-min", "2"])), Vec::<&str>::new());
    assert_eq!(ids(&list(&["--attempts-min", "1"])).len(), 6);
    assert_eq!(ids(&list(&["--retrying"])), Vec::<&str>::new());
    assert_eq!(ids(&list(&["-q", "bad"])), ["bad-1"]);
    let middle = server.get("/orders/o-3/status").json()["created_at"].as_str().unwrap().to_owned();
    let (after, until) = (list(&["--created-after", &middle]), list(&["--created-before", &middle]));
    assert!(ids(&after).contains(&"o-5") && !ids(&after).contains(&"o-1"), "{after}");
    assert!(ids(&until).contains(&"o-1") && !ids(&until).contains(&"o-5"), "{until}");
    assert_eq!(ids(&json(&server, &["list", "--sort", "-order_id", "--limit", "1"])), ["o-5"]);
    let table = said(&server, &["list", "--all", "--limit", "2"]);
    assert_eq!(table.matches("ORDER").count(), 1, "{table}");
    assert!(table.contains("bad-1") && table.contains("o-5") && !table.contains("more:"), "{table}");
    assert_eq!(said(&server, &["list", "--all", "-q", "none"]).trim(), "no orders");
    assert_eq!(json(&server, &["list", "--all", "-q", "none"]), json!({"orders": [], "next_cursor": null}));
    for wrong in [&["--metadata", "tier"][..], &["--attempts-min", "x"]] {
        let mut args = vec!["list"];
        args.extend(wrong);
        assert_eq!(run(&server, &args).status.code(), Some(2), "{wrong:?}");
    }
    let refused = run(&server, &["list", "--error", "odd"]);
    assert_eq!((refused.status.code(), err(&refused).contains("/query/error")), (Some(1), true));
}

#[test]
fn logs_tell_an_order_and_its_shipment_by_time_and_service() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    start(&server, "o-1", &json!({}));
    ended(&server, "o-1");
    let lines = |args: &[&str]| -> Vec<Value> {
        let mut all = vec!["logs", "-o", "json"];
        all.extend(args);
        said(&server, &all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines(&["o-1"]);
    let (order, shipment) = (server.history("/orders/o-1"), server.history("/workflows/o-1/shipping/1"));
    assert_eq!(all.len(), order.len() + shipment.len());
    assert!(all.is_sorted_by_key(|line| line["at"].as_str().unwrap()));
    let of = |workflow: &str| all.iter().filter(|line| line["workflow_id"] == workflow).collect::<Vec<_>>();
    for (workflow, history) in [("o-1", order), ("o-1/shipping/1", shipment)] {
        for (line, fact) in of(workflow).iter().zip(history) {
            for field in ["seq", "at", "type", "data"] {
                assert_eq!(line[field], fact[field]);
            }
            assert_eq!(line["order_id"], "o-1");
        }
    }
    let types: Vec<&str> = all.iter().map(|line| line["type"].as_str().unwrap()).collect();
    let at = |name: &str| types.iter().position(|t| *t == name).unwrap();
    let story = ["ShippingStarted", "PackagePrepared", "DispatchStarted", "ShipmentDispatched", "OrderCompleted"];
    assert!(story.iter().map(|name| at(name)).is_sorted(), "{types:?}");
    assert_eq!(types.last(), Some(&"OrderCompleted"));
    let service = |name: &str| all[at(name)]["service"].as_str().unwrap();
    assert_eq!((service("OrderValidated"), service("ReviewOpened")), ("app", "app"));
    assert_eq!((service("PaymentCharged"), service("PackagePrepared")), ("orders", "shipping"));
    let mut counted = 0;
    for name in ["app", "orders", "shipping"] {
        let some = lines(&["o-1", "--service", name]);
        assert!(some.iter().all(|line| line["service"] == name) && !some.is_empty(), "{name}");
        counted += some.len();
    }
    assert_eq!(counted, all.len());
    let attempts = lines(&["o-1", "--service", "worker"]);
    assert!(attempts.iter().any(|line| line["data"]["activity"] == "dispatch_carrier"));
    assert!(attempts.iter().all(|line| line["type"].as_str().unwrap().starts_with("Activity")));
    let plain = said(&server, &["logs", "o-1"]);
    assert_eq!(plain.lines().count(), all.len());
    assert!(plain.contains("charge_payment") && !plain.contains('\u{1b}'), "{plain}");
    assert_eq!(run(&server, &["logs", "none"]).status.code(), Some(1));

    for n in 2..=25 {
        start(&server, &format!("o-{n}"), &json!({"review": "manual"}));
    }
    let newest = lines(&[]);
    assert!(newest.is_sorted_by_key(|line| line["at"].as_str().unwrap()));
    let mut orders: Vec<&str> = newest.iter().map(|line| line["order_id"].as_str().unwrap()).collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 20);
    assert!(orders.contains(&"o-25") && !orders.contains(&"o-1"));
}

#[test]
fn logs_that_follow_end_with_their_order() {
    let server = Server::start(&[], Vec::new());
    start(&server, "o-1", &json!({"review": "manual"}));
    let mut command = command(server.folder(), &["logs", "o-1", "--follow", "-o", "json"]);
    let mut child = command.args(["--url", &server.url()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ReviewOpened") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it has ended too soon");
    }
    assert_eq!(server.post("/orders/o-1/signals/approve", None).status, 202);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let rest: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rest.first().unwrap()["type"], "ReviewApproved");
    assert_eq!(rest.last().unwrap()["type"], "OrderCompleted");
    assert!(rest.iter().any(|line| line["type"] == "ShipmentDispatched"), "{rest:?}");
}
