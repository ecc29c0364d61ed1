//! What a durable instance is: inputs, facts, attempts, retries, timers, deadline, pause, children.
//!
//! Pure. A host feeds [`Family::step`] an input and an instant and gets back what must be made durable and,
//! after that, what may be started. Invariants kept here: `seq` is gap-free; the state is the fold of the facts;
//! a result is taken once; every instance that has not ended has a wish or waits for a named signal.

mod clock;
mod core;
mod facts;
mod family;
mod hosted;
mod instance;
mod machine;
mod registry;
mod retry;
mod workflow;

pub use clock::DeadlineClock;
pub use core::{ActivityRun, Core, Phase};
pub use facts::{FactRecord, KernelFact};
pub use family::{Commit, Family, IdSource, Member, Stepped, Transition};
pub use machine::{ActivityCall, ChildStart, CodecError, Cx, Document, Input, Live, Machine, Step, Waiting};
pub use registry::{Registry, RestoreError};
pub use retry::{Policies, RetryPolicy};
pub(crate) use retry::{mix, seed};
pub use workflow::{
    ClockMode, Message, Persistence, Recipient, Rejection, START_AGAIN, Stimulus, View, Wish, Workflow,
};
