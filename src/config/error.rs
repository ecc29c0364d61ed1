//! Why a configuration cannot be used, in words that name the place. A secret's value is never among them.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {0} cannot be read: {1}")]
    File(PathBuf, String),
    /// A line each.
    #[error("{0}")]
    Source(String),
    /// `place`: where the value stands; `None` until that is looked up, and for defaults.
    #[error("the setting {key} {why}{}", .place.as_ref().map(|place| format!(" (set by {place})")).unwrap_or_default())]
    Value { key: String, why: String, place: Option<String> },
}

impl ConfigError {
    pub(super) fn value(key: &str, why: impl Into<String>) -> Self {
        Self::Value { key: key.to_owned(), why: why.into(), place: None }
    }
}
