//! Who may come in: the rule of each route, the gate that judges each request by it, and what a handler may know of
//! whoever asks. Nothing of this is decided anywhere else, and a request that no rule was found for is refused.

mod gate;
mod hosts;
mod rules;
mod session;
mod visit;

pub use gate::{Gate, Refusal};
#[cfg(test)]
pub use rules::RULES;
pub use rules::{Rule, rule};
pub use session::LASTS_S as SESSION_LASTS_S;
pub use visit::{Asker, Audited, Visit};
