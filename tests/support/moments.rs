//! Instants outside the server that a test may act at: the world and the clients tell each of them when it comes, and
//! whoever set a trap for it acts right there, before anything else goes on.

use std::sync::{Arc, Mutex, PoisonError};

use super::ledger::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The world has a call, and has done nothing yet.
    Received(Kind),
    /// What it asks for is done, and nothing was answered.
    Done(Kind),
    /// The answer is sent.
    Replied(Kind),
    /// A client was answered with 2xx.
    Acknowledged(Ask),
}

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Start,
    Approve,
    Cancel,
    UpdateAddress,
}

type Action = Box<dyn FnOnce() + Send>;

struct Armed {
    at: Moment,
    /// So many of them are let pass.
    pass: u64,
    action: Action,
}

/// At most one action at a time, taken once.
#[derive(Clone, Default)]
pub struct Trap(Arc<Mutex<Option<Armed>>>);

impl Trap {
    pub fn set(&self, at: Moment, pass: u64, action: impl FnOnce() + Send + 'static) {
        *self.lock() = Some(Armed { at, pass, action: Box::new(action) });
    }

    /// Takes it away again; true where it had sprung, and then its action is over.
    pub fn clear(&self) -> bool {
        self.lock().take().is_none()
    }

    pub fn tell(&self, now: Moment) {
        let mut trap = self.lock();
        match trap.as_mut() {
            Some(armed) if armed.at == now && armed.pass > 0 => armed.pass -= 1,
            Some(armed) if armed.at == now => {
                // With the lock held: what else comes to pass waits until it is over.
                if let Some(armed) = trap.take() {
                    (armed.action)();
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Armed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
