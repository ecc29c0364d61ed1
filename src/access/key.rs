//! A key and its secret. The secret is shown once, when it is made; what is kept is its digest.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Owner, Scopes};
use crate::model::Timestamp;

/// What every key that is made here begins with, so that a leaked one is found by those who look for such.
const PREFIX: &str = "ordain_";
const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 6;
/// The shortest secret that may be configured, in characters: 32 of them cannot be guessed if they are random.
const CHARS_MIN: usize = 32;
const CHARS_MAX: usize = 256;
/// The longest name of a key and of an owner.
pub const NAME_CHARS_MAX: usize = 64;

pub type KeyId = Arc<str>;

/// The operating system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct RandomError;

/// The text a client shows. Never written to a log, an answer (but the one that makes it) or the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one: 256 random bits, as hexadecimal digits.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(format!("{PREFIX}{}", random_hex::<SECRET_BYTES>()?)))
    }

    /// One that was made elsewhere.
    ///
    /// # Errors
    /// In words, where it could be guessed or cannot be sent in a header.
    pub fn given(text: &str) -> Result<Self, String> {
        if !(CHARS_MIN..=CHARS_MAX).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("must have {CHARS_MIN} to {CHARS_MAX} visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, for the one who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// SHA-256 of a secret. A secret has 256 random bits, so nobody finds it by trying, however fast the hash is: a slow
/// one would only slow down every request. Two are compared in constant time.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: KeyId,
    pub name: Arc<str>,
    pub digest: Digest,
    pub scopes: Scopes,
    /// The key sees only this owner's orders; `None`: all.
    pub owner: Option<Owner>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A new id of a key; no secret.
///
/// # Errors
/// Where the operating system gives no randomness.
pub fn new_id() -> Result<KeyId, RandomError> {
    Ok(format!("key-{}", random_hex::<ID_BYTES>()?).into())
}

/// Whether a text can be the name of a key or of an owner.
///
/// # Errors
/// In words.
pub fn check_name(text: &str) -> Result<(), String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(format!("must have 1 to {NAME_CHARS_MAX} characters, none of them a control character, no blank at an end"))
    }
}

fn random_hex<const N: usize>() -> Result<String, RandomError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_new_each_time_and_is_found_by_its_digest_alone() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(one.reveal().starts_with("ordain_") && one.reveal().len() == 7 + 64);
        assert_ne!(one.digest(), two.digest());
        assert_eq!(Digest::parse(&one.digest().to_hex()), Some(one.digest()));
        assert_eq!(Secret::given(one.reveal()).unwrap().digest(), one.digest());
        assert_eq!(format!("{one:?} {:?}", one.digest()), "*** ***");
    }

    #[test]
    fn what_could_be_guessed_or_not_be_sent_is_no_secret() {
        for wrong in ["", "short", &"x".repeat(31), &"x".repeat(257), &format!("{}\n", "x".repeat(40)), &"ä".repeat(40)]
        {
            assert!(Secret::given(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", " a", "a ", "a\nb", &"x".repeat(65)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Digest::parse(wrong), None);
        }
    }
}
