//! The door to the engine: what the faces (HTTP, tests, demos) call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::{Actor, Addr};
use actix_rt::time::{sleep, timeout};
use actix_rt::{Arbiter, ArbiterHandle};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::admission::{self, Kind, Steps};
use super::census::Crashes;
use super::command::{Answer, Command, EngineError, IdempotencyKey};
use super::messages::{Ask, Pools};
use super::pool::Pool;
use super::queue::{self, QueueChange, Signer};
use super::readers::Readers;
use super::shard::Shard;
use super::shared::{Clock, Ids, Shared, SharedRef};
use super::timers::FarTimer;
use super::{Options, journal, outcome};
use crate::access::Ring;
use crate::activities::Activities;
use crate::kernel::Registry;
use crate::model::{Name, Timestamp};
use crate::store::{Store, StoreError, StoredQueue};
use crate::workflows::{order, shipping};

/// The queue of activities whose own queue is not known.
pub(super) const DEFAULT_QUEUE: &str = "default";

/// Why an engine cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the actors of a shard did not start")]
    Shard,
}

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

type Held = (JoinHandle<()>, Box<dyn Send>);

pub(super) struct Inner {
    pub(super) shared: SharedRef,
    pub(super) shards: Vec<Addr<Shard>>,
    pub(super) pools: BTreeMap<Name, Addr<Pool>>,
    /// What operators changed of queues; held while a change is on its way to disk.
    pub(super) changes: tokio::sync::Mutex<BTreeMap<Name, QueueChange>>,
    activities: Vec<String>,
    pub(super) keys: Arc<Ring>,
    /// The id of the last event that is on disk.
    last_event: watch::Receiver<u64>,
    arbiters: Vec<ArbiterHandle>,
    /// The writer's thread and the ownership of the database, until the engine has drained.
    held: Mutex<Option<Held>>,
}

impl Engine {
    /// Starts the engine on a store and begins recovery. Must be called within an actix system.
    ///
    /// # Errors
    /// [`StartError`] where a thread cannot be started.
    pub fn start(
        options: Options,
        registry: Registry,
        activities: Activities,
        store: Store,
    ) -> Result<Self, StartError> {
        let Store { journal, queries, api_keys, queues, secret, next_key, ownership, fence, after_crash } = store;
        let keys = Arc::new(Ring::of(api_keys));
        // Every live actor has at most one unit on its way.
        let (committed, last_event) = watch::channel(journal.last_event());
        let (door, inbox) = journal::queue(options.live_max + options.batch_max);
        let shared: SharedRef = Arc::new(Shared {
            readers: Readers::start(queries, options.readers)?,
            journal: door,
            ids: Ids::starting_at(next_key),
            recovery: super::recovery::Counts::new(after_crash, Clock::wall()),
            clock: Clock::default(),
            live: AtomicUsize::new(0),
            steps: Steps::default(),
            running: AtomicUsize::new(0),
            committing: AtomicUsize::new(0),
            ready: AtomicBool::new(false),
            recovered_at: AtomicI64::new(0),
            signer: Signer::new(&secret),
            draining: AtomicBool::new(false),
            fence,
            stores: Arc::new(AtomicBool::new(true)),
            mailbox_high: AtomicUsize::new(0),
            crashes: Crashes::default(),
            far_timer: FarTimer::default(),
            registry,
            options,
        });
        let mut arbiters = Vec::new();
        let mut arbiter = || {
            let arbiter = Arbiter::new();
            arbiters.push(arbiter.handle());
            arbiter.handle()
        };
        let start_shard = |index| {
            let shared = shared.clone();
            Shard::start_in_arbiter(&arbiter(), move |_| Shard::new(shared, index))
        };
        let shards: Vec<Addr<Shard>> = (0..shared.options.shards).map(start_shard).collect();
        let doors: Vec<_> = shards.iter().map(|s| (s.clone().recipient(), s.clone().recipient())).collect();
        let named = shared.options.queues.keys().cloned().map(Name::Owned);
        let names: BTreeSet<Name> =
            named.chain([Name::Borrowed(DEFAULT_QUEUE), order::QUEUE.into(), shipping::QUEUE.into()]).collect();
        let changes: BTreeMap<Name, QueueChange> = queues.into_iter().filter_map(change_of).collect();
        let start_pool = |name: Name| {
            let configured = queue::of(&shared.options, &name);
            let options = changes.get(&name).map_or_else(|| configured.clone(), |change| change.on(&configured));
            let pool = Pool::new(name.clone(), options, activities.clone(), shared.clone(), doors.clone());
            (name, Pool::start_in_arbiter(&arbiter(), move |_| pool))
        };
        let pools: BTreeMap<Name, Addr<Pool>> = names.into_iter().map(start_pool).collect();
        let default = pools.get(DEFAULT_QUEUE).cloned().ok_or(StartError::Shard)?;
        for shard in &shards {
            shard.try_send(Pools(pools.clone(), default.clone())).map_err(|_| StartError::Shard)?;
        }
        let acks = shards.iter().map(|s| s.clone().recipient()).collect();
        let writer = journal::start(
            inbox,
            journal,
            acks,
            shared.options.batch_max,
            keys.clone(),
            shared.fence.clone(),
            shared.stores.clone(),
            committed,
        )?;
        let (timers, all) = (arbiter(), shards.clone());
        timers.spawn(super::timers::run(shared.clone(), all));
        timers.spawn(super::auditor::run(shared.clone(), last_event.clone()));
        timers.spawn(super::keys::follow(shared.clone(), keys.clone()));
        let inner = Inner {
            shared,
            shards,
            pools,
            changes: tokio::sync::Mutex::new(changes),
            activities: activities.names().map(str::to_owned).collect(),
            keys,
            last_event,
            arbiters,
            held: Mutex::new(Some((writer, ownership))),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether recovery is done and the engine takes commands.
    pub fn is_ready(&self) -> bool {
        self.inner.shared.ready.load(Ordering::Acquire) && !self.inner.shared.is_draining()
    }

    /// Whether the database took the last write.
    pub fn stores(&self) -> bool {
        self.inner.shared.stores.load(Ordering::Acquire)
    }

    /// Whether nobody else can own the database at this moment.
    pub fn owns_database(&self) -> bool {
        self.inner.shared.fence.is_ours()
    }

    /// Returns once another process has taken the database: nothing of this engine is stored any more, and it should
    /// be drained with no grace.
    pub async fn database_lost(&self) {
        self.inner.shared.fence.lost().await;
    }

    /// Hands a command to its workflow and waits until its outcome is durable.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn submit(&self, command: Command) -> Result<Answer, EngineError> {
        let Some(key) = command.idempotency.clone() else { return self.ask(command).await };
        if let Some(answer) = self.first_answer(&key).await? {
            return answer;
        }
        match self.ask(command).await {
            // The same request got there first, a moment ago.
            Err(EngineError::AnswerExists) => self.first_answer(&key).await?.unwrap_or(Err(EngineError::AnswerExists)),
            result => result,
        }
    }

    /// Whether new work finds room at the moment, or a place to wait for it; if not, it is refused before anything is made of it.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`]
    pub fn admit_new(&self) -> Result<(), EngineError> {
        if self.inner.shared.is_shut() { Err(admission::refused()) } else { Ok(()) }
    }

    pub(super) async fn ask(&self, command: Command) -> Result<Answer, EngineError> {
        let shared = &self.inner.shared;
        if shared.is_draining() {
            return Err(EngineError::Draining);
        }
        let step = shared.enter(Kind::of(&command.action)).await?;
        let (reply, answer) = oneshot::channel();
        let shard = &self.inner.shards[shared.shard_of(&command.id)];
        shard.try_send(Ask { command, step, reply }).map_err(refused)?;
        let limit = Duration::from_millis(shared.options.request_timeout_ms);
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(EngineError::Draining),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    /// The answer that was given under a key before.
    pub(super) async fn first_answer(
        &self,
        key: &IdempotencyKey,
    ) -> Result<Option<Result<Answer, EngineError>>, EngineError> {
        let name = key.key.clone();
        let Some(stored) = self.read(move |q| q.answer(&name)).await? else { return Ok(None) };
        if stored.fingerprint != key.fingerprint {
            return Err(EngineError::KeyReused);
        }
        let corrupt = || EngineError::Store(StoreError::Corrupt("a stored answer cannot be read".to_owned()));
        let outcome = outcome::read(&stored.outcome).ok_or_else(corrupt)?;
        Ok(Some(outcome.map_err(EngineError::Rejected)))
    }

    /// The instant by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.shared.now()
    }

    /// The id of the last event that is on disk; told anew after each commit. It closes when the journal does, at the
    /// end of the drain.
    pub fn last_event(&self) -> watch::Receiver<u64> {
        self.inner.last_event.clone()
    }

    /// The retry policies in force and the kinds and activities known, as JSON, for people.
    pub fn describe(&self) -> Value {
        let shared = &self.inner.shared;
        let policies = &shared.options.policies;
        let of = |name: &String| (name.clone(), json!(policies.of(name)));
        json!({
            "kinds": shared.registry.kinds().collect::<Vec<_>>(),
            "retry": {
                "default": policies.default,
                "activities": self.inner.activities.iter().map(of).collect::<serde_json::Map<_, _>>(),
            },
        })
    }

    /// Stops taking work, lets what runs end for at most `grace`, and stops all actors. What has not ended by then is
    /// on disk and goes on in the next process.
    pub async fn drain(&self, grace: Duration) {
        let shared = &self.inner.shared;
        shared.draining.store(true, Ordering::Release);
        let until = Instant::now() + grace;
        let mut quiet = 0;
        // Results become commits, a moment later; twice quiet is quiet.
        while quiet < 3 && Instant::now() < until {
            let busy = shared.running.load(Ordering::Relaxed) + shared.committing.load(Ordering::Relaxed);
            quiet = if busy == 0 { quiet + 1 } else { 0 };
            sleep(Duration::from_millis(10)).await;
        }
        for pool in self.inner.pools.values() {
            pool.do_send(super::pool::Stop);
        }
        shared.journal.stop();
        let held = self.inner.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((writer, ownership)) = held {
            let joined = tokio::task::spawn_blocking(move || {
                let panicked = writer.join().is_err();
                drop(ownership);
                panicked
            });
            if joined.await.unwrap_or(true) {
                tracing::error!("the journal's thread panicked");
            }
        }
        for arbiter in &self.inner.arbiters {
            arbiter.stop();
        }
    }
}

/// One that cannot be read is left out: the queue runs as it is configured.
fn change_of(stored: StoredQueue) -> Option<(Name, QueueChange)> {
    match serde_json::from_str(&stored.change) {
        Ok(change) => Some((Name::Owned(stored.name), change)),
        Err(error) => {
            tracing::error!(queue = stored.name, %error, "what was changed of a queue cannot be read");
            None
        }
    }
}

/// A mailbox is full, or its actor is gone.
pub(super) fn refused<T>(error: SendError<T>) -> EngineError {
    match error {
        SendError::Full(_) => EngineError::Overloaded { what: "requests", retry_after_s: 1 },
        SendError::Closed(_) => EngineError::Draining,
    }
}
