//! Lease tokens: what an outside worker shows to speak of an attempt. Nothing of them is stored; they are signed.
//!
//! A token names the attempt, the lease and its last instant, under an HMAC whose key is kept in the database: so a
//! token outlives a kill -9 of the server, and cannot be made up. It is no secret-keeper: whoever holds one can read it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Name, Timestamp, WorkflowId};

/// The bytes of the signature.
const TAG_BYTES: usize = 32;
/// A longer text is no token of ours.
const TEXT_BYTES_MAX: usize = 4_096;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseToken {
    #[serde(rename = "q")]
    pub queue: Name,
    #[serde(rename = "w")]
    pub workflow_id: WorkflowId,
    #[serde(rename = "a")]
    pub activity: Name,
    #[serde(rename = "n")]
    pub attempt: u32,
    #[serde(rename = "l")]
    pub lease: Uuid,
    /// Who has it.
    #[serde(rename = "k")]
    pub worker: String,
    /// The end of the attempt's timeout, in ms since 1970: no heartbeat extends the lease beyond it.
    #[serde(rename = "u")]
    pub until_ms: i64,
}

impl LeaseToken {
    pub fn until(&self) -> Timestamp {
        Timestamp(self.until_ms)
    }
}

/// Makes tokens and reads them.
pub struct Signer(hmac::Key);

impl Signer {
    pub fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    pub fn write(&self, token: &LeaseToken) -> String {
        // Names and numbers can always be written.
        let mut bytes = serde_json::to_vec(token).unwrap_or_default();
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` where it is not one of ours.
    pub fn read(&self, text: &str) -> Option<LeaseToken> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (message, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        hmac::verify(&self.0, message, tag).ok()?;
        serde_json::from_slice(message).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_one_that_was_touched_is_not() {
        let token = LeaseToken {
            queue: "shipping".into(),
            workflow_id: WorkflowId::new("o-1/shipping/1"),
            activity: "dispatch_carrier".into(),
            attempt: 3,
            lease: Uuid::now_v7(),
            worker: "w-1".into(),
            until_ms: 1_700_000_000_000,
        };
        let signer = Signer::new("a secret");
        let text = signer.write(&token);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
        assert_eq!(signer.read(&text), Some(token));
        assert_eq!(Signer::new("another").read(&text), None);
        for index in 0..text.len() {
            let mut touched = text.clone().into_bytes();
            touched[index] = if touched[index] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            // The last character of the text has bits that mean nothing.
            assert!(touched == text || signer.read(&touched).is_none(), "{index}");
        }
        assert_eq!(signer.read(""), None);
        assert_eq!(signer.read(&"A".repeat(5_000)), None);
    }
}
