//! The rules a task queue is under, each a state machine of its own: how many calls at once, how fast, when to hold back.
//!
//! Pure: the instant is always passed in (or is the clock a limiter was made with); no actor, no I/O. `pool` obeys them.

mod backoff;
mod options;
mod rate;
mod slots;
mod token;
mod view;

pub(super) use backoff::{Backoff, Permit, Room, Word};
pub(super) use options::of;
pub use options::{CONCURRENCY_MAX, QueueChange, QueueOptions, RateLimit};
pub(super) use rate::Rate;
pub(super) use slots::Slots;
pub(super) use token::{LeaseToken, Signer};
pub use view::{HeldLease, QueueView};

/// Milliseconds since the pool began; never goes backwards.
pub(super) type Ms = u64;
