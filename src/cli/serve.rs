//! `ordain serve`: everything put together, from the settings to the drain.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::dev::ServerHandle;

use super::CliError;
use super::serve_args::ServeArgs;
use crate::activities::Activities;
use crate::config::{self, Config, ConfigError};
use crate::runtime::{Engine, Options};
use crate::store::{self, Location, OpenError, Queries, Store};
use crate::tasks::TaskTypes;
use crate::{http, process, telemetry};

/// Between two looks of a process that stands by.
const STAND_BY_LOOK: Duration = Duration::from_millis(300);
/// So many of them to one reading of the API keys: about two seconds.
const KEYS_EVERY: u32 = 7;

/// How long what is still to be told to a collector may keep the process.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::BadUrl(_) => Self::Usage(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

pub fn serve(args: &ServeArgs, tasks: Arc<TaskTypes>) -> Result<(), CliError> {
    process::use_small_pages();
    let config = config::load(args.config.as_deref(), args, Arc::clone(&tasks))?;
    config.check_tls()?;
    let Config {
        settings,
        engine: engine_options,
        server: mut server_options,
        location,
        activities,
        warnings,
        without_keys,
    } = config;
    let usage = |e: telemetry::TelemetryError| CliError::Usage(e.to_string());
    telemetry::logs(&settings.log_level, settings.log_format).map_err(usage)?;
    let metrics = telemetry::metrics().map_err(usage)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // Read before anything runs, so that nothing that runs waits for a file.
    if let Err(error) = server_options.secrets.load() {
        tracing::error!(%error, "secrets cannot be opened: tasks that need them will fail");
    }
    let grace = Duration::from_secs_f64(settings.shutdown_seconds.clamp(0.0, 3_600.0));
    let without_keys = without_keys.map(CliError::from);
    // Before anything is touched.
    if let Some(error) = &without_keys
        && !may_have_keys(&location)
    {
        return Err(CliError::Usage(error.to_string()));
    }
    let house = House {
        location,
        options: engine_options,
        activities,
        tasks,
        seat: http::Seat::default(),
        grace,
        without_keys,
    };
    let ended = actix_rt::System::new().block_on(async move {
        let failed = |what: &str, e: &dyn std::fmt::Display| CliError::Refused(format!("{what}: {e}"));
        // Before the database is opened: a signal that comes meanwhile ends the server in order as soon as it is open.
        let mut signals = Signals::listen().map_err(|e| failed("signals cannot be received", &e))?;
        let first = first(store::open(&house.location, house.options.readers))?;
        if let Some(store) = &first {
            house.check(store)?;
        }
        server_options.max_connections = connections(server_options.max_connections);
        server_options.metrics = Some(Arc::new(move || metrics.render()));
        let tls = server_options.tls.is_some();
        let (server, address) =
            http::serve(server_options, house.seat.clone()).map_err(|e| CliError::Refused(e.to_string()))?;
        tracing::info!(%address, tls, database = %house.location.shown(), chaos = ?settings.chaos, "ordain listens");
        let handle = server.handle();
        let served = actix_rt::spawn(server);
        let ended = house.keep(first, &mut signals, &handle).await;
        served.abort();
        ended
    });
    telemetry::flush(FLUSH_WITHIN);
    ended
}

/// So many connections as the files allow that may be open.
fn connections(wanted: usize) -> usize {
    let files = process::raise_open_files();
    let connections = process::connections(wanted, files);
    if connections < wanted {
        let why = "fewer connections than max_connections: more files may not be open (ulimit -n)";
        tracing::warn!(connections, files, "{why}");
    }
    connections
}

/// Whether a database has API keys, as far as can be told without changing it: one that is away may.
pub(super) fn may_have_keys(location: &Location) -> bool {
    match store::open_read_only(location) {
        Ok(queries) => queries.key_counts().is_ok_and(|(all, _)| all > 0),
        Err(error) => error.may_pass(),
    }
}

/// What the first look at the database comes to: `None` where it is worth waiting for.
fn first(opened: Result<Store, OpenError>) -> Result<Option<Store>, CliError> {
    match opened {
        Ok(store) => Ok(Some(store)),
        Err(error) if error.may_pass() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Everything an engine is made of, again and again: whoever loses the database stands by until it is free.
struct House {
    location: Location,
    options: Options,
    activities: Activities,
    tasks: Arc<TaskTypes>,
    seat: http::Seat,
    grace: Duration,
    /// What is wrong with a database that has no API keys, if anything is.
    without_keys: Option<CliError>,
}

impl House {
    /// Refuses to listen beyond loopback where nobody needs a key.
    fn check(&self, store: &Store) -> Result<(), CliError> {
        match &self.without_keys {
            Some(error) if store.api_keys.is_empty() => Err(CliError::Usage(error.to_string())),
            _ => Ok(()),
        }
    }

    /// Runs until a signal ends it.
    async fn keep(
        &self,
        mut store: Option<Store>,
        signals: &mut Signals,
        server: &ServerHandle,
    ) -> Result<(), CliError> {
        loop {
            let owned = match store.take() {
                Some(store) => store,
                None => tokio::select! {
                    store = self.stand_by() => store?,
                    name = signals.next() => {
                        tracing::info!(signal = name, "ending");
                        server.stop(false).await;
                        return Ok(());
                    }
                },
            };
            self.check(&owned)?;
            let engine = Engine::start(self.options.clone(), self.tasks.registry(), self.activities.clone(), owned);
            let engine = engine.map_err(|e| CliError::Refused(format!("the engine does not start: {e}")))?;
            self.seat.fill(engine.clone());
            tokio::select! {
                name = signals.next() => {
                    tracing::info!(signal = name, "draining: no new work is taken");
                    self.drain(&engine, signals, server).await;
                    return Ok(());
                }
                () = engine.database_lost() => {
                    tracing::error!("another process owns the database now; this one stands by");
                    self.seat.clear("standby", "another process owns the database");
                    engine.drain(Duration::ZERO).await;
                }
            }
        }
    }

    async fn drain(&self, engine: &Engine, signals: &mut Signals, server: &ServerHandle) {
        let drained = async {
            // Requests under way get their answers while the engine drains beside them.
            engine.drain(self.grace.mul_f64(0.8)).await;
            // The last of them are being written. Whoever only keeps a connection open is not waited for.
            let _idle = tokio::time::timeout(self.grace.mul_f64(0.05), server.stop(true)).await;
        };
        tokio::select! {
            () = drained => tracing::info!("drained"),
            name = signals.next() => {
                tracing::warn!(signal = name, "a second signal: ending at once; nothing durable is lost");
            }
        }
    }

    /// Reads the API keys of a database that another process owns; by the connections of the last time, where there are some.
    async fn read_keys(&self, queries: Option<Arc<dyn Queries>>) -> Option<Arc<dyn Queries>> {
        let location = self.location.clone();
        let read = tokio::task::spawn_blocking(move || {
            let queries = match queries {
                Some(queries) => queries,
                None => store::open_read_only(&location).map_err(|e| e.to_string())?,
            };
            queries.keys().map(|keys| (queries, keys)).map_err(|e| e.to_string())
        });
        match read.await.map_err(|e| e.to_string()).and_then(|read| read) {
            Ok((queries, keys)) => {
                self.seat.know(keys);
                Some(queries)
            }
            Err(error) => {
                tracing::debug!(error, "the API keys could not be read");
                None
            }
        }
    }

    /// Waits until the database is there and nobody else's, and takes it.
    async fn stand_by(&self) -> Result<Store, CliError> {
        let mut said = String::new();
        let mut queries = None;
        let mut looks = 0_u32;
        loop {
            let (location, readers) = (self.location.clone(), self.options.readers);
            let opened = tokio::task::spawn_blocking(move || store::open(&location, readers)).await;
            let error = match opened.map_err(|e| CliError::Refused(e.to_string()))? {
                Ok(store) => return Ok(store),
                Err(error) => error,
            };
            if !error.may_pass() {
                return Err(error.into());
            }
            let code = if matches!(error, OpenError::InUse { .. }) { "standby" } else { "database_unavailable" };
            let why = error.to_string();
            if said != why {
                tracing::warn!(why, "standing by");
                self.seat.clear(code, why.clone());
                said = why;
            }
            // What needs no engine, metrics first of all, still asks for a key.
            if matches!(error, OpenError::InUse { .. }) && looks.is_multiple_of(KEYS_EVERY) {
                queries = self.read_keys(queries).await;
            }
            looks = looks.wrapping_add(1);
            tokio::time::sleep(STAND_BY_LOOK).await;
        }
    }
}

/// The signals that end a server.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
