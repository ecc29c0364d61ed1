//! The live part of a status document: the actor beside the durable record.

use serde_json::{Value, json};

use crate::kernel::{Family, Waiting};

/// What is known of an actor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    pub active: bool,
    pub mailbox: usize,
    pub restarts: u32,
}

impl Live {
    pub const PASSIVATED: Self = Self { active: false, mailbox: 0, restarts: 0 };
}

/// The status document: the durable record, and `live`.
pub(super) fn document(family: &Family, live: Live) -> Value {
    let mut document = family.document();
    if let Value::Object(fields) = &mut document {
        let live = json!({
            "actor": if live.active { "active" } else { "passivated" },
            "mailbox": live.mailbox,
            "restarts": live.restarts,
            "waiting_for": waiting_for(family),
        });
        fields.insert("live".to_owned(), live);
    }
    document
}

/// What the root waits for; of a child, what that child waits for in turn.
fn waiting_for(family: &Family) -> Vec<Waiting> {
    let mut waits = family.root().machine.waiting_for();
    for wait in waits.iter_mut().filter(|w| w.kind == "child") {
        let child = family.members().iter().find(|m| m.machine.core().id.as_str() == wait.name);
        let inner = child.and_then(|m| m.machine.waiting_for().into_iter().next());
        if let Some(inner) = inner {
            wait.attempt = inner.attempt;
            wait.since = inner.since;
            wait.until = inner.until;
            wait.last_error = inner.last_error;
        }
    }
    waits
}
