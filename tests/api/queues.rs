//! Task queues over real HTTP: limits that hold over a kill -9, backoff of a whole queue, and workers outside, some of
//! them killed. What really happened is read from the outside world's own books.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures_util::future::FutureExt;
use serde_json::{Value, json};

use super::support::sandbox::Sandbox;
use super::support::server::Server;
use super::support::wire::{Host, Reply};

const OUTSIDE: &str = "ORDAIN_ACTIVITIES__PREPARE_PACKAGE__OUTSIDE";

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn server(pairs: &[(&str, &str)]) -> Server {
    Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], env(pairs))
}

fn start(server: &Server, order: &str) {
    let answer = server.post(&format!("/orders/{order}/start"), Some(&json!({"address": "1 Main Street"})));
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn ends(server: &Server, order: &str) -> Value {
    let status = server.get(&format!("/orders/{order}/status?wait=30&until=terminal")).json();
    assert_eq!(status["terminal"], true, "{status}");
    status
}

fn queue(server: &Server, name: &str) -> Value {
    let all = server.get("/api/queues").json();
    let found = all["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no queue {name} in {all}"))
}

/// Looks until it is so.
fn until(server: &Server, name: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let now = queue(server, name);
        if so(&now) {
            return now;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: {now}\n{}", server.log());
        sleep(Duration::from_millis(20));
    }
}

fn patch(server: &Server, name: &str, change: Value) -> Value {
    let answer = server.patch(&format!("/api/queues/{name}"), &change);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn poll(server: &Server, wait: u32) -> Option<Value> {
    let body = json!({"worker_id": "test", "wait_seconds": wait, "activities": ["prepare_package"]});
    let answer = server.post("/api/queues/shipping/poll", Some(&body));
    assert!(matches!(answer.status, 200 | 204), "{}", answer.text());
    (answer.status == 200).then(|| answer.json())
}

/// Status and code.
fn tell(server: &Server, leased: &Value, what: &str, body: Value) -> (u16, String) {
    let path = format!("/api/activities/{}/{what}", leased["token"].as_str().unwrap());
    let answer = server.post(&path, Some(&body));
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

fn done() -> Value {
    json!({"result": {"package_ref": "by hand"}})
}

const TAKEN: (u16, &str) = (200, "");
const LOST: (u16, &str) = (409, "lease_lost");

fn is(told: (u16, String), wanted: (u16, &str)) {
    assert_eq!((told.0, told.1.as_str()), wanted);
}

#[test]
fn limits_and_a_pause_hold_over_a_kill_9_and_so_does_what_waits() {
    let mut server = server(&[("ORDAIN_QUEUES__SHIPPING__CONCURRENCY", "7"), ("ORDAIN_QUEUES__SHIPPING__MIN", "2")]);
    let shipping = queue(&server, "shipping");
    assert_eq!((&shipping["concurrency"], &shipping["min"], &shipping["max"]), (&json!(7), &json!(2), &json!(7)));
    let changed = patch(&server, "shipping", json!({"paused": true, "rate_limit": {"per_second": 2.5, "burst": 9}}));
    assert_eq!((&changed["paused"], &changed["rate_limit"]["burst"]), (&json!(true), &json!(9)));
    patch(&server, "orders", json!({"concurrency": 3}));
    for n in 0..5 {
        start(&server, &format!("o-{n}"));
    }
    until(&server, "shipping", "five calls wait", |queue| queue["backlog"] == 5 && queue["running"] == 0);
    sleep(Duration::from_millis(300));
    server.kill9();
    server.restart();
    let again = queue(&server, "shipping");
    assert_eq!((&again["paused"], &again["backlog"], &again["running"]), (&json!(true), &json!(5), &json!(0)));
    assert_eq!((&again["concurrency"], &again["rate_limit"]["per_second"]), (&json!(7), &json!(2.5)));
    assert!(again["oldest_wait_ms"].as_u64().unwrap() >= 300, "{again}");
    assert_eq!(queue(&server, "orders")["concurrency"], 3);
    patch(&server, "shipping", json!({"paused": false, "rate_limit": null}));
    for n in 0..5 {
        assert_eq!(ends(&server, &format!("o-{n}"))["state"], "completed");
    }
    let empty = until(&server, "shipping", "nothing waits", |queue| queue["backlog"] == 0);
    assert_eq!((&empty["oldest_wait_ms"], &empty["rate_limit"]), (&json!(0), &Value::Null));
    assert!(server.verify().status.success());
}

#[test]
fn bad_changes_and_bad_words_of_workers_are_refused_with_a_pointer() {
    let server = server(&[]);
    for (body, pointer) in [
        (json!({"concurrency": -1}), "/concurrency"),
        (json!({"concurrency": 1.5}), "/concurrency"),
        (json!({"concurrency": 100_001}), "/concurrency"),
        (json!({"paused": "yes"}), "/paused"),
        (json!({"rate_limit": 5}), "/rate_limit"),
        (json!({"rate_limit": {}}), "/rate_limit/per_second"),
        (json!({"rate_limit": {"per_second": 0}}), "/rate_limit/per_second"),
        (json!({"rate_limit": {"per_second": 1, "burst": 0}}), "/rate_limit/burst"),
        (json!({"rate_limit": {"per_second": 1, "each": 2}}), "/rate_limit/each"),
        (json!({"speed": 5}), "/speed"),
        (json!([]), ""),
    ] {
        let answer = server.patch("/api/queues/orders", &body);
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
        assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1, "{body}");
    }
    for body in [json!({}), json!({"worker_id": ""}), json!({"worker_id": "w", "wait_seconds": 31})] {
        assert_eq!(server.post("/api/queues/orders/poll", Some(&body)).status, 422, "{body}");
    }
    let unknown = server.patch("/api/queues/none", &json!({"paused": true}));
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("queue_not_found")));
    assert_eq!(server.get("/api/queues/none").status, 404);
    assert_eq!(server.post("/api/queues/none/poll", Some(&json!({"worker_id": "w"}))).status, 404);
    assert_eq!(server.post("/api/queues/orders", None).status, 405);
    assert_eq!(server.post("/api/queues/orders/poll", None).status, 400);
    for what in ["complete", "fail", "heartbeat"] {
        let body = if what == "fail" { json!({"message": "m"}) } else { json!({}) };
        is(tell(&server, &json!({"token": "bm9uZQ"}), what, body), (404, "token_not_found"));
    }
}

#[test]
fn a_rate_limit_is_kept_and_gates_the_starts_alone() {
    let server = server(&[]);
    patch(&server, "shipping", json!({"rate_limit": {"per_second": 10, "burst": 1}}));
    let began = Instant::now();
    for n in 0..10 {
        start(&server, &format!("o-{n}"));
    }
    for n in 0..10 {
        assert_eq!(ends(&server, &format!("o-{n}"))["state"], "completed");
    }
    // Twenty calls, one of them at once.
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
}

#[test]
fn one_429_holds_back_the_whole_queue_to_the_second_then_one_asks_and_the_others_follow() {
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let world = Host::start(move |_| {
        let mut asked = seen.lock().unwrap();
        asked.push(Instant::now());
        let first = asked.len() == 1;
        let ok = Reply::new(200, r#"{"package_ref":"p"}"#);
        let reply = if first { Reply::new(429, "").with("retry-after", "2") } else { ok };
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            reply
        }
        .boxed()
    });
    let server = server(&[
        ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL", &world.url("/prepare")),
        ("ORDAIN_QUEUES__SHIPPING__SHARED_BACKOFF", "true"),
    ]);
    patch(&server, "shipping", json!({"paused": true}));
    for n in 0..12 {
        start(&server, &format!("o-{n}"));
    }
    until(&server, "shipping", "all wait", |queue| queue["backlog"] == 12);
    patch(&server, "shipping", json!({"paused": false, "concurrency": 1}));
    let held = until(&server, "shipping", "it backs off", |queue| !queue["backoff_until"].is_null());
    assert_eq!(held["running"], 0);
    patch(&server, "shipping", json!({"concurrency": 64}));
    for n in 0..12 {
        assert_eq!(ends(&server, &format!("o-{n}"))["state"], "completed");
    }
    let asked = asked.lock().unwrap();
    let after = |n: usize| (asked[n] - asked[0]).as_secs_f64();
    assert!(after(1) >= 2.0 && after(1) < 3.0, "the probe came after {}", after(1));
    // The probe alone, and only when it was answered two more.
    assert!(after(2) - after(1) >= 0.045, "{} and {}", after(1), after(2));
    assert_eq!(asked.len(), 13);
    assert!(queue(&server, "shipping")["backoff_until"].is_null());
}

#[test]
fn all_of_shipping_hung_does_not_slow_the_charges() {
    let world = Host::start(|_| async { Reply::Silence }.boxed());
    let server = server(&[
        ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL", &world.url("/prepare")),
        ("ORDAIN_QUEUES__SHIPPING__CONCURRENCY", "4"),
        ("ORDAIN_QUEUES__SHIPPING__MIN", "4"),
    ]);
    let charge = |name: &str| {
        let began = Instant::now();
        for n in 0..100 {
            start(&server, &format!("{name}-{n}"));
        }
        for n in 0..100 {
            let status = server.get(&format!("/orders/{name}-{n}/status?wait=20&until=shipping")).json();
            assert_eq!(status["payment"]["status"], "charged", "{status}");
        }
        began.elapsed()
    };
    patch(&server, "shipping", json!({"paused": true}));
    let before = charge("before");
    patch(&server, "shipping", json!({"paused": false}));
    until(&server, "shipping", "all slots hang", |queue| queue["running"] == 4);
    let during = charge("during");
    let view = queue(&server, "shipping");
    assert_eq!((&view["running"], &view["slots"]), (&json!(4), &json!(4)));
    assert!(view["backlog"].as_u64().unwrap() >= 190, "{view}");
    // Generous: other tests run beside this one.
    assert!(during < before * 3 + Duration::from_secs(1), "before {before:?}, during {during:?}");
}

#[test]
fn an_attempt_is_taken_kept_alive_and_its_end_taken_once() {
    let server = server(&[(OUTSIDE, "true")]);
    assert_eq!(poll(&server, 0), None);
    start(&server, "o-1");
    let leased = poll(&server, 10).expect("something to do");
    assert_eq!((&leased["activity"], &leased["attempt"]), (&json!("prepare_package"), &json!(1)));
    assert_eq!((&leased["workflow_id"], &leased["input"]["order_id"]), (&json!("o-1/shipping/1"), &json!("o-1")));
    assert!(leased["idempotency_key"].as_str().is_some_and(|key| !key.is_empty()) && leased["deadline_at"].is_string());
    assert_eq!(poll(&server, 0), None);
    let beat = server.post(
        &format!("/api/activities/{}/heartbeat", leased["token"].as_str().unwrap()),
        Some(&json!({"progress": {"done": 1}})),
    );
    assert_eq!((beat.status, &beat.json()["cancel_requested"]), (200, &json!(false)));
    let shown = server.get("/api/queues/shipping").json();
    assert_eq!((&shown["leased"], &shown["running"], &shown["workers"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(
        (&shown["leases"][0]["worker_id"], &shown["leases"][0]["progress"]["done"]),
        (&json!("test"), &json!(1))
    );
    is(tell(&server, &leased, "complete", done()), TAKEN);
    // The same again is answered the same; anything else comes too late.
    is(tell(&server, &leased, "complete", done()), TAKEN);
    is(tell(&server, &leased, "complete", json!({"result": 7})), LOST);
    is(tell(&server, &leased, "fail", json!({"message": "no"})), LOST);
    is(tell(&server, &leased, "heartbeat", json!({})), LOST);
    assert_eq!(ends(&server, "o-1")["state"], "completed");
    let facts = server.history("/workflows/o-1/shipping/1");
    let completed = facts.iter().filter(|fact| fact["type"] == "ActivityCompleted");
    assert_eq!(completed.filter(|fact| fact["data"]["activity"] == "prepare_package").count(), 1);
    assert_eq!(queue(&server, "shipping")["leased"], 0);
}

#[test]
fn a_failure_told_is_tried_again_as_its_kind_says_and_a_silent_worker_loses_its_lease() {
    let server = server(&[(OUTSIDE, "true"), ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__TIMEOUT", "700ms")]);
    start(&server, "o-1");
    let first = poll(&server, 10).expect("the first attempt");
    is(tell(&server, &first, "fail", json!({"message": "a jam", "kind": "error"})), TAKEN);
    let second = poll(&server, 10).expect("the second attempt");
    assert_eq!((&second["attempt"], &second["idempotency_key"]), (&json!(2), &first["idempotency_key"]));
    sleep(Duration::from_millis(900));
    is(tell(&server, &second, "complete", done()), LOST);
    is(tell(&server, &second, "heartbeat", json!({})), LOST);
    let third = poll(&server, 10).expect("the third attempt");
    assert_eq!((&third["attempt"], &third["idempotency_key"]), (&json!(3), &first["idempotency_key"]));
    is(tell(&server, &third, "fail", json!({"message": "never", "retryable": false})), TAKEN);
    // Shipping is begun anew, three times in all.
    for round in 2..=3 {
        let again = poll(&server, 10).expect("another round");
        assert_eq!(again["workflow_id"], format!("o-1/shipping/{round}"));
        is(tell(&server, &again, "fail", json!({"message": "never", "retryable": false})), TAKEN);
    }
    let status = ends(&server, "o-1");
    assert_eq!((&status["state"], &status["payment"]["status"]), (&json!("failed"), &json!("refunded")));
    assert!(server.verify().status.success());
}

#[test]
fn a_token_outlives_a_kill_9_of_the_server_unless_another_worker_was_faster() {
    let mut server = server(&[(OUTSIDE, "true"), ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__TIMEOUT", "60s")]);
    for order in ["told", "beaten", "lost"] {
        start(&server, order);
    }
    let leased: Vec<Value> = (0..3).map(|_| poll(&server, 10).expect("an attempt")).collect();
    let of = |order: &str| leased.iter().find(|one| one["input"]["order_id"] == order).unwrap();
    server.kill9();
    server.restart();
    until(&server, "shipping", "they wait again", |queue| queue["backlog"] == 3);
    // One is told at once, one is kept by a heartbeat first, and one goes to another worker.
    is(tell(&server, of("told"), "complete", done()), TAKEN);
    is(tell(&server, of("beaten"), "heartbeat", json!({})), TAKEN);
    let other = poll(&server, 5).expect("the one that nobody spoke of");
    assert_eq!(
        (&other["input"]["order_id"], &other["attempt"], &other["recovered"]),
        (&json!("lost"), &json!(1), &json!(true))
    );
    assert_eq!(poll(&server, 0), None);
    is(tell(&server, of("lost"), "heartbeat", json!({})), LOST);
    is(tell(&server, of("lost"), "complete", done()), LOST);
    is(tell(&server, of("beaten"), "complete", done()), TAKEN);
    is(tell(&server, &other, "complete", done()), TAKEN);
    is(tell(&server, of("told"), "complete", done()), TAKEN);
    for order in ["told", "beaten", "lost"] {
        let status = ends(&server, order);
        assert_eq!((&status["state"], &status["last_error"]), (&json!("completed"), &Value::Null), "{status}");
    }
    assert!(server.verify().status.success());
}

/// A worker process; killed when it is dropped.
struct Worker(Child);

impl Worker {
    fn start(mut command: Command, args: &[&str]) -> Self {
        Self(command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn ends_within(&mut self, limit: Duration) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < limit, "the worker does not end");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn burst_workers_drain_a_backlog_and_go_and_one_that_is_killed_loses_nothing_and_doubles_nothing() {
    const ORDERS: usize = 120;
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    let mut settings = sandbox.env();
    settings.extend(env(&[("ORDAIN_QUEUES__SHIPPING__CONCURRENCY", "2"), ("ORDAIN_ATTEMPT_TIMEOUT_SECONDS", "2")]));
    let server = Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], settings);
    // Each parcel takes its time, so that all three are in the middle of something.
    for activity in ["prepare_package", "dispatch_carrier"] {
        let fault = json!({"activity": activity, "kind": "slow", "times": ORDERS * 3});
        let planted = sandbox.send("POST", "/faults/next", &fault);
        assert!((200..300).contains(&planted.status), "{}", planted.text());
    }
    patch(&server, "shipping", json!({"paused": true}));
    for n in 0..ORDERS {
        start(&server, &format!("o-{n}"));
    }
    until(&server, "shipping", "a backlog", |queue| queue["backlog"] == ORDERS);
    patch(&server, "shipping", json!({"paused": false}));
    let burst = || {
        let mut command = server.ordain("worker");
        command.envs(sandbox.env());
        Worker::start(command, &["--queue", "shipping", "--burst", "--idle-exit", "3s", "--max", "4"])
    };
    let (mut one, mut two, mut killed) = (burst(), burst(), burst());
    until(&server, "shipping", "three workers hold attempts", |queue| {
        queue["workers"] == 3 && queue["leased"].as_u64() >= Some(9)
    });
    killed.0.kill().unwrap();
    for n in 0..ORDERS {
        let status = ends(&server, &format!("o-{n}"));
        assert_eq!(status["state"], "completed", "{status}");
    }
    assert_eq!((one.ends_within(Duration::from_secs(20)), two.ends_within(Duration::from_secs(20))), (0, 0));
    let totals = sandbox.get("/ledger/totals").json();
    assert_eq!((&totals["charges"], &totals["dispatches"]), (&json!(ORDERS), &json!(ORDERS)), "{totals}");
    for none in ["double_charges", "double_dispatches", "stray_refunds", "refunds"] {
        assert_eq!(totals[none], 0, "{none}: {totals}");
    }
    assert!(server.verify().status.success());
}

#[test]
fn a_worker_told_to_end_ends_what_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    let mut settings = sandbox.env();
    settings.extend(env(&[("ORDAIN_QUEUES__SHIPPING__CONCURRENCY", "0")]));
    let server = Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], settings);
    let fault = json!({"activity": "prepare_package", "kind": "slow", "times": 1});
    sandbox.send("POST", "/faults/next", &fault);
    start(&server, "o-1");
    let worker = || {
        let mut command = server.ordain("worker");
        command.envs(sandbox.env());
        Worker::start(command, &["--queue", "shipping"])
    };
    let mut first = worker();
    until(&server, "shipping", "it holds an attempt", |queue| queue["leased"] == 1);
    assert!(Command::new("kill").args(["-TERM", &first.0.id().to_string()]).status().unwrap().success());
    assert_eq!(first.ends_within(Duration::from_secs(10)), 0);
    let facts = server.history("/workflows/o-1/shipping/1");
    assert!(facts.iter().any(|fact| fact["type"] == "ActivityCompleted"), "{facts:?}");
    let _second = worker();
    assert_eq!(ends(&server, "o-1")["state"], "completed");
}

#[test]
fn a_worker_in_python_serves_an_activity() {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: there is no python3");
        return;
    }
    let server = server(&[(OUTSIDE, "true")]);
    start(&server, "o-1");
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/worker.py"));
    let _worker = Worker::start(python, &[&server.url(), "shipping"]);
    assert_eq!(ends(&server, "o-1")["state"], "completed");
    let shipment = server.get("/workflows/o-1/shipping/1").json();
    assert!(shipment.to_string().contains("o-1"), "{shipment}");
    assert_eq!(queue(&server, "shipping")["workers"], 1);
}

#[test]
fn the_queues_are_shown_and_set_from_the_command_line() {
    let server = server(&[]);
    let run = |args: &[&str]| {
        let output = server.ordain("queues").args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    };
    let (code, table) = run(&[]);
    assert!(code == 0 && table.contains("QUEUE") && table.contains("shipping") && table.contains("orders"), "{table}");
    let (code, text) = run(&["set", "shipping", "--concurrency", "5", "--rate-limit", "2.5", "--pause", "-o", "json"]);
    let set: Value = serde_json::from_str(&text).unwrap_or_default();
    assert_eq!((code, &set["concurrency"], &set["paused"]), (0, &json!(5), &json!(true)), "{text}");
    assert_eq!(set["rate_limit"], json!({"per_second": 2.5, "burst": 3}));
    let (code, table) = run(&["set", "shipping", "--rate-limit", "none", "--resume"]);
    assert!(code == 0 && table.contains("open"), "{table}");
    assert_eq!(run(&["set", "shipping"]).0, 2);
    assert_eq!(run(&["set", "nothing", "--pause"]).0, 1);
}

#[test]
fn hundreds_of_workers_that_ask_at_once_are_all_answered() {
    let server = Server::start(&[], Vec::new());
    let line = server.line();
    for _ in 0..3 {
        let asks = (0..200).map(|n| {
            let line = line.clone();
            std::thread::spawn(move || {
                let body = json!({"worker_id": format!("w-{n}"), "wait_seconds": 0});
                line.post("/api/queues/shipping/poll", Some(&body)).unwrap().status
            })
        });
        let asks: Vec<_> = asks.collect();
        let answers: Vec<u16> = asks.into_iter().map(|ask| ask.join().unwrap()).collect();
        assert!(answers.iter().all(|status| *status == 204), "{answers:?}");
    }
}
