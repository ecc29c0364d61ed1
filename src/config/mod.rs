//! Configuration of the server: flag, then environment, then `.env`, then `ordain.toml`, then defaults.
//!
//! Strict: an unknown key or a value that cannot be used is an error that names it and where it stands. All of it is
//! read and checked before anything is touched. Nothing here opens, listens or logs.

mod dot_env;
mod error;
mod keys;
mod limits;
mod settings;
mod sources;
mod warnings;

use std::path::Path;

use serde::Serialize;

pub use error::ConfigError;
pub use keys::KeySection;
pub use settings::{ActivitySection, HeaderText, LogFormat, QueueSection, Retry, Settings, Time};

use crate::activities::Activities;
use crate::http::ServerOptions;
use crate::runtime::Options;
use crate::store::Location;
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

/// Reads the settings and checks all of them; touches nothing. `file`: a configuration file that must be there;
/// otherwise `ordain.toml` is read if it is. `flags`: what the command line says, absent where it does not.
///
/// # Errors
/// [`ConfigError`] names the key, what is wrong with it, and where it stands.
pub fn load(file: Option<&Path>, flags: &impl Serialize) -> Result<Config, ConfigError> {
    let sources = Sources::read(file, flags)?;
    let settings = sources.settings()?;
    let mut config = check(settings).map_err(|error| sources.placed(error))?;
    config.without_keys = config.without_keys.map(|error| sources.placed(error));
    Ok(config)
}

fn check(settings: Settings) -> Result<Config, ConfigError> {
    settings.check_log_level()?;
    Ok(Config {
        engine: settings.engine()?,
        server: settings.server()?,
        location: settings.location()?,
        activities: settings.build_activities()?,
        warnings: settings.warnings(),
        without_keys: settings.without_keys()?,
        settings,
    })
}
