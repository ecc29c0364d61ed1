//! The key secrets are sealed with: from configuration, or from a file that is made when it is first needed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use crate::store::Location;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// The file of a generated key, beside the database.
const FILE: &str = "ordain.key";

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("is not a key: 32 bytes in base64 (44 characters) or in hexadecimal digits (64)")]
    Form,
    #[error("the key file {path} is missing")]
    Missing { path: String },
    #[error("the key file {path} does not hold a key")]
    Broken { path: String },
    #[error("the key file {path} cannot be used: {why}")]
    Io { path: String, why: String },
    #[error("no random numbers are to be had")]
    Random,
}

/// A key; never shown.
#[derive(Clone)]
pub struct Key(pub(super) [u8; KEY_BYTES]);

impl Key {
    /// Reads a key in base64 or hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError::Form`]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY_BYTES { hex(text) } else { None };
        let bytes = bytes.or_else(|| {
            [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|form| form.decode(text).ok())
        });
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(KeyError::Form)
    }

    fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
        Ok(Self(bytes))
    }

    /// A short name of the key, which tells nothing of it.
    pub fn name(&self) -> String {
        let digest = Sha256::new().chain_update(b"ordain key name").chain_update(self.0).finalize();
        digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

/// Where the key comes from.
#[derive(Clone)]
pub enum KeySource {
    Configured(Key),
    File(PathBuf),
}

impl KeySource {
    /// The configured key, or the file beside the database; of a database elsewhere, in the working directory.
    ///
    /// # Errors
    /// [`KeyError::Form`] where the configured key is not one.
    pub fn of(configured: Option<&str>, location: &Location) -> Result<Self, KeyError> {
        if let Some(text) = configured {
            return Key::parse(text).map(Self::Configured);
        }
        let folder = match location {
            Location::Sqlite(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
            Location::Postgres(_) => PathBuf::new(),
        };
        Ok(Self::File(folder.join(FILE)))
    }

    /// The key that is there. Blocks.
    ///
    /// # Errors
    /// [`KeyError`] where there is none.
    pub fn read(&self) -> Result<Key, KeyError> {
        match self {
            Self::Configured(key) => Ok(key.clone()),
            Self::File(path) => read(path),
        }
    }

    /// The key that is there, or a new one, durable on return. A file that is no key is left as it is. Blocks.
    ///
    /// # Errors
    /// [`KeyError`] where it can be neither read nor made.
    pub fn read_or_make(&self) -> Result<Key, KeyError> {
        match (self, self.read()) {
            (Self::File(path), Err(KeyError::Missing { .. })) => make(path),
            (_, read) => read,
        }
    }
}

fn read(path: &Path) -> Result<Key, KeyError> {
    let shown = || path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => {
            if fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
                tracing::warn!(path = %path.display(), "others than its owner may read the key file");
            }
            Key::parse(&text).map_err(|_| KeyError::Broken { path: shown() })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(KeyError::Missing { path: shown() }),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(KeyError::Broken { path: shown() }),
        Err(e) => Err(KeyError::Io { path: shown(), why: e.to_string() }),
    }
}

/// Makes a key file: whole or not at all, and never over another.
fn make(path: &Path) -> Result<Key, KeyError> {
    let failed = |e: io::Error| KeyError::Io { path: path.display().to_string(), why: e.to_string() };
    let key = Key::generate()?;
    let text: String = key.0.iter().map(|b| format!("{b:02x}")).chain(["\n".to_owned()]).collect();
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // A link is made only where nothing stands: who comes second takes the key of the first.
            fs::hard_link(&draft, path)
        });
    let _left_behind = fs::remove_file(&draft);
    match written {
        Ok(()) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            tracing::info!(path = %path.display(), key = %key.name(), "a key for secrets was made; keep a copy of it");
            Ok(key)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_base64_and_in_hexadecimal_digits() {
        let hexadecimal = Key::parse(&"0f".repeat(32)).unwrap();
        let base64 = Key::parse(&STANDARD.encode([0x0f; 32])).unwrap();
        assert_eq!((hexadecimal.0, hexadecimal.name()), (base64.0, base64.name()));
        for bad in ["", "abc", &"0".repeat(63), &"z".repeat(64), &STANDARD.encode([1; 31])] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone_and_a_broken_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let source = KeySource::of(None, &Location::Sqlite(folder.path().join("o.db"))).unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(source.read().err(), Some(KeyError::Missing { path: path.display().to_string() }));
        let made = source.read_or_make().unwrap();
        assert_eq!(source.read_or_make().unwrap().0, made.0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(source.read_or_make(), Err(KeyError::Broken { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }
}
