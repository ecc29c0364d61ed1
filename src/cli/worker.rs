//! `ordain worker`: the options, the signals, and the exit code of a worker.

use super::serve::Signals;
use super::{CliError, out};
use crate::tasks::TaskTypes;
use crate::worker::{self, WorkerError, WorkerOptions};
use crate::{config, telemetry};

impl From<WorkerError> for CliError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::NotReachable { url, why } => Self::NotReachable { url, why },
            WorkerError::Usage(_) => Self::Usage(error.to_string()),
            WorkerError::Refused(_) => Self::Refused(error.to_string()),
        }
    }
}

pub fn worker(options: &WorkerOptions, tasks: &TaskTypes) -> Result<(), CliError> {
    telemetry::logs(&options.log_level, options.log_format).map_err(|e| CliError::Usage(e.to_string()))?;
    let activities = config::activities(options.config.as_deref(), tasks)?;
    let tally = actix_rt::System::new().block_on(async {
        let signals = Signals::listen();
        let mut signals = signals.map_err(|e| CliError::Refused(format!("signals cannot be received: {e}")))?;
        let worker = worker::Worker::new(options, activities)?;
        tokio::select! {
            tally = worker.run() => tally.map_err(CliError::from),
            name = stopped(&worker, &mut signals) => {
                tracing::warn!(signal = name, "a second signal: ending at once; what runs is made again when its lease is over");
                Ok(worker.tally())
            }
        }
    })?;
    out::line(tally)
}

/// The first signal stops the worker, and lets what runs end; returns at the second.
async fn stopped(worker: &worker::Worker, signals: &mut Signals) -> &'static str {
    let name = signals.next().await;
    tracing::info!(signal = name, "ending: no new work is taken");
    worker.stop();
    signals.next().await
}
