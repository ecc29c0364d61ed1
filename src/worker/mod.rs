//! An outside worker: makes the calls of a server's task queue in a process of its own, over HTTP alone.
//!
//! It knows activities and the contract of poll, complete, fail and heartbeat; nothing of engine, store or workflows may
//! enter. It may be killed at any moment: the attempt's lease runs out, and the attempt is made again under the same key.

mod attempt;
mod link;
mod options;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_rt::time::sleep;
use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::activities::Activities;
use link::{Link, Polled};
pub use options::WorkerOptions;

/// How long a poll waits at the server.
const POLL_WAIT: Duration = Duration::from_secs(20);
/// Between two tries to reach a server that is away: doubling, from and up to.
const AWAY_FIRST: Duration = Duration::from_millis(200);
const AWAY_MOST: Duration = Duration::from_secs(5);

/// Why a worker ended without having been told to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkerError {
    #[error("{0}")]
    Usage(String),
    /// The server does not want it: there is no such queue, for instance.
    #[error("{0}")]
    Refused(String),
    #[error("server not reachable at {url} ({why})")]
    NotReachable { url: String, why: String },
}

/// What a worker has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub completed: u64,
    pub failed: u64,
    /// The server no longer wanted the result.
    pub lost: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempts: {} completed, {} failed, {} lost", self.completed, self.failed, self.lost)
    }
}

pub struct Worker {
    shared: Rc<Shared>,
    slots: usize,
}

struct Shared {
    link: Link,
    activities: Activities,
    burst: bool,
    idle_exit: Duration,
    /// Attempts being made.
    busy: Cell<usize>,
    /// When there was last something to do, or no word on whether there is.
    idle_since: Cell<Instant>,
    /// Since when the server has been away.
    away_since: Cell<Option<Instant>>,
    stopping: Cell<bool>,
    stop: Notify,
    failed: RefCell<Option<WorkerError>>,
    tally: Cell<Tally>,
}

impl Worker {
    /// Must be called within an actix system.
    ///
    /// # Errors
    /// [`WorkerError::Usage`] where the server's address is not one.
    pub fn new(options: &WorkerOptions, activities: Activities) -> Result<Self, WorkerError> {
        let names = activities.names().map(str::to_owned).collect();
        let shared = Shared {
            link: Link::new(options, names)?,
            activities,
            burst: options.burst,
            idle_exit: options.idle_exit,
            busy: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            away_since: Cell::new(None),
            stopping: Cell::new(false),
            stop: Notify::new(),
            failed: RefCell::new(None),
            tally: Cell::default(),
        };
        Ok(Self { shared: Rc::new(shared), slots: options.max.get() })
    }

    /// Works until it is stopped; with `burst`, until nothing was left to do for a while.
    ///
    /// # Errors
    /// [`WorkerError`] where the server refuses it, or (with `burst`) stays away.
    pub async fn run(&self) -> Result<Tally, WorkerError> {
        tracing::info!(worker_id = self.shared.link.worker_id(), slots = self.slots, "the worker takes work");
        join_all((0..self.slots).map(|_| Rc::clone(&self.shared).work())).await;
        match self.shared.failed.take() {
            Some(error) => Err(error),
            None => Ok(self.tally()),
        }
    }

    /// Takes no more work; [`Worker::run`] returns when what runs has ended.
    pub fn stop(&self) {
        self.shared.stop();
    }

    pub fn tally(&self) -> Tally {
        self.shared.tally.get()
    }
}

impl Shared {
    fn stop(&self) {
        self.stopping.set(true);
        self.stop.notify_waiters();
    }

    fn give_up(&self, error: WorkerError) {
        self.failed.borrow_mut().get_or_insert(error);
        self.stop();
    }

    /// One slot: an attempt at a time.
    async fn work(self: Rc<Self>) {
        let mut pause = AWAY_FIRST;
        while !self.stopping.get() {
            // With a burst a slot looks up often enough to end in time.
            let wait = if self.burst { POLL_WAIT.min(self.idle_exit) } else { POLL_WAIT };
            let polled = tokio::select! {
                polled = self.link.poll(wait) => polled,
                () = self.stop.notified() => return,
            };
            match polled {
                Polled::Work(leased) => {
                    self.away_since.set(None);
                    pause = AWAY_FIRST;
                    self.busy.set(self.busy.get() + 1);
                    let ended = attempt::make(&self.link, &self.activities, *leased).await;
                    self.busy.set(self.busy.get() - 1);
                    self.idle_since.set(Instant::now());
                    self.count(ended);
                }
                Polled::Nothing => {
                    self.away_since.set(None);
                    pause = AWAY_FIRST;
                    if self.is_done().await {
                        return self.stop();
                    }
                }
                Polled::Away(why) => {
                    self.idle_since.set(Instant::now());
                    let since = self.away_since.get().unwrap_or_else(|| {
                        tracing::warn!(why, "the server is away; trying again");
                        Instant::now()
                    });
                    self.away_since.set(Some(since));
                    if self.burst && since.elapsed() >= self.idle_exit && self.busy.get() == 0 {
                        return self.give_up(self.link.not_reachable(why));
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.stop.notified() => return,
                    }
                    pause = (pause * 2).min(AWAY_MOST);
                }
                Polled::Refused(why) => return self.give_up(WorkerError::Refused(why)),
            }
        }
    }

    /// Whether a burst is over: nothing to do for so long, and nothing that only waits for the queue's limits.
    async fn is_done(&self) -> bool {
        let idle = || self.busy.get() == 0 && self.idle_since.get().elapsed() >= self.idle_exit;
        self.burst && idle() && !self.link.is_held_back().await && idle()
    }

    fn count(&self, ended: attempt::Ended) {
        let mut tally = self.tally.get();
        match ended {
            attempt::Ended::Completed => tally.completed += 1,
            attempt::Ended::Failed => tally.failed += 1,
            attempt::Ended::Lost => tally.lost += 1,
        }
        self.tally.set(tally);
    }
}
