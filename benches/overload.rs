//! What is left of a server's throughput under overload: `cargo bench --bench overload -- [CONNECTIONS] [ROUNDS]`.
//!
//! One server, on a real SQLite file, for the whole run, so that both figures come from the same minutes of the same
//! machine: a calm phase (1,000 orders in flight, which wait where they are told to), then one under overload (10,000
//! connections besides, or as many as are asked for, that ask again at once whatever Retry-After says), and so on.
//! Counted afterwards, in SQL: orders that ended within each phase, and how long each took from its acceptance. Where
//! `taskset` is, the server has the first core to itself and the generators the second.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

const BIN: &str = env!("CARGO_BIN_EXE_ordain");
const CALM: u32 = 1_000;
/// The impatient ones come one after the other over this time, which is not counted.
const RAMP: Duration = Duration::from_secs(5);
const OVERLOAD: Duration = Duration::from_secs(20);
const CALM_FOR: Duration = Duration::from_secs(15);
/// What a phase leaves behind is gone after this time.
const SETTLES: Duration = Duration::from_secs(4);

/// A process that is killed with its guard.
struct Running(Child);

impl Running {
    fn start(core: &str, folder: &Path, args: &[&str]) -> Self {
        let pinned = Command::new("taskset").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        let mut command = if pinned { Command::new("taskset") } else { Command::new(BIN) };
        if pinned {
            command.args(["-c", core, BIN]);
        }
        command.args(args).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the binary"))
    }

    /// In MiB.
    fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|l| l.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1_024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(QueryableByName)]
struct Life {
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = BigInt)]
    ended_at: i64,
}

/// A stretch of time, in ms since the epoch, and the most memory the server had in it.
struct Phase {
    from: i64,
    to: i64,
    rss: u64,
}

impl Phase {
    fn watch(server: &Running, length: Duration) -> Self {
        let (from, began, mut rss) = (now_ms(), Instant::now(), 0);
        while began.elapsed() < length {
            rss = rss.max(server.rss());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { from, to: now_ms(), rss }
    }

    /// Orders that ended a second, and the p50 and p99 in ms from their acceptance to their end.
    fn figures(&self, lives: &[Life]) -> (f64, i64, i64) {
        let ended = lives.iter().filter(|life| (self.from..self.to).contains(&life.ended_at));
        let mut took: Vec<i64> = ended.map(|life| life.ended_at - life.created_at).collect();
        took.sort_unstable();
        let at = |per_cent: usize| took.get(took.len().saturating_sub(1) * per_cent / 100).copied().unwrap_or(0);
        (took.len() as f64 / ((self.to - self.from) as f64 / 1e3), at(50), at(99))
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn main() {
    let numbers: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (connections, rounds) = (*numbers.first().unwrap_or(&10_000), *numbers.get(1).unwrap_or(&4));
    let folder = tempfile::tempdir().expect("a folder");
    let bind = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").to_string();
    let url = format!("http://{bind}");
    let server = Running::start("0", folder.path(), &["serve", "--bind", &bind, "--database-url", "sqlite://bench.db"]);
    std::thread::sleep(Duration::from_secs(1));
    let load = |count: u32, more: &[&str]| {
        let count = count.to_string();
        let mut args = vec!["load", "--url", &url, "--orders", "10000000", "--concurrency", &count];
        args.extend(more);
        Running::start("1", folder.path(), &args)
    };
    let _patient = load(CALM, &[]);
    std::thread::sleep(SETTLES);
    let ramp = format!("{}s", RAMP.as_secs());
    let mut phases = Vec::new();
    for _ in 0..rounds {
        phases.push((false, Phase::watch(&server, CALM_FOR)));
        let impatient = load(connections, &["--impatient", "--ramp", &ramp]);
        std::thread::sleep(RAMP);
        phases.push((true, Phase::watch(&server, OVERLOAD)));
        drop(impatient);
        std::thread::sleep(SETTLES);
    }
    phases.push((false, Phase::watch(&server, CALM_FOR)));
    drop(server);

    let file = folder.path().join("bench.db");
    let mut db = SqliteConnection::establish(&file.to_string_lossy()).expect("the database");
    let ended = "SELECT created_at, ended_at FROM workflows WHERE kind = 'order' AND ended_at IS NOT NULL";
    let lives: Vec<Life> = diesel::sql_query(ended).load(&mut db).expect("the orders");
    assert!(!lives.is_empty(), "no order ended: the server or the load did not run");
    let mut means = [(0.0, 0, 0, 0_u64, 0); 2];
    println!("{:>10} {:>10} {:>8} {:>8} {:>9}", "phase", "orders/s", "p50 ms", "p99 ms", "RSS MiB");
    for (overload, phase) in &phases {
        let (rate, p50, p99) = phase.figures(&lives);
        let name = if *overload { "overload" } else { "calm" };
        println!("{name:>10} {rate:>10.0} {p50:>8} {p99:>8} {:>9}", phase.rss);
        let sum = &mut means[usize::from(*overload)];
        *sum = (sum.0 + rate, sum.1 + p50, sum.2 + p99, sum.3.max(phase.rss), sum.4 + 1);
    }
    let [calm, over] =
        means.map(|(rate, p50, p99, rss, n)| (rate / f64::from(n), p50 / i64::from(n), p99 / i64::from(n), rss));
    println!("under {connections} impatient connections, of what it is without them:");
    println!(
        "orders/s {:.0} %, p50 {:.2} x, p99 {:.2} x, peak RSS {:.2} x",
        over.0 / calm.0 * 100.0,
        over.1 as f64 / calm.1 as f64,
        over.2 as f64 / calm.2 as f64,
        over.3 as f64 / calm.3 as f64
    );
}
