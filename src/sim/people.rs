//! People: what they send to orders at any instant, and what they may be told.

use std::borrow::Cow;

use serde_json::json;

use super::plan::address;
use super::rng::Rng;
use crate::kernel::Input;
use crate::model::Address;
use crate::workflows::order::signal;

/// Something a person sends, again and again until it is answered.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Approve,
    Cancel,
    UpdateAddress(Address),
    Pause,
    Resume,
    Retry,
    StartAgain(String),
    /// Nobody's wish: its actor crashed until the host gave up.
    Crashed,
}

impl Command {
    pub fn draw(rng: &mut Rng, fingerprint: &str) -> Self {
        match rng.below(12) {
            0 | 1 => Self::Approve,
            2 | 3 => Self::Cancel,
            4..=6 => Self::UpdateAddress(address(rng)),
            7 => Self::Pause,
            8 => Self::Resume,
            9 | 10 => Self::Retry,
            _ => Self::StartAgain(if rng.chance(500) { fingerprint.to_owned() } else { "other".to_owned() }),
        }
    }

    pub fn input(&self) -> Input {
        let signal = |name: &'static str, payload| Input::Signal { name: Cow::Borrowed(name), payload };
        match self {
            Self::Approve => signal(signal::APPROVE, json!(null)),
            Self::Cancel => signal(signal::CANCEL, json!({ "reason": "changed my mind" })),
            Self::UpdateAddress(address) => signal(signal::UPDATE_ADDRESS, json!({ "address": address })),
            Self::Pause => Input::Pause,
            Self::Resume => Input::Resume,
            Self::Retry => Input::Retry,
            Self::StartAgain(fingerprint) => signal("start", json!({ "fingerprint": fingerprint })),
            Self::Crashed => Input::Crashed { reason: "its actor panicked".to_owned() },
        }
    }

    /// Whether it may be refused with this code.
    pub fn may_get(&self, code: &str) -> bool {
        let expected = match self {
            Self::Approve => "review_not_open",
            Self::Cancel => "order_not_cancellable",
            Self::UpdateAddress(_) => "address_locked",
            Self::Pause | Self::Resume => "already_ended",
            Self::Retry => "not_retriable",
            Self::StartAgain(fingerprint) if fingerprint == "other" => "order_exists",
            Self::StartAgain(_) | Self::Crashed => "nothing",
        };
        code == expected
    }
}
