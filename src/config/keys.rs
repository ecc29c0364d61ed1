//! API keys that stand in the configuration, for containers: `[[keys]]`, and `admin_key` for the first one.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::settings::{HeaderText, Settings};
use crate::access::{Digest, Key, Scope, Scopes, Secret, check_name};
use crate::model::Timestamp;

/// `[[keys]]`. The secret itself, or its SHA-256 where the file should hold no secret.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySection {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<HeaderText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<HeaderText>,
    pub scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The name of the key that `admin_key` makes.
const ADMIN: &str = "admin";

impl Settings {
    /// The keys, hashed.
    ///
    /// # Errors
    /// [`ConfigError`] names what cannot be used; never with a secret.
    pub(super) fn api_keys(&self) -> Result<Vec<Key>, ConfigError> {
        let mut keys: Vec<Key> = Vec::new();
        // A variable that is set to nothing sets nothing.
        if let Some(secret) = self.admin_key.as_ref().filter(|secret| !secret.0.is_empty()) {
            let secret = Secret::given(&secret.0).map_err(|why| ConfigError::value("admin_key", why))?;
            keys.push(key(ADMIN, secret.digest(), Scopes::of(Scope::ALL), None));
        }
        for (index, section) in self.keys.iter().enumerate() {
            let wrong = |field: &str, why: String| ConfigError::value(&format!("keys.{index}.{field}"), why);
            check_name(&section.name).map_err(|why| wrong("name", why))?;
            let digest = match (&section.key, &section.sha256) {
                (Some(secret), None) => Secret::given(&secret.0).map_err(|why| wrong("key", why))?.digest(),
                (None, Some(hex)) => {
                    let must = || wrong("sha256", "must have 64 hexadecimal digits".to_owned());
                    Digest::parse(&hex.0).ok_or_else(must)?
                }
                _ => return Err(wrong("key", "or sha256 must be given, one of the two".to_owned())),
            };
            let scopes = Scopes::of(section.scopes.iter().copied());
            if scopes.is_empty() {
                return Err(wrong("scopes", "must name one at least: read, operate, admin".to_owned()));
            }
            if let Some(owner) = &section.owner {
                check_name(owner).map_err(|why| wrong("owner", why))?;
                if scopes.contains(Scope::Admin) {
                    return Err(wrong("owner", "cannot be given with the scope admin".to_owned()));
                }
            }
            if keys.iter().any(|known| *known.name == *section.name || known.digest == digest) {
                return Err(wrong("name", "or its key is given twice".to_owned()));
            }
            keys.push(key(&section.name, digest, scopes, section.owner.as_deref()));
        }
        Ok(keys)
    }
}

fn key(name: &str, digest: Digest, scopes: Scopes, owner: Option<&str>) -> Key {
    Key {
        id: format!("configured:{name}").into(),
        name: name.into(),
        digest,
        scopes,
        owner: owner.map(Into::into),
        created_at: Timestamp::default(),
        revoked_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_key_is_its_digest_from_then_on() {
        let secret = "s".repeat(40);
        let text = |text: &str| Some(HeaderText(text.to_owned()));
        let section = KeySection {
            name: "shop".to_owned(),
            sha256: text(&Digest::of(secret.as_bytes()).to_hex()),
            scopes: vec![Scope::Read],
            ..KeySection::default()
        };
        let of = |admin: &str, section: &KeySection| {
            Settings { admin_key: text(admin), keys: vec![section.clone()], ..Settings::default() }.api_keys()
        };
        let keys = of(&"a".repeat(32), &section).unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_ref()).collect::<Vec<_>>(), ["configured:admin", "configured:shop"]);
        assert_eq!(keys[1].digest, Digest::of(secret.as_bytes()));
        assert!(of("short", &section).is_err() && of(&secret, &section).is_err());
        for wrong in [
            KeySection { name: String::new(), ..section.clone() },
            KeySection { scopes: Vec::new(), ..section.clone() },
            KeySection { key: text(&"x".repeat(40)), ..section.clone() },
            KeySection { sha256: text("00"), ..section.clone() },
            KeySection { owner: Some("a".to_owned()), scopes: vec![Scope::Admin], ..section.clone() },
            KeySection { name: "admin".to_owned(), ..section.clone() },
        ] {
            assert!(of(&"a".repeat(32), &wrong).is_err(), "{wrong:?}");
        }
    }
}
