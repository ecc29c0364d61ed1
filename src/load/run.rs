//! The course of a run: a server, the orders, the figures, the check; and everything put away again, whatever happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::LoadError;
use super::check::{self, Check};
use super::client::Line;
use super::crew::{Crew, CrewPlan};
use super::machine;
use super::metrics::Scrape;
use super::options::LoadOptions;
use super::orders::Orders;
use super::page;
use super::progress::Progress;
use super::report::{Latency, Report, Retries, ServerFigures};
use super::scratch::Scratch;
use super::series::{Restart, Sampler, Seen, Series};
use super::server::Server;
use super::target::Target;
use crate::process;
use crate::store::Location;

const READY_WITHIN: Duration = Duration::from_secs(20);
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Files left for everything that is not one of our connections.
const FILES_SPARED: usize = 64;

/// Runs the orders and says what was found. Ctrl-C and SIGTERM end it early; server and folder of its own are put away
/// in any case.
///
/// # Errors
/// [`LoadError`] where there is nothing to report. A server that did not keep its promises is no error but a report
/// that is not `ok`.
pub async fn run(options: LoadOptions) -> Result<Report, LoadError> {
    let mut terminate = signal(SignalKind::terminate())?;
    // The course of the run holds guards of all it made: dropped halfway, it cleans up.
    tokio::select! {
        report = course(&options) => report,
        interrupted = tokio::signal::ctrl_c() => Err(interrupted.err().map_or(LoadError::Interrupted, LoadError::Io)),
        _ = terminate.recv() => Err(LoadError::Interrupted),
    }
}

async fn course(options: &LoadOptions) -> Result<Report, LoadError> {
    let mut notes = Vec::new();
    let checked = options.database_url.as_deref().map(Location::parse).transpose();
    let checked = checked.map_err(|e| LoadError::Usage(e.to_string()))?;
    if let (Some(_), Some(Location::Sqlite(path))) = (&options.url, &checked)
        && !path.is_file()
    {
        return Err(LoadError::Usage(format!("--database-url {}: there is no such file", path.display())));
    }
    // Declared before the server, so that it is removed after it.
    let scratch = options.url.is_none().then(|| Scratch::new(options.keep)).transpose()?;
    let mut server = scratch
        .as_ref()
        .map(|s| Server::start(s.path(), options.database_url.as_deref(), &options.server_args))
        .transpose()?;
    let url = server.as_ref().map(|s| s.url.clone()).or_else(|| options.url.clone()).unwrap_or_default();
    let target = Target::new(&url, options.api_key.as_deref())?;
    ready(&target, server.as_mut()).await?;

    let orders = Orders::new(options);
    let lanes = lanes(options, &mut notes);
    let before = metrics(&target).await;
    let cpu_before = (machine::cpu_seconds(std::process::id()), cpu(server.as_ref()));
    let mut crew = Crew::start(CrewPlan {
        target: target.clone(),
        orders: orders.clone(),
        total: options.orders,
        lanes,
        threads: options.threads.min(lanes),
        patience: Duration::from_secs(options.patience_seconds),
        impatient: options.impatient,
        ramp: options.ramp.unwrap_or_default(),
        order_patience: Duration::from_secs(
            options.patience_seconds + u64::from(options.review_seconds) + u64::from(options.deadline_seconds),
        ),
        rate: options.rate,
    })?;
    let mut sampler = Sampler::new(crew.begun, before.clone());
    let mut peak_rss = None;
    drive(&mut crew, &mut server, &mut sampler, &mut peak_rss, options.kill_every).await?;
    let seconds = crew.begun.elapsed().as_secs_f64();
    let cpu_after = (machine::cpu_seconds(std::process::id()), cpu(server.as_ref()));

    let mut figures = ServerFigures::between(&before, &metrics(&target).await);
    figures.peak_rss_bytes = server.as_ref().and_then(|s| machine::peak_rss(s.pid())).max(peak_rss);
    figures.cpu_seconds = spent(cpu_before.1, cpu_after.1);
    // Only in a database of our own are all orders those of this run.
    let stats = if server.is_some() { stats(&target).await } else { None };
    let own = server.as_ref().map(|s| Location::parse(&s.database)).transpose();
    let database = own.map_err(|e| LoadError::Usage(e.to_string()))?.or(checked);
    if let Some(server) = server {
        match server.stop().await? {
            Some(status) if status.success() => {}
            Some(status) => notes.push(format!("the server ended with {status} after SIGTERM")),
            None => notes.push("the server did not end after SIGTERM and was killed".into()),
        }
    }
    let tally = crew.shared.tally();
    let check = database.map(|d| check::check(&d, &orders, &tally, stats.as_ref())).transpose()?;
    drop(tally);
    match &scratch {
        Some(scratch) if options.keep => notes.push(format!("kept: {}", scratch.path().display())),
        _ => {}
    }
    let timing = Timing { seconds, generator_cpu_seconds: spent(cpu_before.0, cpu_after.0) };
    let report = report(options, &crew, timing, figures, check, notes, sampler.series);
    if let Some(file) = &options.report {
        let page = page::render(&report).map_err(LoadError::Report)?;
        std::fs::write(file, page)?;
    }
    Ok(report)
}

struct Timing {
    seconds: f64,
    generator_cpu_seconds: Option<f64>,
}

fn report(
    options: &LoadOptions,
    crew: &Crew,
    timing: Timing,
    server: ServerFigures,
    check: Option<Check>,
    notes: Vec<String>,
    series: Series,
) -> Report {
    let tally = crew.shared.tally();
    let ends = tally.ends();
    Report {
        ok: tally.ended == options.orders && check.as_ref().is_none_or(|c| c.breaches == 0),
        url: crew.shared.target.url.clone(),
        orders: options.orders,
        in_flight: crew.shared.lanes,
        rate: options.rate,
        mix: options.mix.to_string(),
        seed: options.seed,
        accepted: tally.accepted,
        ended: tally.ended,
        completed: ends.get("completed").copied().unwrap_or_default(),
        ends,
        refused: tally.refused.clone(),
        seconds: timing.seconds,
        orders_per_second: tally.ended as f64 / timing.seconds.max(1e-9),
        start_ms: Latency::of(&tally.start_us),
        completion_ms: Latency::of(&tally.completion_us),
        taken_ms: Latency::of(&tally.taken_us),
        life_ms: Latency::of(&tally.life_us),
        retries: Retries {
            overloaded: tally.overloaded,
            server_errors: tally.server_errors,
            connection_losses: tally.connection_losses,
            last: tally.last_trouble.clone(),
        },
        generator_cpu_seconds: timing.generator_cpu_seconds,
        server,
        check,
        notes,
        series,
    }
}

/// Watches over the crew until it is done, takes samples, and kills the server where that is asked for.
async fn drive(
    crew: &mut Crew,
    server: &mut Option<Server>,
    sampler: &mut Sampler,
    peak_rss: &mut Option<u64>,
    kill_every: Option<Duration>,
) -> Result<(), LoadError> {
    let shared = std::sync::Arc::clone(&crew.shared);
    let mut progress = Progress::new(shared.total);
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut killed = Instant::now();
    let finished = crew.finished();
    tokio::pin!(finished);
    loop {
        tokio::select! {
            done = &mut finished => return done.map_err(LoadError::from),
            _ = tick.tick() => {}
        }
        if let Some(server) = server.as_mut() {
            server.alive()?;
            if kill_every.is_some_and(|every| killed.elapsed() >= every) {
                *peak_rss = machine::peak_rss(server.pid()).max(*peak_rss);
                let (seconds, began) = (sampler.since(), Instant::now());
                server.kill_and_restart()?;
                ready(&shared.target, Some(server)).await?;
                let ready_ms = began.elapsed().as_secs_f64() * 1_000.0;
                sampler.series.restarts.push(Restart { seconds, ready_ms });
                killed = Instant::now();
            }
        }
        if sampler.is_due() {
            let scrape = question(&shared.target, "/metrics").await;
            let scrape = scrape.map(|text| Scrape::parse(&String::from_utf8_lossy(&text)));
            let server_rss_bytes = server.as_ref().and_then(|s| machine::rss(s.pid()));
            let mut tally = shared.tally();
            let refused: u64 = tally.refused.values().sum();
            let (ended, window) = (tally.ended, tally.take_window());
            drop(tally);
            let in_flight = shared.begun().saturating_sub(ended + refused);
            sampler.take(Seen { ended, in_flight, window, scrape, server_rss_bytes });
        }
        progress.show(&shared, &sampler.series);
    }
}

/// How many orders can be in flight.
fn lanes(options: &LoadOptions, notes: &mut Vec<String>) -> usize {
    let wanted = options.concurrency.min(usize::try_from(options.orders).unwrap_or(usize::MAX));
    let files = process::raise_open_files().saturating_sub(FILES_SPARED).max(1);
    let lanes = wanted.min(options.connections.unwrap_or(usize::MAX)).min(files);
    if lanes == files && lanes < wanted {
        notes.push(format!("{lanes} orders in flight instead of {wanted}: more files may not be open (ulimit -n)"));
    } else if lanes < wanted {
        notes.push(format!("{lanes} orders in flight instead of {wanted}: one for each connection"));
    }
    lanes
}

async fn ready(target: &Target, mut server: Option<&mut Server>) -> Result<(), LoadError> {
    let begun = Instant::now();
    let request = target.get("/readyz");
    let mut line = Line::new(target);
    loop {
        if let Some(server) = server.as_deref_mut() {
            server.alive()?;
        }
        let why = match line.exchange(&request, QUESTION_TIMEOUT).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        // A server of our own needs a moment before it listens; another one should.
        let patience = if server.is_some() || why.is_none() { READY_WITHIN } else { Duration::from_secs(1) };
        if begun.elapsed() > patience {
            let url = target.url.clone();
            return Err(match why {
                Some(why) => LoadError::NotReachable { url, why },
                None => LoadError::NotReady { url, seconds: READY_WITHIN.as_secs() },
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An empty reading where there is none.
async fn metrics(target: &Target) -> Scrape {
    let text = question(target, "/metrics").await.unwrap_or_default();
    Scrape::parse(&String::from_utf8_lossy(&text))
}

async fn stats(target: &Target) -> Option<BTreeMap<String, u64>> {
    let stats: serde_json::Value = serde_json::from_slice(&question(target, "/stats").await?).ok()?;
    serde_json::from_value(stats.get("orders")?.clone()).ok()
}

async fn question(target: &Target, path: &str) -> Option<Vec<u8>> {
    let mut line = Line::new(target);
    let answer = line.exchange(&target.get(path), QUESTION_TIMEOUT).await.ok()?;
    (answer.status == 200).then(|| answer.body().to_vec())
}

fn cpu(server: Option<&Server>) -> Option<f64> {
    server.and_then(|s| machine::cpu_seconds(s.pid()))
}

fn spent(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    before.zip(after).map(|(before, after)| after - before)
}
