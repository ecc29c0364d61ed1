//! `ordain serve`: everything put together, from the settings to the drain.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::signal::unix::{Signal, SignalKind, signal};

use super::CliError;
use super::args::ServeArgs;
use crate::config::{self, ConfigError, Settings};
use crate::runtime::Engine;
use crate::store::{self, Location, OpenError};
use crate::{activities, http, telemetry, workflows};

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

pub fn serve(args: &ServeArgs) -> Result<(), CliError> {
    let settings = config::load(args.config.as_deref(), args)?;
    // All settings are read before anything is touched.
    let (engine_options, mut server_options) = (settings.engine()?, settings.server()?);
    let location = Location::parse(&settings.database_url)?;
    let activities = activities::build(&settings.activities(), settings.chaos());
    let activities = activities.map_err(|e| CliError::Usage(e.to_string()))?;
    let usage = |e: telemetry::TelemetryError| CliError::Usage(e.to_string());
    telemetry::logs(&settings.log_level, settings.log_format).map_err(usage)?;
    let metrics = telemetry::metrics().map_err(usage)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let store = store::open(&location, engine_options.readers)?;
    actix_rt::System::new().block_on(async move {
        let failed = |what: &str, e: &dyn std::fmt::Display| CliError::Refused(format!("{what}: {e}"));
        let signals = Signals::listen().map_err(|e| failed("signals cannot be received", &e))?;
        let engine = Engine::start(engine_options, workflows::registry(), activities, store);
        let engine = engine.map_err(|e| failed("the engine does not start", &e))?;
        let measured = engine.clone();
        server_options.metrics = Some(Arc::new(move || {
            measured.refresh_metrics();
            metrics.run_upkeep();
            metrics.render()
        }));
        let bind = server_options.bind;
        let (server, address) =
            http::serve(server_options, engine.clone()).map_err(|e| failed(&format!("cannot listen on {bind}"), &e))?;
        tracing::info!(%address, database = %settings.database_url, chaos = ?settings.chaos, "ordain listens");
        run(server, engine, signals, &settings).await;
        Ok(())
    })
}

async fn run(server: actix_web::dev::Server, engine: Engine, mut signals: Signals, settings: &Settings) {
    let handle = server.handle();
    let served = actix_rt::spawn(server);
    let name = signals.next().await;
    tracing::info!(signal = name, "draining: no new work is taken");
    let grace = Duration::from_secs_f64(settings.shutdown_seconds.clamp(0.0, 3_600.0));
    let drained = async {
        // Requests under way get their answers while the engine drains beside them.
        let half = grace.mul_f64(0.8);
        engine.drain(half).await;
        handle.stop(false).await;
    };
    tokio::select! {
        () = drained => tracing::info!("drained"),
        name = signals.next() => tracing::warn!(signal = name, "a second signal: ending at once; nothing durable is lost"),
    }
    served.abort();
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
