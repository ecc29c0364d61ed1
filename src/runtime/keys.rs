//! The API keys as another process may have changed them: a command line that writes to the database itself.
//!
//! What this process changes is in the ring with the commit. Keys are only ever added or revoked, so that two counts tell
//! whether anything has changed: that is what is asked of an idle database, and all.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::sleep;

use super::shared::SharedRef;
use crate::access::Ring;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
