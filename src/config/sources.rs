//! Where settings come from, in order of precedence, and where each of them stands.
//!
//! figment does the merging. Each source says of itself, as its metadata, by which words a key is found in it.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use serde::Serialize;

use super::{ConfigError, Settings, dot_env};

const PREFIX: &str = "ORDAIN_";
/// Names without the prefix that are understood as well, for those who come from another system.
const PLAIN: [&str; 5] = ["DATABASE_URL", "LOG_LEVEL", "ORDER_TASK_QUEUE", "SHIPPING_TASK_QUEUE", "TEMPORAL_TARGET"];
/// `ORDAIN_…` names that belong to commands, not to the server.
const COMMANDS: [&str; 5] = ["ORDAIN_URL", "ORDAIN_CONFIG", "ORDAIN_KEY", "ORDAIN_CA_FILE", "ORDAIN_OUTPUT"];

/// Whether a variable of this name is a setting.
pub(super) fn is_ours(name: &str) -> bool {
    (name.starts_with(PREFIX) || PLAIN.contains(&name)) && !COMMANDS.contains(&name)
}

/// All sources, merged.
pub(super) struct Sources(Figment);

impl Sources {
    /// Reads the files and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] where one of them cannot be read. Wrong values are told by [`Sources::settings`].
    pub fn read(file: Option<&Path>, flags: &impl Serialize) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new("ordain.toml"));
        if file.is_some() && !path.is_file() {
            return Err(ConfigError::File(path.to_owned(), "there is no such file".to_owned()));
        }
        let dot_env = dot_env::read(Path::new(".env"))?;
        Ok(Self::merge(path, dot_env, environment()?, flags))
    }

    fn merge(
        file: &Path,
        dot_env: Vec<(String, String)>,
        environment: Vec<(String, String)>,
        flags: &impl Serialize,
    ) -> Self {
        let figment = Figment::new();
        let figment = if file.is_file() { figment.merge(ConfigFile(file.to_owned())) } else { figment };
        Self::with_variables(figment, dot_env, environment, flags)
    }

    /// Of a file's text and the text of a `.env`, without any other source.
    ///
    /// # Errors
    /// As [`Sources::read`].
    pub fn of_texts(file: &str, dot_env: &str) -> Result<Self, ConfigError> {
        let variables = dot_env::parse(dot_env).map_err(ConfigError::Source)?;
        let figment = Figment::new().merge(FileText(file.to_owned()));
        Ok(Self::with_variables(figment, variables, Vec::new(), &Dict::new()))
    }

    fn with_variables(
        figment: Figment,
        dot_env: Vec<(String, String)>,
        environment: Vec<(String, String)>,
        flags: &impl Serialize,
    ) -> Self {
        let variables = Variable::all(dot_env, Place::DotEnv).chain(Variable::all(environment, Place::Environment));
        Self(variables.fold(figment, Figment::merge).merge(Flags(flags)))
    }

    /// The settings. A text is read as a number or a truth value where the setting is one.
    ///
    /// # Errors
    /// [`ConfigError::Source`] names what is unknown or of a wrong kind.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        self.0.extract_lossy().map_err(|errors| {
            let lines: Vec<String> = errors.into_iter().map(words).collect();
            ConfigError::Source(lines.join("\n"))
        })
    }

    /// The error with the place of its setting.
    pub fn placed(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Value { key, why, place: None } => {
                let path: Vec<&str> = key.split('.').collect();
                let place = self.0.find_metadata(&key).map(|m| m.interpolate(&Profile::Default, &path));
                ConfigError::Value { key, why, place }
            }
            other => other,
        }
    }
}

fn words(error: Error) -> String {
    let place = error.metadata.as_ref().map(|m| m.interpolate(&Profile::Default, &error.path));
    let place = place.map(|place| format!(" (set by {place})")).unwrap_or_default();
    // A header's value and a key are never shown.
    let secret = error.path.iter().any(|key| ["headers", "keys", "admin_key", "secret_key"].contains(&key.as_str()));
    let what = match &error.kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) if secret => format!("must be {}", plain(wanted)),
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!("is {found}, must be {}", plain(wanted))
        }
        Kind::UnknownField(_, known) => format!("is unknown; known are {}", known.join(", ")),
        Kind::UnknownVariant(found, known) => format!("is {found:?}, must be {}", known.join(" or ")),
        Kind::Message(message) if error.path.is_empty() => without_source(message),
        kind => format!("cannot be used: {kind}"),
    };
    if error.path.is_empty() {
        format!("{what}{place}")
    } else {
        format!("the setting {} {what}{place}", error.path.join("."))
    }
}

/// What serde wants, in the words of people.
fn plain(wanted: &str) -> &str {
    match wanted {
        "usize" | "u64" | "u32" => "a whole number from 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "a table",
        wanted if wanted.starts_with("struct ") => "a table",
        wanted => wanted,
    }
}

/// The message of a parser without the lines in which it draws what it read: those may hold a secret.
fn without_source(message: &str) -> String {
    let drawn =
        |line: &&str| line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|');
    message.lines().filter(|line| !drawn(line)).collect::<Vec<_>>().join(": ")
}

/// The variables of the process, by name.
fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut pairs = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
        let wrong = |_| ConfigError::Source(format!("the environment variable {name} is not UTF-8"));
        pairs.push((name.to_owned(), value.into_string().map_err(wrong)?));
    }
    pairs.sort();
    Ok(pairs)
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Environment,
    DotEnv,
}

/// One variable, of the environment or of `.env`: always a text.
struct Variable {
    name: String,
    value: String,
    place: Place,
}

impl Variable {
    /// Those that are settings. Plain names come first, so that the prefixed ones win.
    fn all(pairs: Vec<(String, String)>, place: Place) -> impl Iterator<Item = Self> {
        let (plain, prefixed): (Vec<_>, Vec<_>) =
            pairs.into_iter().filter(|(name, _)| is_ours(name)).partition(|(name, _)| !name.starts_with(PREFIX));
        plain.into_iter().chain(prefixed).map(move |(name, value)| Self { name, value, place })
    }

    /// `ORDAIN_RETRY__FACTOR` is `retry`, `factor`.
    fn path(&self) -> Vec<String> {
        let name = self.name.strip_prefix(PREFIX).unwrap_or(&self.name).to_lowercase();
        match name.splitn(4, "__").collect::<Vec<_>>()[..] {
            // No variable's name can have a dash, and few headers' names have an underscore.
            [first @ "activities", activity, second @ "headers", header] => {
                vec![first.to_owned(), activity.to_owned(), second.to_owned(), header.replace('_', "-")]
            }
            _ => name.split("__").map(str::to_owned).collect(),
        }
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        let words = match self.place {
            Place::Environment => format!("the environment variable {}", self.name),
            Place::DotEnv => format!("{} in the file .env", self.name),
        };
        Metadata::named("variable").interpolater(move |_: &Profile, _: &[&str]| words.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let wrap = |inner: Value, key: String| Value::from(Dict::from([(key, inner)]));
        let all = self.path().into_iter().rev().fold(Value::from(self.value.clone()), wrap);
        Ok(Profile::Default.collect(all.into_dict().unwrap_or_default()))
    }
}

/// The file, its headers' names in lower case so that they meet those of the environment.
struct ConfigFile(PathBuf);

impl Provider for ConfigFile {
    fn metadata(&self) -> Metadata {
        let file = self.0.display().to_string();
        Metadata::named("file").interpolater(move |_: &Profile, keys: &[&str]| match keys {
            [] => format!("the file {file}"),
            keys => format!("{} in the file {file}", keys.join(".")),
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(headers_lowered(Toml::file_exact(&self.0).data()?))
    }
}

/// The same, of a text.
struct FileText(String);

impl Provider for FileText {
    fn metadata(&self) -> Metadata {
        Metadata::named("text")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(headers_lowered(Toml::string(&self.0).data()?))
    }
}

fn headers_lowered(mut data: Map<Profile, Dict>) -> Map<Profile, Dict> {
    let sections = data.values_mut().filter_map(|dict| inner(dict, "activities")).flat_map(|all| all.values_mut());
    for section in sections {
        if let Value::Dict(_, section) = section
            && let Some(headers) = inner(section, "headers")
        {
            *headers = std::mem::take(headers).into_iter().map(|(k, v)| (k.to_lowercase(), v)).collect();
        }
    }
    data
}

fn inner<'a>(dict: &'a mut Dict, key: &str) -> Option<&'a mut Dict> {
    match dict.get_mut(key) {
        Some(Value::Dict(_, inner)) => Some(inner),
        _ => None,
    }
}

/// What the command line says.
struct Flags<'a, T>(&'a T);

impl<T: Serialize> Provider for Flags<'_, T> {
    fn metadata(&self) -> Metadata {
        Metadata::named("flag")
            .interpolater(|_: &Profile, keys: &[&str]| format!("the flag --{}", keys.join("-").replace('_', "-")))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Serialized::defaults(self.0).data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dot_env: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Sources::merge(Path::new(""), own(dot_env), own(environment), &Dict::new()).settings()
    }

    #[test]
    fn prefixed_names_win_over_plain_ones_of_their_own_place_only() {
        let both = [("ORDAIN_LOG_LEVEL", "debug"), ("LOG_LEVEL", "warn")];
        assert_eq!(settings(&[], &both).unwrap().log_level, "debug");
        assert_eq!(settings(&both, &[]).unwrap().log_level, "debug");
        assert_eq!(settings(&both, &[("LOG_LEVEL", "error")]).unwrap().log_level, "error");
        let twice = [("ORDAIN_BIND", "a"), ("ORDAIN_BIND", "b"), ("ORDAIN_URL", "x"), ("OTHER", "y")];
        assert_eq!(settings(&twice, &[]).unwrap().bind, "b");
    }

    #[test]
    fn a_headers_value_keeps_its_zeros() {
        let name = "ORDAIN_ACTIVITIES__CHARGE_PAYMENT__HEADERS__X_API_KEY";
        for settings in [settings(&[], &[(name, "007")]).unwrap(), settings(&[(name, "007")], &[]).unwrap()] {
            assert_eq!(settings.activities["charge_payment"].headers["x-api-key"].0, "007");
        }
    }

    #[test]
    fn parsers_do_not_quote_what_they_read() {
        let message = "TOML parse error at line 12, column 5\n   |\n12 | X = topsecret\n   |     ^\nstring values must be quoted\n";
        assert_eq!(without_source(message), "TOML parse error at line 12, column 5: string values must be quoted");
    }
}
