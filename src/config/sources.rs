//! Where settings come from, in order of precedence, and errors that say where a wrong one stands.

use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Serialize;

use super::Settings;

const PREFIX: &str = "ORDAIN_";
/// Names without the prefix that are understood as well, for those who come from another system.
const PLAIN: [&str; 5] = ["DATABASE_URL", "LOG_LEVEL", "ORDER_TASK_QUEUE", "SHIPPING_TASK_QUEUE", "TEMPORAL_TARGET"];
/// `ORDAIN_…` names that belong to commands, not to the server.
const COMMANDS: [&str; 4] = ["url", "config", "api_key", "output"];

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {0} cannot be read: {1}")]
    File(PathBuf, String),
    #[error("{0}")]
    Source(String),
    #[error("the setting {key} {why}")]
    Value { key: String, why: String },
}

impl ConfigError {
    pub(super) fn value(key: &str, why: &str) -> Self {
        Self::Value { key: key.to_owned(), why: why.to_owned() }
    }
}

/// Reads the settings. `file`: a configuration file that must be there; otherwise `ordain.toml` is read if it is.
/// `flags`: what the command line says, absent where it does not.
///
/// # Errors
/// [`ConfigError`] names the key, its value, and where it stands.
pub fn load(file: Option<&Path>, flags: &impl Serialize) -> Result<Settings, ConfigError> {
    let path = file.unwrap_or(Path::new("ordain.toml"));
    if file.is_some() && !path.is_file() {
        return Err(ConfigError::File(path.to_owned(), "there is no such file".to_owned()));
    }
    let dot_env = DotEnv::read(Path::new(".env"))?;
    let plain = Env::raw().only(&PLAIN);
    let prefixed = Env::prefixed(PREFIX).ignore(&COMMANDS).split("__");
    let figment = Figment::new();
    let figment = if path.is_file() { figment.merge(Toml::file_exact(path)) } else { figment };
    figment
        .merge(dot_env)
        .merge(plain)
        .merge(prefixed)
        .merge(Serialized::defaults(flags))
        .extract()
        .map_err(|error| ConfigError::Source(words(error)))
}

/// All that is wrong, a line each.
fn words(errors: figment::Error) -> String {
    let one = |error: figment::Error| {
        let key = error.path.join(".");
        let place = error.metadata.as_ref().map(|m| match &m.source {
            Some(source) => format!("{} ({source})", m.name),
            None => m.name.to_string(),
        });
        let what = error.kind.to_string();
        match (key.is_empty(), place) {
            (false, Some(place)) => format!("setting {key}: {what}; it stands in {place}"),
            (false, None) => format!("setting {key}: {what}"),
            (true, Some(place)) => format!("{what}; it stands in {place}"),
            (true, None) => what,
        }
    };
    errors.into_iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The file `.env`: only our own names are read from it; the environment of the process is left as it is.
struct DotEnv(Dict);

impl DotEnv {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |e: dotenvy::Error| ConfigError::File(path.to_owned(), e.to_string());
        let mut dict = Dict::new();
        if path.is_file() {
            // Plain names first, so that the prefixed ones win whatever their order in the file.
            let pairs = dotenvy::from_path_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
            for (name, value) in pairs.iter().filter(|(name, _)| PLAIN.contains(&name.as_str())) {
                put(&mut dict, &[&name.to_lowercase()], value);
            }
            for (name, value) in &pairs {
                let Some(key) = name.strip_prefix(PREFIX) else { continue };
                let key = key.to_lowercase();
                if !COMMANDS.contains(&key.as_str()) {
                    put(&mut dict, &key.split("__").collect::<Vec<_>>(), value);
                }
            }
        }
        Ok(Self(dict))
    }
}

fn put(dict: &mut Dict, path: &[&str], text: &str) {
    match path {
        [] => {}
        [last] => {
            // The same reading of numbers and truth values as for the environment; it cannot fail.
            let value = text.parse::<Value>().unwrap_or_else(|never| match never {});
            dict.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let mut inner = match dict.remove(*first) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            put(&mut inner, rest, text);
            dict.insert((*first).to_owned(), Value::from(inner));
        }
    }
}

impl Provider for DotEnv {
    fn metadata(&self) -> Metadata {
        Metadata::named("the file .env")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}
