//! The loud part of the story: 200 orders, a world that misbehaves, and kill -9; then the books.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::DemoError;
use super::guests::Guest;
use super::scenes::Tally;
use super::stage::Stage;
use super::voice::Voice;
use crate::store::{self, Location};
use crate::verify::{self, Report};
use crate::workflows;

const ORDERS: u64 = 200;
/// How long all of them may take after the restart.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long they run before the kill.
const BEFORE_THE_KILL: Duration = Duration::from_millis(1_200);
const TICK: Duration = Duration::from_millis(50);
const ENDS: [&str; 4] = ["completed", "cancelled", "failed", "timed_out"];

/// # Errors
/// [`DemoError`] where the story cannot go on.
pub async fn play(voice: &mut Voice, stage: &mut Stage, tally: &mut Tally) -> Result<(), DemoError> {
    voice.scene(&format!("{ORDERS} orders, and kill -9"))?;
    let sandbox = Guest::sandbox(stage.sandbox_url())?;
    voice.say(
        "From now on 45 % of all calls outside go wrong: errors, lost replies, hangs, garbage, some of them after",
    )?;
    voice.say("the effect. And the carrier is closed, so that no order can end before the server does.")?;
    sandbox.put("/faults", &json!({"mode": "rough"})).await?;
    let closed = json!({"activity": "dispatch_carrier", "kind": "error_before", "times": 1_000_000});
    sandbox.post("/faults/next", &closed).await?;
    voice.pause().await;
    let server = Guest::server(stage.server_url())?;
    start(&server).await?;
    voice.say(&format!("{ORDERS} orders are sent and accepted: each is on disk."))?;
    tokio::time::sleep(BEFORE_THE_KILL).await;
    let states = states(&server).await?;
    voice.say(&format!("Where they are now: {}", words(&states)))?;
    let in_flight: u64 = states.iter().filter(|(state, _)| !ENDS.contains(&state.as_str())).map(|(_, n)| n).sum();
    voice.sends(&format!("kill -9 {}", stage.pid()))?;
    stage.kill_server();
    voice.claim_eq(in_flight, ORDERS, &format!("the server died with {ORDERS} orders in flight"))?;
    voice.claim(server.get("/readyz").await.is_err(), "nobody answers")?;
    let charged = sandbox.get("/ledger/totals").await?["charges"].as_u64().unwrap_or_default();
    let charged = charged.saturating_sub(tally.completed + tally.cancelled);
    voice.say(&format!("The gateway has charged {charged} of them; the server may not have heard of all."))?;
    voice.pause().await;

    voice.sends("ordain serve")?;
    let took = stage.start_server().await?;
    voice.say(&format!("It is ready after {} ms, and the carrier opens again.", took.as_millis()))?;
    sandbox.put("/faults", &json!({"mode": "rough"})).await?;
    let server = Guest::server(stage.server_url())?;
    tally.completed += ORDERS;
    let began = Instant::now();
    arrive(voice, &server, tally.completed).await?;
    let seconds = began.elapsed().as_secs_f64();
    let ended = try_join_all((1..=ORDERS).map(|n| order(&server, n))).await?;
    let arrived = ended.iter().filter(|state| *state == "completed").count() as u64;
    voice.claim_eq(arrived, ORDERS, &format!("all {ORDERS} orders arrived, {seconds:.1} s after the restart"))?;
    sandbox.put("/faults", &json!({"mode": "off"})).await?;
    voice.pause().await;
    Ok(())
}

/// # Errors
/// [`DemoError`] where the books cannot be read.
pub async fn books(voice: &mut Voice, stage: &mut Stage, tally: &Tally) -> Result<(), DemoError> {
    voice.scene("The books")?;
    let sandbox = Guest::sandbox(stage.sandbox_url())?;
    let totals = sandbox.get("/ledger/totals").await?;
    let of = |name: &str| totals[name].as_u64().unwrap_or(u64::MAX);
    voice.say(&format!(
        "The sandbox's own ledger, kept outside the server: {} requests, of which {} met a fault.",
        of("requests"),
        of("faults")
    ))?;
    let orders = tally.completed + tally.cancelled;
    voice.claim_eq(of("charges"), orders, &format!("{orders} orders, {orders} charges"))?;
    let refunds = format!("{} cancelled, {} refund", tally.cancelled, tally.cancelled);
    voice.claim_eq(of("refunds"), tally.cancelled, &refunds)?;
    let dispatches = format!("{} completed, {} dispatches", tally.completed, tally.completed);
    voice.claim_eq(of("dispatches"), tally.completed, &dispatches)?;
    let doubles = (of("double_charges"), of("double_dispatches"));
    voice.claim_eq(doubles, (0, 0), "double charges: 0, double dispatches: 0")?;

    voice.sends("ordain verify")?;
    let status = stage.stop_server().await?;
    voice.claim(status.is_some_and(|s| s.success()), "the server ended in order when it was told to (SIGTERM)")?;
    let report = check(stage.database_url()).await?;
    let Report { workflows, facts, differences, listed } = report;
    let text = format!("{workflows} histories with {facts} facts folded and compared with every row: 0 differences");
    voice.claim_eq(differences, 0, &text)?;
    for line in listed {
        voice.say(&line)?;
    }
    voice.pause().await;
    Ok(())
}

async fn start(server: &Guest) -> Result<(), DemoError> {
    let one = async |n: u64| {
        // Reviews of different lengths, so that the kill finds them in different places.
        let review = (n % 10) as f64 * 0.2;
        let amount = format!("{}.{:02}", 10 + n, n % 100);
        let body = json!({"amount": amount, "address": format!("{n} Main Street"), "review_seconds": review});
        server.post(&format!("/orders/order-{n}/start"), &body).await.map(|_| ())
    };
    try_join_all((1..=ORDERS).map(one)).await.map(|_| ())
}

/// The state of an order of these.
async fn order(server: &Guest, n: u64) -> Result<String, DemoError> {
    let record = server.get(&format!("/orders/order-{n}/state")).await?;
    Ok(record["state"].as_str().unwrap_or_default().to_owned())
}

/// How many orders there are in each state, states without any left out.
async fn states(server: &Guest) -> Result<Vec<(String, u64)>, DemoError> {
    let stats = server.get("/stats").await?;
    let states = stats["orders"].as_object().into_iter().flatten();
    let count = |(state, n): (&String, &Value)| n.as_u64().filter(|n| *n > 0).map(|n| (state.clone(), n));
    Ok(states.filter_map(count).collect())
}

fn words(states: &[(String, u64)]) -> String {
    let going = states.iter().filter(|(state, _)| !ENDS.contains(&state.as_str()));
    going.map(|(state, n)| format!("{n} {}", state.replace('_', " "))).collect::<Vec<_>>().join(", ")
}

/// Waits until so many orders are completed in all, or the time is over: the claims say which.
async fn arrive(voice: &Voice, server: &Guest, completed: u64) -> Result<(), DemoError> {
    let bar = voice.bar(ORDERS);
    let until = Instant::now() + PATIENCE;
    loop {
        let states = states(server).await?;
        let done = states.iter().find(|(state, _)| state == "completed").map_or(0, |(_, n)| *n);
        bar.set_position(done.saturating_sub(completed - ORDERS));
        if done >= completed || Instant::now() > until {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
}

/// What `ordain verify` does, off this thread.
async fn check(database_url: String) -> Result<Report, DemoError> {
    let check = move || {
        let location = Location::parse(&database_url).map_err(|e| e.to_string())?;
        let queries = store::open_read_only(&location).map_err(|e| e.to_string())?;
        verify::verify(queries.as_ref(), &workflows::registry()).map_err(|e| e.to_string())
    };
    let report = tokio::task::spawn_blocking(check).await.map_err(|e| DemoError::Verify(e.to_string()))?;
    report.map_err(DemoError::Verify)
}
