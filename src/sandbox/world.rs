//! What the workers of the server share: books, faults, portal. Locks are held for moments, never over an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::faults::Faults;
use super::file::{self, Writer};
use super::ledger::Ledger;
use super::portal::Portal;
use super::{SandboxError, SandboxOptions};

pub struct World {
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
    /// Where the ledger is kept in a file.
    pub writer: Option<Writer>,
    pub portal: Portal,
}

impl World {
    /// Reads the ledger's file, if there is one.
    ///
    /// # Errors
    /// [`SandboxError`] where it cannot be used.
    pub fn new(options: &SandboxOptions) -> Result<Self, SandboxError> {
        let mut ledger = Ledger::default();
        let writer = options.ledger.as_deref().map(|path| file::open(path, &mut ledger)).transpose()?;
        let faults = Mutex::new(Faults::new(options.faults, options.seed));
        Ok(Self { ledger: Mutex::new(ledger), faults, writer, portal: Portal::new(options) })
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }
}

/// What is behind these locks is whole after every step, so a panic elsewhere spoils nothing.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
