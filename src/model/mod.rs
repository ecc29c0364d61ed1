//! The words everything else is said in: ids, money, addresses, instants, failures.
//!
//! Pure: no I/O, no clock, no randomness. Nothing of actix, diesel or tokio may enter.

mod address;
mod failure;
mod id;
mod money;
mod payment;
mod result_row;
mod sealed;
mod time;
mod trace;

pub use address::Address;
pub use failure::{ErrorInfo, Failure, FailureKind, RetryClass};
pub use id::{ID_BYTES_MAX, IdError, Key, OrderId, PaymentId, RunId, WorkflowId};
pub use money::{Currency, Money, MoneyError, parse_amount};
pub use payment::{PaymentRow, PaymentStatus};
pub use result_row::ResultRow;
pub use sealed::{REDACTED, SEALED, redacted, scrub, scrubbed};
pub use time::Timestamp;
pub use trace::{NoTrace, SpanId, Trace, TraceId};

/// A short name of an activity, a timer or a signal: borrowed where it is a constant of ours.
pub type Name = std::borrow::Cow<'static, str>;
