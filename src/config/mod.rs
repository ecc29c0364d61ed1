//! Configuration of the server: flag, then environment, then `.env`, then `ordain.toml`, then defaults.
//!
//! Strict: an unknown key or a value that cannot be used is an error that names it and where it stands. All of it is
//! read and checked before anything is touched. Nothing here opens, listens or logs.

mod dot_env;
mod error;
mod keys;
mod limits;
pub mod reference;
mod settings;
mod sources;
mod warnings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use error::ConfigError;
pub use keys::KeySection;
pub use settings::{
    ActivitySection, HeaderText, LimitSection, LogFormat, OutsideSection, PortalSection, QueueSection, RateSection,
    Retry, Settings, Time,
};

use crate::activities::Activities;
use crate::http::ServerOptions;
use crate::runtime::Options;
use crate::store::Location;
use crate::tasks::TaskTypes;
use crate::workflows::{job, order, shipping};
use sources::Sources;

/// Everything a server runs with, read and checked.
pub struct Config {
    pub settings: Settings,
    pub engine: Options,
    pub server: ServerOptions,
    pub location: Location,
    pub activities: Activities,
    /// What was set and has no effect, a sentence each.
    pub warnings: Vec<String>,
    /// What is wrong if the database has no API keys: it would listen beyond loopback, open to all.
    pub without_keys: Option<ConfigError>,
}

impl Config {
    /// Reads the server's certificate, where it has one, and checks that its key fits.
    ///
    /// # Errors
    /// [`ConfigError`] names the file.
    pub fn check_tls(&self) -> Result<(), ConfigError> {
        let Some(files) = &self.server.tls else { return Ok(()) };
        match files.load() {
            Ok(_) => Ok(()),
            Err(error) => Err(ConfigError::value("tls_cert", format!("cannot be used: {error}"))),
        }
    }
}

/// Reads the settings and checks all of them; touches nothing. `file`: a configuration file that must be there;
/// otherwise `ordain.toml` is read if it is. `flags`: what the command line says, absent where it does not. `tasks`: the types
/// of task there are, whose activities can be set too.
///
/// # Errors
/// [`ConfigError`] names the key, what is wrong with it, and where it stands.
pub fn load(file: Option<&Path>, flags: &impl Serialize, tasks: Arc<TaskTypes>) -> Result<Config, ConfigError> {
    let sources = Sources::read(file, flags)?;
    let settings = sources.settings()?;
    let mut config = check(settings, tasks).map_err(|error| sources.placed(error))?;
    config.without_keys = config.without_keys.map(|error| sources.placed(error));
    Ok(config)
}

/// The same of a file's text and the text of a `.env`, and of nothing else; for fuzzing.
///
/// # Errors
/// As [`load`].
pub(crate) fn decode(file: &str, dot_env: &str) -> Result<Config, ConfigError> {
    let sources = Sources::of_texts(file, dot_env)?;
    check(sources.settings()?, Arc::new(crate::tasks::builtin())).map_err(|error| sources.placed(error))
}

/// The activities alone, as an outside worker does them: those that a server leaves to outside workers as well.
///
/// # Errors
/// As [`load`].
pub fn activities(file: Option<&Path>, tasks: &TaskTypes) -> Result<Activities, ConfigError> {
    let nothing: BTreeMap<&str, &str> = BTreeMap::new();
    let sources = Sources::read(file, &nothing)?;
    let settings = sources.settings()?.for_worker();
    let secrets = settings.location().and_then(|location| settings.secrets(&location));
    let built = secrets.and_then(|secrets| settings.build_activities(tasks, &secrets));
    built.map_err(|error| sources.placed(error))
}

/// A section of a queue that nothing uses would be a misspelt one, and silently without effect.
fn no_unknown_queue(settings: &Settings, tasks: &TaskTypes) -> Result<(), ConfigError> {
    let mut known: Vec<&str> = [order::QUEUE, shipping::QUEUE, job::QUEUE].into_iter().chain(tasks.queues()).collect();
    known.sort_unstable();
    known.dedup();
    match settings.queues.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let why = format!("is a queue that nothing uses; there are {}", known.join(", "));
            Err(ConfigError::value(&format!("queues.{name}"), why))
        }
    }
}

fn check(settings: Settings, tasks: Arc<TaskTypes>) -> Result<Config, ConfigError> {
    settings.check_log_level()?;
    let location = settings.location()?;
    let secrets = settings.secrets(&location)?;
    let mut engine = settings.engine()?;
    no_unknown_queue(&settings, &tasks)?;
    // Every kind of work has a pool of its own, so that one does not wait for another.
    for queue in std::iter::once(job::QUEUE).chain(tasks.queues()) {
        engine.queues.entry(queue.to_owned()).or_default();
    }
    Ok(Config {
        engine,
        activities: settings.build_activities(&tasks, &secrets)?,
        server: ServerOptions { tasks, secrets, ..settings.server()? },
        location,
        warnings: settings.warnings(),
        without_keys: settings.without_keys()?,
        settings,
    })
}
