//! Threads that read the database, so that no arbiter blocks on it. Their queue is bounded.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::EngineError;
use crate::store::{Queries, StoreError};

/// Reads that may wait for a thread.
const QUEUE_MAX: usize = 8_192;

type Job = Box<dyn FnOnce(&dyn Queries) + Send>;

#[derive(Clone)]
pub(super) struct Readers {
    queue: SyncSender<Job>,
}

impl Readers {
    /// Starts `threads` threads; they end when the last clone of the handle is dropped.
    pub fn start(queries: Arc<dyn Queries>, threads: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(QUEUE_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..threads.max(1) {
            let (jobs, queries) = (Arc::clone(&jobs), Arc::clone(&queries));
            let name = format!("reader-{n}");
            std::thread::Builder::new().name(name).spawn(move || work(&jobs, queries.as_ref()))?;
        }
        Ok(Self { queue })
    }

    /// Runs a read on one of the threads.
    pub async fn read<T, F>(&self, read: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Queries) -> Result<T, StoreError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |queries| {
            // Nobody may be waiting any more; then there is nobody to tell.
            let _gone = done.send(read(queries));
        });
        self.queue.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => EngineError::Overloaded { what: "reads of the database", retry_after_s: 1 },
            TrySendError::Disconnected(_) => EngineError::Draining,
        })?;
        match result.await {
            Ok(read) => read.map_err(EngineError::Store),
            Err(_) => Err(EngineError::Store(StoreError::Unavailable("the read was given up".into()))),
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, queries: &dyn Queries) {
    loop {
        // The lock is held while waiting for a job, not while doing it.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(queries)));
        if done.is_err() {
            tracing::error!("a read of the database panicked");
        }
    }
}
