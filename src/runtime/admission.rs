//! How much may be under way at once. What is beyond it is refused, or waits, while what was accepted goes on.
//!
//! Counted are steps: inputs from the moment they come in (a request, the end of a call, a timer that is due) until they are
//! done, commit included. A call outside is none, so a carrier that hangs keeps no order out. By Little's law their number
//! over the throughput is what each of them waits, so a bound on the one is a bound on the other.
//!
//! New work waits a moment in front of the door, so that the engine never runs dry between refusals.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::command::{Action, EngineError};
use super::shared::{Shared, SharedRef};

/// How long new work waits for room before it is refused.
const WAITS: Duration = Duration::from_millis(50);
/// In front of the door there is place for this part of what may be under way: less than is done while one waits
/// (from 1,250 steps a second on), so that mostly who has a place comes in, and who has none is refused at once.
const PLACES_PART: usize = 16;

#[derive(Default)]
pub(super) struct Steps {
    under_way: AtomicUsize,
    /// New work in front of the door.
    waiting: AtomicUsize,
    /// Told for each step that is done while somebody waits.
    room: Notify,
}

/// One step, counted for as long as this lives.
pub(super) struct Step(SharedRef);

impl Step {
    /// Of what the engine feeds itself, which is bounded elsewhere.
    pub fn begin(shared: &SharedRef) -> Self {
        shared.steps.under_way.fetch_add(1, Ordering::Relaxed);
        Self(shared.clone())
    }

    fn begin_within(shared: &SharedRef, limit: usize) -> Option<Self> {
        let one_more = |steps: usize| (steps < limit).then(|| steps + 1);
        let begun = shared.steps.under_way.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        begun.is_ok().then(|| Self(shared.clone()))
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let steps = &self.0.steps;
        let before = steps.under_way.fetch_sub(1, Ordering::SeqCst);
        if before <= Kind::New.limit(self.0.options.steps_max) && steps.waiting.load(Ordering::SeqCst) > 0 {
            steps.room.notify_one();
        }
    }
}

/// A place in front of the door.
struct Place<'a>(&'a Steps);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
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
        self.steps.under_way.load(Ordering::Relaxed)
    }

    pub(super) fn admits(&self, kind: Kind) -> bool {
        self.steps() < kind.limit(self.options.steps_max)
    }

    /// Whether new work would find neither room nor a place in front of the door.
    pub(super) fn is_shut(&self) -> bool {
        let places = self.options.steps_max.div_ceil(PLACES_PART);
        !self.admits(Kind::New) && self.steps.waiting.load(Ordering::Relaxed) >= places
    }

    /// Lets a command in. New work waits for room where there is a place to wait.
    pub(super) async fn enter(self: &SharedRef, kind: Kind) -> Result<Step, EngineError> {
        let limit = kind.limit(self.options.steps_max);
        if let Some(step) = Step::begin_within(self, limit) {
            return Ok(step);
        }
        if kind != Kind::New || self.is_shut() {
            return Err(refused());
        }
        // Counted before it is looked again: a step that ends from here on tells.
        self.steps.waiting.fetch_add(1, Ordering::SeqCst);
        let place = Place(&self.steps);
        let until = Instant::now() + WAITS;
        loop {
            if let Some(step) = Step::begin_within(self, limit) {
                return Ok(step);
            }
            if timeout_at(until, place.0.room.notified()).await.is_err() {
                return Err(refused());
            }
        }
    }
}

/// What is said to whoever finds no room.
pub(super) fn refused() -> EngineError {
    counter!("ordain_overload_refusals_total").increment(1);
    EngineError::Overloaded { what: "steps under way", retry_after_s: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_finds_room_where_what_is_new_does_not() {
        let limits = [Kind::New, Kind::Timer, Kind::Signal, Kind::Report].map(|kind| kind.limit(1));
        assert_eq!(limits, [1, 2, 2, usize::MAX]);
        assert!(Kind::New.limit(1_000) < Kind::Timer.limit(1_000));
        assert!(Kind::Timer.limit(1_000) < Kind::Signal.limit(1_000));
        assert_eq!(Kind::Signal.limit(usize::MAX), usize::MAX);
    }
}
