//! The live part of a status document: the actor beside the durable record.

use crate::kernel::{CodecError, Family, Live};

/// Of an order without an actor.
pub(super) fn passivated(family: &Family) -> Live {
    Live { actor: "passivated", mailbox: 0, restarts: 0, waiting_for: family.waiting_for() }
}

/// The status document as text: the durable record, and `live`.
pub(super) fn document(family: &Family, live: &Live) -> Result<String, CodecError> {
    let document: Box<str> = family.document(Some(live))?.into();
    Ok(document.into())
}
