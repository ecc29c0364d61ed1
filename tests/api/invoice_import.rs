//! The import of invoices, black box: the real server, the real sandbox with its portal, kills and storms.
//!
//! Short forms by default. `ORDAIN_TEST_INVOICES=10000 ORDAIN_TEST_STORM_MS=30000 cargo test --test invoice_import long --
//! --nocapture` runs the long one at that size, and prints what it measured.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::{Value, json};

use super::support::client;
use super::support::sandbox::Sandbox;
use super::support::server::Server;

/// Long and odd enough to be found nowhere by chance.
const PASSWORD: &str = "planted-portal-pass-5d1e";
const USER: &str = "planted-portal-user-c04b";
/// How long an import may take in all.
const WITHIN: Duration = Duration::from_secs(600);

struct Scene {
    server: Server,
    sandbox: Sandbox,
    _folder: tempfile::TempDir,
}

fn scene(sandbox: &[&str], args: &[&str], env: &[(&str, &str)]) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), sandbox);
    let mut all = sandbox.env();
    all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Scene { server: Server::start(args, all), sandbox, _folder: folder }
}

fn import(id: &str, password: &str, first: &str, last: &str) -> Value {
    json!({"task_type": "gdt_invoice_import", "task_id": id, "task_params": {
        "company_id": "acme", "company_name": "Acme Ltd", "credentials": {"username": USER, "password": password},
        "date_range_start": first, "date_range_end": last,
    }})
}

#[derive(QueryableByName)]
struct InvoiceRow {
    #[diesel(sql_type = Text)]
    invoice_id: String,
    #[diesel(sql_type = Text)]
    invoice_json: String,
}

#[derive(QueryableByName)]
struct N {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Scene {
    fn start(&self, body: &Value) {
        let answer = self.server.post("/api/tasks/start", Some(body));
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    fn task(&self, id: &str) -> Value {
        self.server.get(&format!("/api/tasks/{id}")).json()
    }

    fn end(&self, id: &str) -> Value {
        let until = Instant::now() + WITHIN;
        loop {
            let task = self.server.get(&format!("/api/tasks/{id}?wait=5")).json();
            if task["status"] != "running" {
                return task;
            }
            assert!(Instant::now() < until, "it does not end: {task}\n{}", self.server.log());
        }
    }

    /// Waits until so many invoices are kept.
    fn reaches(&self, id: &str, done: u64) -> u64 {
        let until = Instant::now() + WITHIN;
        loop {
            let task = self.task(id);
            let now = task["progress"]["done"].as_u64().unwrap();
            if now >= done {
                return now;
            }
            assert!(task["status"] == "running" && Instant::now() < until, "{task}\n{}", self.server.log());
            sleep(Duration::from_millis(5));
        }
    }

    fn stats(&self) -> Value {
        self.sandbox.get("/portal/stats").json()
    }

    fn storm(&self, seconds: u64, retry_after: u64) {
        let answer =
            self.sandbox.send("POST", "/portal/storm", &json!({"seconds": seconds, "retry_after": retry_after}));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The result as it is streamed.
    fn rows(&self, id: &str) -> Vec<Value> {
        let answer = self.server.get(&format!("/api/tasks/{id}/result"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many rows the result has, read as a stream that is not kept.
    fn streamed(&self, id: &str) -> u64 {
        let address = self.server.line().address();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET /api/tasks/{id}/result HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let (mut chunk, mut last, mut rows) = (vec![0; 1 << 16], 0, 0);
        loop {
            let n = stream.read(&mut chunk).unwrap();
            if n == 0 {
                return rows;
            }
            for byte in &chunk[..n] {
                // A row ends so, and nothing else of the answer does.
                rows += u64::from(last == b'}' && *byte == b'\n');
                last = *byte;
            }
        }
    }

    /// Every invoice of some months, by the portal's own word.
    fn portal(&self, months: &[String]) -> BTreeMap<String, Value> {
        let login = json!({"username": "checker", "password": "p"});
        let token = self.sandbox.send("POST", "/portal/login", &login).json()["token"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");
        let get = |path: &str| {
            let answer = client::request(self.sandbox.address, "GET", path, &[("authorization", &bearer)], None);
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()
        };
        let mut all = BTreeMap::new();
        for month in months {
            for page in 1.. {
                let list = get(&format!("/portal/invoices?company_id=acme&month={month}&page={page}"));
                for head in list["invoices"].as_array().unwrap() {
                    let id = head["id"].as_str().unwrap();
                    all.insert(id.to_owned(), get(&format!("/portal/invoices/{id}")));
                }
                if list["page"] == list["pages"] {
                    break;
                }
            }
        }
        all
    }

    /// The view `invoices`, read beside the server.
    fn sql(&self, id: &str) -> Vec<InvoiceRow> {
        let of = |json: &str| {
            format!(
                "SELECT invoice_id, {json} AS invoice_json FROM invoices WHERE task_id = '{id}' ORDER BY invoice_id"
            )
        };
        match self.server.database_url().strip_prefix("sqlite://") {
            Some(path) => {
                let mut c = SqliteConnection::establish(path).unwrap();
                diesel::sql_query(of("invoice_json")).load(&mut c).unwrap()
            }
            None => {
                let mut c = PgConnection::establish(self.server.database_url()).unwrap();
                diesel::sql_query(of("invoice_json::text")).load(&mut c).unwrap()
            }
        }
    }

    fn count(&self, statement: &str) -> i64 {
        let n: N = match self.server.database_url().strip_prefix("sqlite://") {
            Some(path) => diesel::sql_query(statement).get_result(&mut SqliteConnection::establish(path).unwrap()),
            None => {
                let mut c = PgConnection::establish(self.server.database_url()).unwrap();
                diesel::sql_query(statement).get_result(&mut c)
            }
        }
        .unwrap();
        n.n
    }
}

fn fetches(stats: &Value, field: &str) -> u64 {
    stats["fetches"][field].as_u64().unwrap()
}

/// The peak of a process's memory, in MiB.
fn peak_rss_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

#[test]
fn every_invoice_of_the_range_is_imported_as_the_portal_has_it() {
    let scene = scene(&["--invoices-per-month", "45", "--seed", "3"], &[], &[]);
    let types = scene.server.get("/api/tasks/types").json();
    let named = |t: &&Value| t["name"] == "gdt_invoice_import";
    let import_type = types["types"].as_array().unwrap().iter().find(named).unwrap().clone();
    assert_eq!(import_type["queue"], "invoices");
    // A part of January, all of February, a part of March.
    scene.start(&import("i-1", PASSWORD, "2024-01-20", "2024-03-10T00:00:00Z"));
    let done = scene.end("i-1");
    assert_eq!(done["status"], "completed", "{done}");
    let stats = scene.stats();
    let expected: BTreeMap<String, Value> = scene
        .portal(&["2024-01", "2024-02", "2024-03"].map(str::to_owned))
        .into_iter()
        .filter(|(_, invoice)| ("2024-01-20"..="2024-03-10").contains(&invoice["issued_on"].as_str().unwrap()))
        .collect();
    let total = expected.len() as u64;
    assert!((60..120).contains(&total), "{total}");
    assert_eq!(done["progress"], json!({"done": total, "total": total, "message": "completed"}));
    assert_eq!(done["result"], json!({"invoices": total, "months": 3}));
    assert_eq!((fetches(&stats, "total"), fetches(&stats, "duplicates")), (total, 0));
    assert_eq!(stats["logins"], 1);
    let rows: BTreeMap<String, Value> =
        scene.rows("i-1").into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect();
    assert_eq!(rows, expected);
    let sql: BTreeMap<String, Value> = scene
        .sql("i-1")
        .into_iter()
        .map(|row| (row.invoice_id, serde_json::from_str(&row.invoice_json).unwrap()))
        .collect();
    assert_eq!(sql, expected);
    let cents = |text: &Value| text.as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let sum = "SELECT CAST(SUM(CAST(REPLACE(amount, '.', '') AS BIGINT)) AS BIGINT) AS n FROM invoices";
    assert_eq!(scene.count(sum), expected.values().map(|invoice| cents(&invoice["amount"])).sum::<i64>());
    // Page by page it is the same; and by the command line.
    let page = scene.server.get("/api/tasks/i-1/result?limit=7");
    let next = page.header("ordain-next-after").unwrap().to_owned();
    assert_eq!((page.text().lines().count(), next.as_str()), (7, expected.keys().nth(6).unwrap().as_str()));
    let rest = scene.server.get(&format!("/api/tasks/i-1/result?limit=1000&after={next}"));
    assert_eq!((rest.text().lines().count() as u64, rest.header("ordain-next-after")), (total - 7, None));
    let printed = scene.server.ordain("task").args(["result", "i-1"]).output().unwrap();
    assert!(printed.status.success());
    let stream = scene.server.get("/api/tasks/i-1/result").text();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), stream);
    for (path, status) in [("/api/tasks/none/result", 404), ("/api/tasks/i-1/result?limit=0", 422)] {
        assert_eq!(scene.server.get(path).status, status, "{path}");
    }
    assert!(scene.server.verify().status.success());
}

#[test]
fn parameters_that_no_schema_can_check_are_told_with_their_place() {
    let scene = scene(&[], &[], &[]);
    for (first, last, pointer) in [
        ("2024-02-30", "2024-03-01", "/task_params/date_range_start"),
        ("2024-03-02", "2024-03-01", "/task_params/date_range_end"),
        ("01.01.2024", "2024-03-01", "/task_params/date_range_start"),
    ] {
        let answer = scene.server.post("/api/tasks/start", Some(&import("i-1", PASSWORD, first, last)));
        assert_eq!((answer.status, answer.json()["errors"][0]["pointer"].clone()), (422, json!(pointer)));
        assert!(!answer.text().contains(PASSWORD));
    }
    assert_eq!(scene.server.get("/api/tasks/i-1").status, 404);
}

#[test]
fn a_wrong_password_is_a_clear_end_after_one_login() {
    let scene = scene(&[], &[], &[]);
    scene.start(&import("i-1", "wrong", "2024-01-01", "2024-12-31"));
    let failed = scene.end("i-1");
    assert_eq!((&failed["status"], &failed["error"]["kind"]), (&json!("failed"), &json!("refused")), "{failed}");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("the portal refuses the login") && !message.contains(USER), "{message}");
    assert_eq!(scene.stats()["requests"], 1);
    assert!(scene.rows("i-1").is_empty());
}

#[test]
fn a_token_that_expires_is_renewed_and_secrets_are_nowhere() {
    // The portal takes 60 requests a second: it lasts longer than two tokens, and is told to wait now and then.
    let scene = scene(
        &["--invoices-per-month", "60", "--token-seconds", "1", "--portal-rate", "60/s"],
        &["--log-level", "debug"],
        &[],
    );
    scene.start(&import("i-1", PASSWORD, "2024-01-01", "2024-02-29"));
    scene.reaches("i-1", 20);
    let early = scene.rows("i-1");
    assert!(early.len() >= 20 && early.len() < 120, "{}", early.len());
    let done = scene.end("i-1");
    assert_eq!((&done["status"], &done["progress"]["done"]), (&json!("completed"), &json!(120)), "{done}");
    let stats = scene.stats();
    assert!(stats["logins"].as_u64().unwrap() >= 2, "{stats}");
    assert_eq!((fetches(&stats, "total"), fetches(&stats, "duplicates")), (120, 0), "{stats}");
    assert_eq!(scene.rows("i-1").len(), 120);

    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in std::fs::read_dir(scene.server.folder()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    for path in [
        "/api/tasks/i-1",
        "/api/tasks/i-1/history?limit=10000",
        "/api/tasks/i-1/result",
        "/workflows/i-1/invoice_batch/1",
        "/workflows/i-1/invoice_batch/1/history",
        "/api/tasks",
        "/api/queues/invoices",
        "/metrics",
    ] {
        let answer = scene.server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        places.push((path.to_owned(), answer.body));
    }
    assert!(places.iter().any(|(name, _)| name.ends_with("server.log")));
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(places.iter().filter(|(_, bytes)| holds(bytes, "acme:2024-01:0001")).count() >= 2);
    for (place, bytes) in places {
        // A token of the portal begins so.
        for secret in [USER, PASSWORD, "portal.1"] {
            assert!(!holds(&bytes, secret), "{secret} is in {place}");
        }
    }
}

#[test]
fn a_cancel_in_a_backoff_ends_it_at_once_and_nothing_more_is_asked() {
    let scene = scene(&["--invoices-per-month", "1000"], &[], &[]);
    scene.start(&import("i-1", PASSWORD, "2024-01-01", "2024-12-31"));
    scene.reaches("i-1", 50);
    scene.storm(30, 1);
    sleep(Duration::from_millis(500));
    let task = scene.task("i-1");
    assert!(task["progress"]["message"].as_str().unwrap().contains("rate_limited"), "{task}");
    let queue = scene.server.get("/api/queues/invoices").json();
    assert!(queue["backoff_until"].is_string() && queue["shared_backoff"] == true, "{queue}");
    let began = Instant::now();
    let cancelled = scene.server.post("/api/tasks/i-1/cancel", Some(&json!({"reason": "enough"})));
    assert_eq!((cancelled.status, cancelled.json()["status"].clone()), (202, json!("cancelled")));
    assert!(began.elapsed() < Duration::from_secs(2));
    let (requests, kept) = (scene.stats()["requests"].clone(), scene.rows("i-1").len());
    assert!(kept >= 50);
    sleep(Duration::from_secs(3));
    // What waited in the queue was dropped with its workflow: not even a probe is sent.
    assert_eq!(scene.stats()["requests"], requests);
    assert_eq!((scene.task("i-1")["status"].clone(), scene.rows("i-1").len()), (json!("cancelled"), kept));
    let open = "SELECT COUNT(*) AS n FROM workflows WHERE ended_at IS NULL";
    assert_eq!(scene.count(open), 0);
    assert!(scene.server.verify().status.success());
}

/// A storm in the middle and two kills, at a size that the environment can set; what it measured is printed.
#[test]
fn long_a_storm_and_two_kills_lose_nothing_and_fetch_nothing_twice() {
    let setting = |name: &str, plain: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(plain);
    let (total, storm_ms) = (setting("ORDAIN_TEST_INVOICES", 600), setting("ORDAIN_TEST_STORM_MS", 4_000));
    let (months, retry_after) = (12, 1);
    let per_month = total.div_ceil(months).clamp(1, 9_999);
    let total = per_month * months;
    let mut scene = scene(&["--invoices-per-month", &per_month.to_string(), "--token-seconds", "5"], &[], &[]);
    let began = Instant::now();
    scene.start(&import("i-1", PASSWORD, "2024-01-01", "2024-12-31"));

    let mut rss = 0;
    let kill = |scene: &mut Scene, at: u64| {
        scene.reaches("i-1", at);
        let peak = peak_rss_mib(scene.server.pid());
        scene.server.kill9();
        scene.server.restart();
        peak
    };
    rss = rss.max(kill(&mut scene, total / 5));
    let before_storm = scene.reaches("i-1", total / 3);
    scene.storm(storm_ms.div_ceil(1_000), retry_after);
    sleep(Duration::from_millis(storm_ms));
    let storm = scene.stats()["storm"].clone();
    rss = rss.max(kill(&mut scene, total / 2));
    let done = scene.end("i-1");
    let took = began.elapsed();
    rss = rss.max(peak_rss_mib(scene.server.pid()));
    let stats = scene.stats();

    assert_eq!((&done["status"], &done["progress"]["done"]), (&json!("completed"), &json!(total)), "{done}");
    let sql = scene.sql("i-1");
    let ids: BTreeSet<&str> = sql.iter().map(|row| row.invoice_id.as_str()).collect();
    let expected: BTreeSet<String> = (1..=months)
        .flat_map(|month| (1..=per_month).map(move |place| format!("acme:2024-{month:02}:{place:04}")))
        .collect();
    let missing = expected.iter().filter(|id| !ids.contains(id.as_str())).count();
    let duplicates = sql.len() - ids.len();
    let per_second: Vec<u64> =
        storm["per_second"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    let first = per_second.iter().position(|count| *count > 0).unwrap_or(0);
    let while_backing_off: u64 = per_second[first + 1..].iter().sum();
    let probes_max = (per_second.len() - first - 1) as u64 / retry_after;
    println!(
        "{total} invoices in {:.1} s: {:.0}/s without the storm; requests in the storm of {storm_ms} ms: {} ({:?} by the \
         second); fetches {} of {} invoices; duplicates {duplicates}, missing {missing}; peak RSS {rss} MiB; logins {}",
        took.as_secs_f64(),
        total as f64 / took.saturating_sub(Duration::from_millis(storm_ms)).as_secs_f64(),
        storm["requests"],
        per_second,
        fetches(&stats, "total"),
        fetches(&stats, "distinct"),
        stats["logins"],
    );
    assert_eq!((sql.len() as u64, missing, duplicates), (total, 0, 0));
    assert_eq!(fetches(&stats, "distinct"), total);
    // A kill takes with it what was fetched and not yet on disk: never more than can be open at once.
    assert!(fetches(&stats, "total") <= total + 2 * 32, "{stats}");
    assert!(before_storm < total, "the storm came too late");
    assert!(while_backing_off <= probes_max, "{while_backing_off} requests in {per_second:?}");
    assert!(rss < 200, "{rss} MiB");
    // Streamed, they are as many, and the server holds no more of them in memory than of a few.
    assert_eq!(scene.streamed("i-1"), total);
    let rss = peak_rss_mib(scene.server.pid());
    assert!(rss < 200, "{rss} MiB after the stream");
    assert!(scene.server.verify().status.success());
}
