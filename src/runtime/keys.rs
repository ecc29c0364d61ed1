//! The API keys and the audit at the engine's door; and the keys as another process may have changed them: a command line
//! that writes to the database itself.
//!
//! What this process changes is in the ring with the commit. Keys are only ever added or revoked, so that two counts tell
//! whether anything has changed: that is what is asked of an idle database, and all.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::{sleep, timeout};
use metrics::counter;
use tokio::sync::oneshot;

use super::journal::KeyRequest;
use super::shared::SharedRef;
use super::{Engine, EngineError};
use crate::access::{KeyChange, Ring};
use crate::store::AuditEntry;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Engine {
    /// The API keys of the database: what this process changes at once, what others change within seconds.
    pub fn keys(&self) -> &Arc<Ring> {
        &self.inner.keys
    }

    /// Changes the keys, with its entry in the audit; in force as soon as it is durable, and durable on return.
    ///
    /// # Errors
    /// [`EngineError::NoSuchKey`], or as everything that is written.
    pub async fn change_keys(&self, change: KeyChange, audit: Option<AuditEntry>) -> Result<(), EngineError> {
        let shared = &self.inner.shared;
        if shared.is_draining() {
            return Err(EngineError::Draining);
        }
        let (reply, changed) = oneshot::channel();
        let request = KeyRequest { change, audit, reply };
        let full = |_| EngineError::Overloaded { what: "writes", retry_after_s: 1 };
        shared.journal.change_keys(request).map_err(full)?;
        let limit = Duration::from_millis(shared.options.request_timeout_ms);
        match timeout(limit, changed).await {
            Ok(Ok(Ok(true))) => Ok(()),
            Ok(Ok(Ok(false))) => Err(EngineError::NoSuchKey),
            Ok(Ok(Err(error))) => Err(EngineError::Store(error)),
            Ok(Err(_)) => Err(EngineError::Draining),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    /// Enters something in the audit that no transition carries; soon after, and nobody waits for it. Where the writer
    /// is overrun it is lost, and counted.
    pub fn note(&self, entry: AuditEntry) {
        let entry = AuditEntry { at: self.now(), ..entry };
        if self.inner.shared.journal.note(entry).is_err() {
            counter!("ordain_audit_entries_lost_total").increment(1);
        }
    }
}

/// Runs until the engine drains.
pub(super) async fn follow(shared: SharedRef, ring: Arc<Ring>) {
    while !shared.is_draining() {
        sleep(LOOK_EVERY).await;
        let (version, known) = (ring.version(), ring.counts());
        let look = move |q: &dyn crate::store::Queries| {
            let counts = q.key_counts()?;
            if counts == known { Ok(None) } else { q.keys().map(Some) }
        };
        match shared.readers.read(look).await {
            Ok(None) => {}
            Ok(Some(keys)) => {
                tracing::info!(keys = keys.len(), "the API keys were changed beside this process");
                ring.replace(keys, version);
            }
            // Said elsewhere, and more than once, where the database is away.
            Err(error) => tracing::debug!(%error, "the API keys could not be read"),
        }
    }
}
