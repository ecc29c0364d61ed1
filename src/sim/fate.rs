//! What becomes of one attempt: when it has its effect, if ever, and what the host is told about it, and when.

use super::plan::Plan;
use super::rng::Rng;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind};
use crate::workflows::order::activity;
use crate::workflows::shipping;

/// All times are ms from the instant the call is made.
#[derive(Debug, Clone)]
pub(super) struct Fate {
    /// When the request reaches the outside world; `None`: never.
    pub effect: Option<u64>,
    /// When the true answer comes back, which may be too late.
    pub answer: Option<u64>,
    /// When the answer comes back once more.
    pub again: Option<u64>,
    /// What the host makes of it when the answer does not come.
    pub failure: Option<(u64, Failure)>,
    /// The outside world turns it down.
    pub refuse: Option<Failure>,
}

impl Fate {
    /// A call in a kind world.
    pub fn kind(rng: &mut Rng) -> Self {
        let effect = rng.between(1, 20);
        Self {
            effect: Some(effect),
            answer: Some(effect + rng.between(1, 20)),
            again: None,
            failure: None,
            refuse: None,
        }
    }

    /// A call in a stormy one.
    pub fn draw(plan: &Plan, rng: &mut Rng, call: &ActivityCall) -> Self {
        let mut fate = Self::kind(rng);
        let may_refuse = matches!(call.activity.as_ref(), activity::CHARGE | activity::REFUND | shipping::DISPATCH);
        if may_refuse && rng.chance(plan.refusals) {
            fate.refuse = Some(Failure::new(FailureKind::Refused, "turned down"));
        }
        if rng.chance(plan.duplicates) {
            fate.again = fate.answer.map(|at| at + rng.between(0, 500));
        }
        if rng.chance(plan.faults) {
            if rng.chance(plan.hangs) { fate.hang(rng, call.timeout_ms) } else { fate.fail(rng) }
        }
        fate
    }

    /// No answer in time. The effect never happens, or within the time, or after it; the answer may yet come.
    fn hang(&mut self, rng: &mut Rng, timeout_ms: u64) {
        self.failure = Some((timeout_ms, Failure::new(FailureKind::Timeout, "no answer in time")));
        self.effect = match rng.below(3) {
            0 => None,
            1 => Some(rng.between(1, timeout_ms)),
            _ => Some(timeout_ms + rng.between(1, 3_000)),
        };
        self.answer = self.effect.filter(|_| rng.chance(500)).map(|at| at.max(timeout_ms) + rng.between(1, 500));
    }

    /// An error, before the effect or after it. The kinds that say there was no effect are truthful.
    fn fail(&mut self, rng: &mut Rng) {
        let (kind, effect) = match rng.below(6) {
            0 => (FailureKind::Unreachable, false),
            1 => (FailureKind::RateLimited, false),
            2 => (FailureKind::Error, false),
            3 => (FailureKind::Panic, rng.chance(500)),
            _ => (FailureKind::UnknownOutcome, rng.chance(500)),
        };
        let retry_after_ms = (kind == FailureKind::RateLimited).then(|| rng.between(1, 1_500));
        let at = self.effect.unwrap_or(1) + rng.between(1, 100);
        self.failure = Some((at, Failure { retry_after_ms, ..Failure::new(kind, "it failed") }));
        self.effect = self.effect.filter(|_| effect);
        self.answer = None;
        self.again = None;
    }
}
