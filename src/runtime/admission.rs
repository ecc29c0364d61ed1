//! How much may be under way at once. What is beyond it is refused, or waits, while what was accepted goes on at full rate.
//!
//! Counted are steps: inputs from the moment they come in (a request, the end of a call, a timer that is due) until they are
//! done, commit included. A call outside is none, so a carrier that hangs keeps no order out. By Little's law their number
//! over the throughput is what each of them waits, so a bound on the one is a bound on the other.

use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::counter;

use super::command::{Action, EngineError};
use super::shared::{Shared, SharedRef};

/// How many steps are under way.
#[derive(Default)]
pub(super) struct Steps(AtomicUsize);

/// One step, counted for as long as this lives.
pub(super) struct Step(SharedRef);

impl Step {
    pub fn begin(shared: &SharedRef) -> Self {
        shared.steps.0.fetch_add(1, Ordering::Relaxed);
        Self(shared.clone())
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.0.steps.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What asks to come in. The later ones find room where the earlier ones do not: what goes on comes before what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    New,
    /// A timer, or an instance that recovery brings back.
    Timer,
    /// A signal or an operator's wish for what is there.
    Signal,
    /// The end of a call: it frees more than it takes.
    Report,
}

impl Kind {
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Start { .. } => Self::New,
            Action::Signal { .. } | Action::Pause | Action::Resume | Action::Retry => Self::Signal,
            Action::Report { .. } => Self::Report,
        }
    }

    fn limit(self, steps_max: usize) -> usize {
        match self {
            Self::New => steps_max,
            Self::Timer => steps_max.saturating_add(steps_max.div_ceil(2)),
            Self::Signal => steps_max.saturating_mul(2),
            Self::Report => usize::MAX,
        }
    }
}

impl Shared {
    /// Steps under way.
    pub(super) fn steps(&self) -> usize {
        self.steps.0.load(Ordering::Relaxed)
    }

    pub(super) fn admits(&self, kind: Kind) -> bool {
        self.steps() < kind.limit(self.options.steps_max)
    }

    pub(super) fn admit(&self, kind: Kind) -> Result<(), EngineError> {
        if self.admits(kind) {
            return Ok(());
        }
        counter!("ordain_overload_refusals_total").increment(1);
        Err(EngineError::Overloaded { what: "steps under way", retry_after_s: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_finds_room_where_what_is_new_does_not() {
        let limits = [Kind::New, Kind::Timer, Kind::Signal, Kind::Report].map(|kind| kind.limit(1));
        assert_eq!(limits, [1, 2, 2, usize::MAX]);
        assert!(
            Kind::New.limit(1_000) < Kind::Timer.limit(1_000) && Kind::Timer.limit(1_000) < Kind::Signal.limit(1_000)
        );
        assert_eq!(Kind::Signal.limit(usize::MAX), usize::MAX);
    }
}
