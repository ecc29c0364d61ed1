//! More than there is room for: it is refused with a reason and a time, nothing that was accepted suffers, and nothing that
//! was refused leaves a trace. How much faster or slower it gets is measured by `cargo bench --bench overload`, not here.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::client::{Response, request};
use support::server::{Line, Server};

/// Runs `work` on so many threads at once; what each of them gave.
fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn({
                    let work = &work;
                    move || work(n)
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn post(line: &Line, path: &str, body: Option<&Value>) -> Response {
    line.post(path, body).unwrap()
}

fn number(server: &Server, metric: &str) -> f64 {
    let text = server.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {metric} in {text}")).parse().unwrap()
}

/// Refused as the contract has it.
fn is_refused(answer: &Response) -> bool {
    let refused = matches!(answer.status, 429 | 503);
    if refused {
        assert_eq!(answer.json()["code"], "overloaded", "{}", answer.text());
        assert!(answer.header("retry-after").is_some_and(|s| s.parse::<u32>().is_ok_and(|s| s >= 1)));
    }
    refused
}

#[test]
fn of_too_many_orders_some_are_taken_and_end_and_the_others_leave_no_trace() {
    let server = Server::start(&["--steps-max", "2", "--review-seconds", "0", "--deadline-seconds", "0"], Vec::new());
    let line = server.line();
    let answers: Vec<(String, bool)> = at_once(16, |thread| {
        let of = |n: usize| {
            let id = format!("o-{thread}-{n}");
            let answer = post(&line, &format!("/orders/{id}/start"), None);
            let refused = is_refused(&answer);
            assert!(refused || answer.status == 202, "{} {}", answer.status, answer.text());
            (id, refused)
        };
        (0..10).map(of).collect::<Vec<_>>()
    })
    .concat();
    let refused: Vec<&String> = answers.iter().filter(|(_, refused)| *refused).map(|(id, _)| id).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len(), "{} of {}", refused.len(), answers.len());
    for (id, was_refused) in &answers {
        if *was_refused {
            assert_eq!(server.get(&format!("/orders/{id}/status")).status, 404, "{id}");
        } else {
            let status = server.get(&format!("/orders/{id}/status?wait=30&until=terminal")).json();
            assert_eq!(status["state"], "completed", "{status}");
        }
    }
    assert!(number(&server, "ordain_overload_refusals_total") >= 1.0);
    assert_eq!(number(&server, "ordain_steps"), 0.0, "every step that began is over");
    let audit = server.get("/audit?limit=500").text();
    assert!(refused.iter().all(|id| !audit.contains(&format!("\"{id}\""))), "{audit}");
    // The same request finds room when there is some.
    let again = server.post(&format!("/orders/{}/start", refused[0]), None);
    assert_eq!(again.status, 202, "{}", again.text());
}

#[test]
fn what_goes_on_comes_before_what_is_new() {
    let server = Server::start(&["--steps-max", "1", "--deadline-seconds", "0"], Vec::new());
    let line = server.line();
    let timed = json!({"review_seconds": 0.5});
    assert_eq!(server.post("/orders/timed/start", Some(&timed)).status, 202);
    // As long as anything is new, it asks to come in.
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (line, over) = (&line, &over);
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let answer =
                        post(line, &format!("/orders/n-{thread}-{n}/start"), Some(&json!({"review": "manual"})));
                    assert!(is_refused(&answer) || answer.status == 202, "{}", answer.text());
                }
            });
        }
        let status = server.get("/orders/timed/status?wait=30&until=terminal").json();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(status["state"], "completed", "its timer and its calls found room: {status}");
    });
}

#[test]
fn thousands_of_signals_for_one_order_are_bounded_and_others_go_on() {
    let server = Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], Vec::new());
    let line = server.line();
    assert_eq!(server.post("/orders/hot/start", Some(&json!({"review": "manual"}))).status, 202);
    let flood = |thread: usize| {
        let mut taken = 0;
        for n in 0..50 {
            let body = json!({"address": format!("{thread} {n} Main Street")});
            let answer = post(&line, "/orders/hot/signals/update-address", Some(&body));
            assert!(is_refused(&answer) || answer.status == 202, "{} {}", answer.status, answer.text());
            taken += usize::from(answer.status == 202);
        }
        taken
    };
    let taken: usize = thread::scope(|scope| {
        let floods = scope.spawn(|| at_once(100, flood).into_iter().sum());
        for n in 0..20 {
            let id = format!("cool-{n}");
            assert_eq!(post(&line, &format!("/orders/{id}/start"), None).status, 202);
            let status = line.get(&format!("/orders/{id}/status?wait=10&until=terminal")).unwrap().json();
            assert_eq!(status["state"], "completed", "{status}");
        }
        floods.join().unwrap()
    });
    // Each that was taken is in the history, and nothing else is.
    let updates = server.history("/orders/hot").iter().filter(|fact| fact["type"] == "AddressUpdated").count();
    assert_eq!(updates, taken);
    assert!(taken > 0);
    assert_eq!(server.post("/orders/hot/signals/approve", None).status, 202);
    assert_eq!(server.get("/orders/hot/status?wait=10&until=terminal").json()["state"], "completed");
}

#[test]
fn a_thousand_slow_connections_disturb_nobody_and_are_let_go() {
    let server = Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], Vec::new());
    let address = server.line().address();
    let slow = |head: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let host = format!("Host: {address}\r\n");
    let mut all: Vec<TcpStream> =
        (0..500).map(|_| slow(&format!("POST /orders/slow/start HTTP/1.1\r\n{host}X-Slow: "))).collect();
    let half = format!("POST /orders/slow/start HTTP/1.1\r\n{host}Content-Length: 100\r\n\r\n{{");
    all.extend((0..500).map(|_| slow(&half)));
    for n in 0..20 {
        let answer = request(address, "POST", &format!("/orders/honest-{n}/start"), &[], None).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
        let status = server.get(&format!("/orders/honest-{n}/status?wait=10&until=terminal")).json();
        assert_eq!(status["state"], "completed", "{status}");
    }
    // Each gets 408, or is closed; none is kept.
    for mut stream in all {
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert_eq!(server.get("/orders/slow/status").status, 404);
}

#[test]
fn who_fetches_nothing_of_its_answers_takes_little_and_is_let_go() {
    let server = Server::start(&["--request-timeout-seconds", "1"], Vec::new());
    let address = server.line().address();
    let of = |what: &str| format!("/proc/{}/{what}", server.pid());
    let Ok(before) = resident_kib(&of("status")) else { return eprintln!("not run: this system does not tell") };
    let sockets = || {
        let files =
            std::fs::read_dir(of("fd")).unwrap().filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        files.filter(|file| file.to_string_lossy().starts_with("socket:")).count()
    };
    let (idle, file) = (sockets(), "/docs/swagger-ui-bundle.js");
    let length = server.get(file).body.len();
    assert!(length > 1_000_000, "{length} bytes are no long answer");
    // More than the system buffers for a connection.
    let asked = format!("GET {file} HTTP/1.1\r\nHost: {address}\r\n\r\n").repeat(8);
    let all: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(asked.as_bytes()).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    let grown = resident_kib(&of("status")).unwrap().saturating_sub(before);
    assert!(grown < 20_000, "{grown} KiB for {} connections", all.len());
    assert_eq!(server.get("/healthz").status, 200);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while sockets() > idle {
        assert!(std::time::Instant::now() < until, "{} sockets are still open, {idle} were", sockets());
        thread::sleep(Duration::from_millis(100));
    }
}

fn resident_kib(status: &str) -> std::io::Result<usize> {
    let status = std::fs::read_to_string(status)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

#[test]
fn a_servers_memory_comes_in_small_pages() {
    let server = Server::start(&[], Vec::new());
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    // Where the system tells it at all.
    if let Some(huge) = status.lines().find_map(|line| line.strip_prefix("THP_enabled:")) {
        assert_eq!(huge.trim(), "0");
    }
}
