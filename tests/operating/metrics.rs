//! `/metrics`, `/debug/actors` and `ordain top`: what is there, that it is right, and that it does not grow with the orders.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::support::promtool::promtool;
use super::support::server::Server;

/// Labels that may be there, each with values of our own.
const LABELS: [&str; 10] =
    ["activity", "failure", "kind", "le", "method", "queue", "route", "state", "status", "version"];

/// Everything an operator was promised.
const PROMISED: [&str; 33] = [
    "ordain_owner",
    "ordain_database_up",
    "ordain_build_info",
    "ordain_actors_live",
    "ordain_actors_live_max",
    "ordain_actors_passivated",
    "ordain_actors_started_total",
    "ordain_actors_passivated_total",
    "ordain_actors_restarted_total",
    "ordain_actors_stuck_total",
    "ordain_mailbox_depth",
    "ordain_mailbox_wait_seconds",
    "ordain_mailbox_high_water",
    "ordain_journal_commit_seconds",
    "ordain_journal_batch_transitions",
    "ordain_journal_transitions_total",
    "ordain_journal_waiting",
    "ordain_journal_failures_total",
    "ordain_queue_concurrency",
    "ordain_queue_running",
    "ordain_queue_backlog",
    "ordain_queue_oldest_seconds",
    "ordain_queue_wait_seconds",
    "ordain_activity_seconds",
    "ordain_activity_attempts_total",
    "ordain_step_seconds",
    "ordain_workflow_seconds",
    "ordain_orders",
    "ordain_workflows",
    "ordain_http_requests_total",
    "ordain_http_request_seconds",
    "ordain_invariant_violations_total",
    "process_cpu_seconds_total",
];

struct Metrics {
    text: String,
    /// Type by family.
    types: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    /// Every sample: name and labels, and its value.
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    fn of(server: &Server) -> Self {
        let response = server.get("/metrics");
        assert_eq!(response.status, 200);
        let text = response.text();
        let (mut types, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..2] {
                ["#", "TYPE"] => drop(types.insert(words[2].to_owned(), words[3].to_owned())),
                ["#", "HELP"] => drop(helped.insert(words[2].to_owned())),
                _ => {
                    let (sample, value) = line.rsplit_once(' ').unwrap();
                    assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{sample} twice");
                }
            }
        }
        Self { text, types, helped, samples }
    }

    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample} is not in\n{}", self.text))
    }

    /// Names with their labels, without values and without `le`.
    fn series(&self) -> BTreeSet<String> {
        let plain = |sample: &String| sample.split(['{', ',']).filter(|part| !part.starts_with("le=")).collect();
        self.samples.keys().map(plain).collect()
    }
}

fn run_orders(server: &Server, name: &str, n: usize) {
    for i in 0..n {
        let started = server.post(&format!("/orders/{name}-{i}/start"), Some(&json!({"review_seconds": 0})));
        assert_eq!(started.status, 202, "{}", started.text());
    }
    for i in 0..n {
        let status = server.get(&format!("/orders/{name}-{i}/status?wait=20&until=terminal"));
        assert_eq!(status.json()["state"], "completed", "{}", status.text());
    }
}

#[test]
fn every_metric_is_described_bounded_and_right() {
    let server = Server::start(&[], Vec::new());
    run_orders(&server, "early", 20);
    let declined =
        server.post("/orders/bad/start", Some(&json!({"payment_id": "pay-declined-1", "review_seconds": 0})));
    assert_eq!(declined.status, 202);
    assert_eq!(server.get("/orders/bad/status?wait=20").json()["state"], "failed");
    let manual = server.post("/orders/waits/start", Some(&json!({"review": "manual"})));
    assert_eq!(manual.status, 202);
    assert_eq!(server.get("/orders/waits/status?wait=20&until=in_review").json()["state"], "in_review");
    assert_eq!(server.get("/orders/none/status").status, 404);
    let metrics = Metrics::of(&server);
    for name in PROMISED {
        assert!(metrics.types.contains_key(name), "{name} is missing in\n{}", metrics.text);
    }
    for (name, kind) in &metrics.types {
        assert!(metrics.helped.contains(name), "{name} has no HELP");
        assert!(name.starts_with("ordain_") || name.starts_with("process_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert_ne!(kind, "summary", "{name} has no buckets");
    }
    assert_eq!(metrics.value(r#"ordain_orders{state="completed"}"#), 20.0);
    assert_eq!(metrics.value(r#"ordain_orders{state="failed"}"#), 1.0);
    assert_eq!(metrics.value(r#"ordain_orders{state="in_review"}"#), 1.0);
    assert_eq!(metrics.value(r#"ordain_orders{state="stuck"}"#), 0.0);
    assert_eq!(metrics.value(r#"ordain_workflow_seconds_count{kind="order",state="completed"}"#), 20.0);
    assert_eq!(metrics.value(r#"ordain_workflow_seconds_count{kind="shipping",state="dispatched"}"#), 20.0);
    assert_eq!(metrics.value(r#"ordain_step_seconds_count{activity="charge_payment"}"#), 21.0);
    assert_eq!(metrics.value(r#"ordain_activity_attempts_total{activity="charge_payment",failure="none"}"#), 20.0);
    assert_eq!(metrics.value(r#"ordain_activity_attempts_total{activity="charge_payment",failure="refused"}"#), 1.0);
    assert!(metrics.value("ordain_mailbox_wait_seconds_count") > 100.0);
    assert!(metrics.value("process_resident_memory_bytes") > 1e6);
    assert!(metrics.value("process_open_fds") > 3.0 && metrics.value("process_start_time_seconds") > 1e9);

    // As many again: figures change, the list of series does not.
    run_orders(&server, "later", 20);
    let later = Metrics::of(&server);
    let new: Vec<_> = later.series().difference(&metrics.series()).cloned().collect();
    assert!(new.iter().all(|s| s.contains("route=\"/metrics\"")), "series that came with more orders: {new:?}");
    for sample in later.samples.keys() {
        for word in ["early", "later", "waits", "pay-"] {
            assert!(!sample.contains(word), "{sample} has a name of an order");
        }
        let labels = sample.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let name = label.split('=').next().unwrap();
            assert!(LABELS.contains(&name), "{name} of {sample} is not a known label");
        }
    }
    if let Some((content, words)) = promtool(&["check", "metrics"], &later.text) {
        assert!(content && words.trim().is_empty(), "promtool check metrics: {words}");
    }
}

#[test]
fn the_actors_are_shown_with_queues_shards_and_commits() {
    let server = Server::start(&[], Vec::new());
    run_orders(&server, "o", 10);
    for i in 0..3 {
        let body = json!({"review_seconds": 60});
        assert_eq!(server.post(&format!("/orders/live-{i}/start"), Some(&body)).status, 202);
    }
    let now = server.get("/debug/actors?limit=2");
    assert_eq!(now.status, 200, "{}", now.text());
    let now = now.json();
    assert_eq!(now["hottest"].as_array().unwrap().len(), 2, "{now}");
    assert!(now["hottest"][0]["order_id"].as_str().unwrap().starts_with("live-"), "{now}");
    let sum = |list: &str, field: &str| {
        now[list].as_array().unwrap().iter().map(|v: &Value| v[field].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(sum("shards", "live"), now["live"].as_i64().unwrap());
    let queues: Vec<&str> = now["queues"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
    assert!(queues.contains(&"orders") && queues.contains(&"shipping"), "{queues:?}");
    let journal = &now["journal"];
    let last = journal["last"].as_array().unwrap();
    assert!(!last.is_empty() && last.len() <= 64);
    assert!(last.iter().all(|commit| commit["ms"].as_f64().unwrap() > 0.0 && commit["transitions"].as_u64() > Some(0)));
    assert_eq!(now["orders"]["completed"], 10);
    assert_eq!(now["restarts"], json!({"total": 0, "last": []}));
    for bad in ["limit=0", "limit=x", "limit=501", "top=3"] {
        assert_eq!(server.get(&format!("/debug/actors?{bad}")).status, 422, "{bad}");
    }
}

#[test]
fn top_prints_frames_for_people_and_documents_for_scripts() {
    let server = Server::start(&[], Vec::new());
    run_orders(&server, "o", 5);
    for name in ["hot-1", "hot-2"] {
        assert_eq!(server.post(&format!("/orders/{name}/start"), Some(&json!({"review_seconds": 60}))).status, 202);
    }
    let top = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ordain"));
        command.env_clear().args(["top", "--once", "--interval", "0.2", "--url", &server.url()]).args(args);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let frame = top(&[]);
    for part in ["ready", "commits ", "completed 5", "in_review 2", "hot-1", "shipping", "restarts of actors: 0"] {
        assert!(frame.contains(part), "{part:?} in\n{frame}");
    }
    assert!(!frame.contains('\u{1b}'), "no colours in a pipe:\n{frame}");
    let document: Value = serde_json::from_str(&top(&["-o", "json", "--limit", "1"])).unwrap();
    assert_eq!(document["hottest"].as_array().unwrap().len(), 1);
    assert_eq!(document["rates"]["orders_started"], 0.0, "{document}");
    assert!(document["rates"]["seconds"].as_f64().unwrap() >= 0.2);
}
