//! Sealing and opening: ChaCha20-Poly1305 with a random nonce, bound to the task.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;

use super::each_secret;
use super::key::{Key, KeyError, KeySource};
use crate::model::SEALED;

/// Why a secret cannot be sealed or opened. Tells nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("it was sealed with the key {sealed_with}, and the key at hand is {at_hand}")]
    OtherKey { sealed_with: String, at_hand: String },
    #[error("it was changed, or belongs to another task")]
    Forged,
    #[error("it is not a sealed secret")]
    Form,
    #[error("a secret must be a text")]
    NoText,
    #[error("it could not be sealed")]
    Sealing,
}

/// Seals and opens secrets; cheap to share. The key is read when it is first needed.
#[derive(Clone)]
pub struct Secrets {
    source: Arc<KeySource>,
    key: Arc<Mutex<Option<Key>>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    pub fn new(source: KeySource) -> Self {
        Self { source: Arc::new(source), key: Arc::default() }
    }

    /// Reads the key, where there is one, so that nothing blocks later. Blocks.
    ///
    /// # Errors
    /// [`KeyError`] where it cannot be read; a key that is not there yet is none.
    pub fn load(&self) -> Result<(), KeyError> {
        match self.source.read() {
            Ok(key) => {
                self.keep(key);
                Ok(())
            }
            Err(KeyError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a key is at hand.
    pub fn is_ready(&self) -> bool {
        self.kept().is_some()
    }

    /// Sees to it that there is a key, and makes one where there is none. Blocks.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn ensure(&self) -> Result<(), KeyError> {
        if self.kept().is_none() {
            self.keep(self.source.read_or_make()?);
        }
        Ok(())
    }

    fn kept(&self) -> Option<Key> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, key: Key) {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(key);
    }

    fn key(&self) -> Result<Key, KeyError> {
        match self.kept() {
            Some(key) => Ok(key),
            // Not loaded: it was missing, or cannot be read. One short read of a small file tells.
            None => {
                let key = self.source.read()?;
                self.keep(key.clone());
                Ok(key)
            }
        }
    }

    /// Seals every secret of a value that is not sealed yet. How many there were.
    ///
    /// # Errors
    /// [`SecretsError`]; the value may be sealed in part then, and must not be kept.
    pub fn seal(&self, owner: &str, value: &mut Value) -> Result<usize, SecretsError> {
        let mut count = 0;
        each_secret(value, &mut |leaf| {
            let text = leaf.as_str().ok_or(SecretsError::NoText)?;
            if !text.starts_with(SEALED) {
                *leaf = Value::String(self.seal_text(owner, text)?);
                count += 1;
            }
            Ok(())
        })
        .map(|()| count)
    }

    fn seal_text(&self, owner: &str, text: &str) -> Result<String, SecretsError> {
        let key = self.key()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let mut bytes = text.as_bytes().to_vec();
        let sealing = cipher(&key)?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(owner.as_bytes()),
            &mut bytes,
        );
        sealing.map_err(|_| SecretsError::Sealing)?;
        let sealed = [nonce.as_slice(), &bytes].concat();
        Ok(format!("{SEALED}{}.{}", key.name(), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens every sealed text of a value, wherever it stands. The opened texts come back, so that they can be kept out
    /// of what is written.
    ///
    /// # Errors
    /// [`SecretsError`] where one cannot be opened.
    pub fn open(&self, owner: &str, value: &mut Value) -> Result<Vec<String>, SecretsError> {
        let mut opened = Vec::new();
        self.open_into(owner, value, &mut opened)?;
        Ok(opened)
    }

    fn open_into(&self, owner: &str, value: &mut Value, opened: &mut Vec<String>) -> Result<(), SecretsError> {
        match value {
            Value::String(text) if text.starts_with(SEALED) => {
                *text = self.open_text(owner, text)?;
                opened.push(text.clone());
                Ok(())
            }
            Value::Array(list) => list.iter_mut().try_for_each(|item| self.open_into(owner, item, opened)),
            Value::Object(fields) => fields.values_mut().try_for_each(|item| self.open_into(owner, item, opened)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn open_text(&self, owner: &str, text: &str) -> Result<String, SecretsError> {
        let body = text.strip_prefix(SEALED).ok_or(SecretsError::Form)?;
        let (sealed_with, body) = body.split_once('.').ok_or(SecretsError::Form)?;
        let key = self.key()?;
        if key.name() != sealed_with {
            return Err(SecretsError::OtherKey { sealed_with: sealed_with.to_owned(), at_hand: key.name() });
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| SecretsError::Form)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(SecretsError::Form)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretsError::Form)?;
        let plain = cipher(&key)?.open_in_place(nonce, Aad::from(owner.as_bytes()), sealed);
        let plain = plain.map_err(|_| SecretsError::Forged)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SecretsError::Forged)
    }

    /// A keyed hash, as hexadecimal digits: whoever has not the key cannot find out by trying what was hashed.
    ///
    /// # Errors
    /// [`SecretsError::Key`] where there is no key.
    pub fn fingerprint(&self, text: &str) -> Result<String, SecretsError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key()?.0);
        Ok(hmac::sign(&key, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect())
    }
}

fn cipher(key: &Key) -> Result<LessSafeKey, SecretsError> {
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &key.0).map_err(|_| SecretsError::Sealing)?;
    Ok(LessSafeKey::new(unbound))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn with(digit: &str) -> Secrets {
        Secrets::new(KeySource::Configured(Key::parse(&digit.repeat(64)).unwrap()))
    }

    #[test]
    fn what_is_sealed_is_opened_for_its_task_alone_and_with_its_key_alone() {
        let (secrets, plain) =
            (with("1"), json!({"url": "u", "credentials": {"username": "me", "password": "hunter2"}}));
        let mut value = plain.clone();
        assert_eq!(secrets.seal("t-1", &mut value), Ok(2));
        assert_eq!(value["url"], "u");
        assert!(!value.to_string().contains("hunter2") && !value.to_string().contains("\"me\""));
        // What is sealed already is not sealed once more.
        assert_eq!(secrets.seal("t-1", &mut value.clone()), Ok(0));
        let mut opened = value.clone();
        assert_eq!(secrets.open("t-1", &mut opened).unwrap().len(), 2);
        assert_eq!(opened, plain);
        assert_eq!(secrets.open("t-2", &mut value.clone()), Err(SecretsError::Forged));
        assert!(matches!(with("2").open("t-1", &mut value.clone()), Err(SecretsError::OtherKey { .. })));
        let text = value["credentials"]["password"].as_str().unwrap();
        let mut cut = json!(text[..text.len() - 1]);
        assert!(secrets.open("t-1", &mut cut).is_err());
        assert!(secrets.open("t-1", &mut json!("sealed:v1:x")).is_err());
    }

    #[test]
    fn a_lost_key_is_told_and_not_replaced_by_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ordain.key");
        let secrets = Secrets::new(KeySource::File(path.clone()));
        assert_eq!(secrets.load(), Ok(()));
        assert!(!secrets.is_ready());
        secrets.ensure().unwrap();
        let mut value = json!({"token": "t"});
        secrets.seal("a", &mut value).unwrap();
        std::fs::remove_file(&path).unwrap();
        let later = Secrets::new(KeySource::File(path.clone()));
        assert!(matches!(later.open("a", &mut value), Err(SecretsError::Key(KeyError::Missing { .. }))));
        assert!(!path.exists());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text: String, owner in "[a-z]{1,20}") {
            let secrets = with("7");
            let mut value = json!({"secret": text});
            secrets.seal(&owner, &mut value).unwrap();
            prop_assume!(!text.starts_with(SEALED));
            secrets.open(&owner, &mut value).unwrap();
            prop_assert_eq!(value, json!({"secret": text}));
        }
    }
}
