//! Bugs on purpose: each breaks one rule that the engine keeps, and the simulator must find it. `ordain verify --sim
//! --plant all` shows that it does. They live in the simulated host and store; nothing of the engine knows of them.

use std::fmt;
use std::str::FromStr;

use serde_json::json;

use crate::kernel::{ActivityCall, Commit};
use crate::model::{Failure, FailureKind};
use crate::workflows::order::{OrderStart, activity};
use crate::workflows::shipping;

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    AcknowledgeFirst,
    EffectFirst,
    FreshKey,
    DoubleDispatch,
    VolatileTimer,
    VolatileCancel,
    LostWakeUp,
    ForgottenCalls,
    NoRefund,
    GiveUpOnUnknown,
    StaleAddress,
    RewrittenHistory,
    NoDedupe,
    TornCommit,
    TwoOwners,
}

/// All of them, by the name they are planted by, with what they do.
pub const BUGS: [(Bug, &str, &str); 15] = [
    (Bug::AcknowledgeFirst, "acknowledge-first", "an input is answered before its commit"),
    (Bug::EffectFirst, "effect-first", "a call is made before its intent is stored"),
    (Bug::FreshKey, "fresh-key", "each attempt of a charge has an idempotency key of its own"),
    (Bug::DoubleDispatch, "double-dispatch", "each attempt of a dispatch has an idempotency key of its own"),
    (Bug::VolatileTimer, "volatile-timer", "timers are in memory only"),
    (Bug::VolatileCancel, "volatile-cancel", "a cancel is in memory only"),
    (Bug::LostWakeUp, "lost-wake-up", "an alarm is not set, once in eight times"),
    (Bug::ForgottenCalls, "forgotten-calls", "a recovery does not make the calls that were under way"),
    (Bug::NoRefund, "no-refund", "a refund is taken for done without being asked for"),
    (Bug::GiveUpOnUnknown, "give-up-on-unknown", "a charge without an answer is taken for refused"),
    (Bug::StaleAddress, "stale-address", "a parcel goes to the address of the start"),
    (Bug::RewrittenHistory, "rewritten-history", "a stored fact is changed later"),
    (Bug::NoDedupe, "no-dedupe", "a start that comes again starts the order anew"),
    (Bug::TornCommit, "torn-commit", "of a commit only the first row is stored"),
    (Bug::TwoOwners, "two-owners", "the commit of a process that is gone is stored after its successor began"),
];

/// There is no such bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no bug {0:?} to plant")]
pub struct NoSuchBug(String);

impl FromStr for Bug {
    type Err = NoSuchBug;

    fn from_str(text: &str) -> Result<Self, NoSuchBug> {
        let known = BUGS.iter().find(|(_, name, _)| *name == text);
        known.map(|(bug, ..)| *bug).ok_or_else(|| NoSuchBug(text.to_owned()))
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BUGS.iter().find(|(bug, ..)| bug == self).map_or("?", |(_, name, _)| name))
    }
}

impl Bug {
    /// The call as it is made wrongly.
    pub(super) fn spoil_call(self, call: &mut ActivityCall, start: &OrderStart) {
        if let Some(key) = self.other_key(call) {
            call.idempotency_key = key;
        }
        if self == Self::StaleAddress && call.activity == shipping::DISPATCH {
            call.input["address"] = json!(start.address);
        }
    }

    /// The facts that go with a call that is made wrongly.
    pub(super) fn spoil_commit(self, commit: &mut Commit) {
        for call in &commit.calls {
            let Some(key) = self.other_key(call) else { continue };
            let named = |key: &str| format!("\"idempotency_key\":\"{key}\"");
            for t in commit.transitions.iter_mut().filter(|t| t.id == call.workflow_id) {
                t.facts_json = t.facts_json.replace(&named(&call.idempotency_key), &named(&key));
            }
        }
        for call in &mut commit.calls {
            if let Some(key) = self.other_key(call) {
                call.idempotency_key = key;
            }
        }
    }

    fn other_key(self, call: &ActivityCall) -> Option<String> {
        let of = match self {
            Self::FreshKey => activity::CHARGE,
            Self::DoubleDispatch => shipping::DISPATCH,
            _ => return None,
        };
        let suffix = format!("~{}", call.attempt);
        let is_new = call.activity == of && !call.idempotency_key.ends_with(&suffix);
        is_new.then(|| format!("{}{suffix}", call.idempotency_key))
    }

    /// What the host makes of a failure.
    pub(super) fn spoil_failure(self, activity: &str, failure: &mut Failure) {
        let unknown = matches!(failure.kind, FailureKind::Timeout | FailureKind::UnknownOutcome | FailureKind::Panic);
        if self == Self::GiveUpOnUnknown && activity == activity::CHARGE && unknown {
            failure.kind = FailureKind::Refused;
        }
    }
}
