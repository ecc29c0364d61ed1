//! Complete orders a second through the engine alone, without HTTP: `cargo bench --bench engine -- [ORDERS] [IN_FLIGHT]`.
//!
//! Real SQLite file with `synchronous = FULL` in the temporary folder, activities done at once, metrics recorded as by a
//! server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ordain::activities::{self, Chaos};
use ordain::model::OrderId;
use ordain::runtime::{Action, Caller, Command, Engine, Options, Until};
use ordain::store::{self, Location};
use ordain::workflows;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn start(n: usize) -> Command {
    let id = format!("bench-{n}");
    let input = json!({
        "order_id": id, "payment_id": format!("pay-{id}"), "amount": "49.90", "currency": "USD",
        "address": "1 Main Street", "review": {"mode": "auto", "auto_ms": 0}, "fingerprint": "f",
    });
    let id = OrderId::parse(&id).expect("an id").workflow();
    Command {
        id,
        group: "order",
        action: Action::Start { kind: "order", input, fingerprint: "f".into() },
        idempotency: None,
        by: Caller::default(),
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (orders, in_flight) = (*numbers.first().unwrap_or(&30_000), *numbers.get(1).unwrap_or(&1_000));
    // It counts what is recorded until the end.
    let _metrics = ordain::telemetry::metrics().expect("a recorder");
    let folder = tempfile::tempdir().expect("a folder");
    let store = store::open(&Location::Sqlite(folder.path().join("bench.db")), 2).expect("a store");
    actix_rt::System::new().block_on(async move {
        let activities = activities::build(&BTreeMap::new(), Vec::new(), Chaos::default()).expect("activities");
        let engine = Engine::start(Options::default(), workflows::registry(), activities, store).expect("an engine");
        let began = Instant::now();
        let clients = (0..in_flight).map(|client| {
            let engine = engine.clone();
            actix_rt::spawn(async move {
                let mut latencies = Vec::new();
                for n in (client..orders).step_by(in_flight) {
                    let (began, command) = (Instant::now(), start(n));
                    let id = command.id.clone();
                    engine.submit(command).await.expect("a start");
                    engine.status(&id, Some((Until::Terminal, Duration::from_secs(60)))).await.expect("an end");
                    latencies.push(began.elapsed());
                }
                latencies
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.await.expect("a client"));
        }
        let seconds = began.elapsed().as_secs_f64();
        latencies.sort();
        let at = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
        println!("{orders} orders, {in_flight} in flight: {:.0} orders/s", orders as f64 / seconds);
        println!("completion ms: p50 {:.1}  p95 {:.1}  p99 {:.1}  max {:.1}", at(0.5), at(0.95), at(0.99), at(1.0));
        engine.drain(Duration::from_secs(5)).await;
    });
}
