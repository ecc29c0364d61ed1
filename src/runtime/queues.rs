//! What is asked of the engine about its queues: their limits, and the work of outside workers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Addr;
use actix_rt::time::timeout;
use serde_json::Value;
use tokio::sync::oneshot;

use super::command::{Action, Caller, Command, EngineError, IdempotencyKey};
use super::engine::{Engine, refused};
use super::pool::{Adopt, Beat, Claim, Claimed, Handed, Poll, Pool, Settled, Show};
use super::queue::{self, LeaseToken, QueueChange, QueueView};
use crate::activities::is_built_in;
use crate::kernel::{ActivityCall, Phase, Rejection};
use crate::model::{Failure, Name, RunId, SEALED, Timestamp, Trace, WorkflowId};
use crate::store::{AuditEntry, StoreError, StoredQueue};

/// How long a poll may wait for something to do, in ms.
pub const WAIT_MS_MAX: u64 = 30_000;

/// What recovery has handed out has come to the pools by then.
const ARRIVES_WITHIN_MS: u64 = 5_000;

/// A worker asks for something to do.
#[derive(Debug, Clone)]
pub struct PollRequest {
    pub worker: String,
    /// The activities it does; none named: any.
    pub activities: Vec<String>,
    /// At most [`WAIT_MS_MAX`].
    pub wait_ms: u64,
}

/// An attempt in the hands of an outside worker.
#[derive(Debug, Clone)]
pub struct LeasedCall {
    /// By which the worker speaks of it.
    pub token: String,
    pub workflow_id: WorkflowId,
    pub run_id: RunId,
    pub activity: Name,
    pub attempt: u32,
    pub input: Value,
    pub idempotency_key: String,
    /// Without a heartbeat before this instant the attempt is over.
    pub deadline_at: Timestamp,
    /// No heartbeat helps beyond this many ms from now.
    pub timeout_ms: u64,
    /// The call may have been made before.
    pub recovered: bool,
    /// The span of this attempt, to be sent on as `traceparent`.
    pub trace: Trace,
}

/// How an attempt ended, and a hash of the words it was told in: the same again is answered the same.
#[derive(Debug, Clone)]
pub struct Report {
    pub outcome: Result<Value, Failure>,
    pub fingerprint: String,
}

/// Whose attempt a token speaks of.
#[derive(Debug, Clone)]
pub struct AttemptOf {
    /// The root of the family.
    pub root: WorkflowId,
    /// The group of the root's kind.
    pub group: &'static str,
    /// Whether it holds sealed secrets.
    pub has_secrets: bool,
    /// What the attempt was given, sealed, where its result is still wanted.
    pub input: Option<Value>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beaten {
    /// The workflow no longer wants the result.
    pub cancel_requested: bool,
    pub deadline_at: Timestamp,
}

impl Engine {
    fn pool(&self, name: &str) -> Result<&Addr<Pool>, EngineError> {
        self.inner.pools.get(name).ok_or(EngineError::NotFound)
    }

    fn limit(&self) -> Duration {
        Duration::from_millis(self.inner.shared.options.request_timeout_ms)
    }

    /// Waits for a pool's answer. A pool is gone only when the engine ends.
    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, EngineError> {
        match timeout(self.limit(), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(EngineError::Draining),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    /// All queues by name, without their leases.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn queues(&self) -> Result<Vec<QueueView>, EngineError> {
        let mut views = Vec::with_capacity(self.inner.pools.len());
        for pool in self.inner.pools.values() {
            views.push(self.show(pool, false).await?);
        }
        self.add_unrecovered(&mut views).await?;
        Ok(views)
    }

    /// One queue, with what outside workers hold of it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is no such queue; else [`EngineError`].
    pub async fn queue(&self, name: &str) -> Result<QueueView, EngineError> {
        let mut view = [self.show(self.pool(name)?, true).await?];
        self.add_unrecovered(&mut view).await?;
        let [view] = view;
        Ok(view)
    }

    async fn show(&self, pool: &Addr<Pool>, leases: bool) -> Result<QueueView, EngineError> {
        let (reply, view) = oneshot::channel();
        pool.try_send(Show { leases, reply }).map_err(refused)?;
        self.answer(view).await
    }

    /// Until everything that recovery hands out has come to the pools, SQL knows better than they do what waits.
    async fn add_unrecovered(&self, views: &mut [QueueView]) -> Result<(), EngineError> {
        let shared = &self.inner.shared;
        let (now, recovered_at) = (shared.now(), shared.recovered_at.load(Ordering::Acquire));
        if recovered_at > 0 && now > Timestamp(recovered_at).plus_ms(ARRIVES_WITHIN_MS) {
            return Ok(());
        }
        for load in self.read(|q| q.outstanding()).await? {
            if let Some(view) = views.iter_mut().find(|view| view.name == load.queue) {
                view.backlog = view.backlog.max(load.calls.saturating_sub(view.running));
                view.oldest_wait_ms = view.oldest_wait_ms.max(now.ms_since(load.oldest));
            }
        }
        Ok(())
    }

    /// Changes the limits of a queue; on disk when it returns, and in force.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is no such queue; else [`EngineError`].
    pub async fn change_queue(&self, name: &str, change: QueueChange) -> Result<QueueView, EngineError> {
        let pool = self.pool(name)?.clone();
        // Not given up half-way when the client is: what is on disk must be in force.
        let (engine, name) = (self.clone(), name.to_owned());
        let changed = actix_rt::spawn(async move { engine.keep_change(&pool, name, &change).await });
        match timeout(self.limit(), changed).await {
            Ok(Ok(changed)) => changed,
            Ok(Err(_)) => Err(EngineError::Draining),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    async fn keep_change(
        &self,
        pool: &Addr<Pool>,
        name: String,
        change: &QueueChange,
    ) -> Result<QueueView, EngineError> {
        let shared = &self.inner.shared;
        let mut changes = self.inner.changes.lock().await;
        let before = changes.get(name.as_str()).cloned().unwrap_or_default();
        let after = before.then(change);
        if after != before {
            let text = serde_json::to_string(&after).map_err(|e| corrupt(&e))?;
            let kept = shared.journal.put_queue(StoredQueue { name: name.clone(), change: text });
            let busy = |_| EngineError::Overloaded { what: "the journal", retry_after_s: 1 };
            kept.await.map_err(busy)?.map_err(EngineError::Store)?;
            tracing::info!(queue = name, ?change, "the limits of a queue were changed");
        }
        let options = after.on(&queue::of(&shared.options, &name));
        changes.insert(Name::Owned(name), after);
        pool.send(Adopt(options)).await.map_err(|_| EngineError::Draining)?;
        drop(changes);
        self.show(pool, true).await
    }

    /// Gives an outside worker an attempt to make, if one comes up in time.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is no such queue; else [`EngineError`].
    pub async fn poll(&self, name: &str, request: PollRequest) -> Result<Option<LeasedCall>, EngineError> {
        let shared = &self.inner.shared;
        if shared.is_draining() {
            return Err(EngineError::Draining);
        }
        let wait = Duration::from_millis(request.wait_ms.min(WAIT_MS_MAX));
        let (reply, handed) = oneshot::channel();
        let PollRequest { worker, activities, .. } = request;
        let pool = self.pool(name)?;
        pool.try_send(Poll { worker: worker.clone(), activities, wait, reply }).map_err(refused)?;
        let handed: Option<Handed> = match timeout(wait + self.limit(), handed).await {
            Ok(Ok(handed)) => handed,
            Ok(Err(_)) if shared.is_draining() => return Err(EngineError::Draining),
            Ok(Err(_)) => return Err(EngineError::Overloaded { what: "polls", retry_after_s: 1 }),
            Err(_) => return Err(EngineError::Timeout),
        };
        let Some(Handed { call, lease, lease_ms, last_ms }) = handed else { return Ok(None) };
        let now = shared.now();
        let token = LeaseToken {
            queue: call.queue.clone(),
            workflow_id: call.workflow_id.clone(),
            activity: call.activity.clone(),
            attempt: call.attempt,
            lease,
            worker,
            until_ms: now.plus_ms(last_ms).0,
        };
        Ok(Some(LeasedCall {
            token: shared.signer.write(&token),
            workflow_id: call.workflow_id,
            run_id: call.run_id,
            activity: call.activity,
            attempt: call.attempt,
            input: call.input,
            idempotency_key: call.idempotency_key,
            deadline_at: now.plus_ms(lease_ms),
            timeout_ms: call.timeout_ms,
            recovered: call.recovered,
            trace: call.trace,
        }))
    }

    fn token(&self, text: &str) -> Result<(LeaseToken, &Addr<Pool>), EngineError> {
        let token = self.inner.shared.signer.read(text).ok_or(EngineError::NotFound)?;
        let pool = self.inner.pools.get(&token.queue).or_else(|| self.inner.pools.get(super::engine::DEFAULT_QUEUE));
        Ok((token, pool.ok_or(EngineError::NotFound)?))
    }

    async fn claim(&self, pool: &Addr<Pool>, token: &LeaseToken, beat: Option<Beat>) -> Result<Claimed, EngineError> {
        let (reply, claimed) = oneshot::channel();
        pool.try_send(Claim { token: token.clone(), beat, reply }).map_err(refused)?;
        self.answer(claimed).await
    }

    /// Takes an outside worker's result, if the attempt is still its own; on disk when it returns. Told once more, it
    /// is answered the same. Whether `by` was entered in the audit with it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where the token is none of ours; a rejection `lease_lost` where the attempt is over or
    /// somebody else's; else [`EngineError`].
    pub async fn report(&self, token: &str, report: Report, by: Caller) -> Result<bool, EngineError> {
        let (token, pool) = self.token(token)?;
        // No client can send a key that begins with a blank.
        let key = IdempotencyKey { key: format!(" lease:{}", token.lease), fingerprint: report.fingerprint };
        let told = match self.first_answer(&key).await {
            Err(EngineError::KeyReused) => return Err(lost()),
            told => told?,
        };
        let taken = match told {
            Some(answer) => answer,
            None => {
                if matches!(self.claim(pool, &token, None).await?, Claimed::Lost) {
                    return Err(lost());
                }
                let failure = report.outcome.as_ref().err().cloned();
                let taken = self.settle(&token, report.outcome, key, by).await;
                let decided = matches!(&taken, Ok(_) | Err(EngineError::Rejected(_) | EngineError::NotFound));
                if decided {
                    pool.send(Settled { token, failure }).await.map_err(|_| EngineError::Draining)?;
                }
                taken
            }
        };
        match taken {
            Ok(answer) if answer.changed => Ok(answer.audited),
            Ok(_) | Err(EngineError::NotFound | EngineError::Rejected(_)) => Err(lost()),
            Err(error) => Err(error),
        }
    }

    async fn settle(
        &self,
        token: &LeaseToken,
        outcome: Result<Value, Failure>,
        key: IdempotencyKey,
        by: Caller,
    ) -> Result<super::Answer, EngineError> {
        let action = Action::Report {
            to: token.workflow_id.clone(),
            activity: token.activity.clone(),
            attempt: token.attempt,
            outcome,
        };
        let id = WorkflowId::new(token.workflow_id.root());
        let audit = by.audit.map(|entry| Box::new(AuditEntry { order: Some(id.clone()), ..*entry }));
        let by = Caller { audit, ..by };
        match self.ask(Command { id, group: "", action, idempotency: Some(key.clone()), by }).await {
            Err(EngineError::AnswerExists) => self.first_answer(&key).await?.unwrap_or(Err(EngineError::AnswerExists)),
            taken => taken,
        }
    }

    /// Whose attempt this is; `None` where it is one of the activities that come with orders and jobs.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where the token is none of ours; else [`EngineError`].
    pub async fn attempt_of(&self, token: &str) -> Result<Option<AttemptOf>, EngineError> {
        let (token, _) = self.token(token)?;
        if is_built_in(&token.activity) {
            return Ok(None);
        }
        let root = WorkflowId::new(token.workflow_id.root());
        let rows = self.read({
            let root = root.clone();
            move |q| q.family(&root)
        });
        let rows = rows.await?;
        let family = self.family(&rows)?;
        let is_it = |call: &ActivityCall| {
            call.workflow_id == token.workflow_id && call.activity == token.activity && call.attempt == token.attempt
        };
        let input = family.outstanding().into_iter().find(is_it).map(|call| call.input);
        let has_secrets = rows.first().is_some_and(|row| row.snapshot.contains(SEALED));
        Ok(Some(AttemptOf { root, group: family.root().machine.group(), has_secrets, input }))
    }

    /// An outside worker is still at it.
    ///
    /// # Errors
    /// As [`Engine::report`].
    pub async fn heartbeat(&self, token: &str, progress: Option<Value>) -> Result<Beaten, EngineError> {
        let (token, pool) = self.token(token)?;
        let outstanding = self.outstanding_run(&token).await?;
        let beat = Beat { progress, outstanding };
        match self.claim(pool, &token, Some(beat)).await? {
            Claimed::Held { until } => Ok(Beaten { cancel_requested: outstanding.is_none(), deadline_at: until }),
            Claimed::Lost | Claimed::Unknown => Err(lost()),
        }
    }

    /// The run whose attempt this is, where its result is still wanted.
    async fn outstanding_run(&self, token: &LeaseToken) -> Result<Option<RunId>, EngineError> {
        let id = token.workflow_id.clone();
        let Some(row) = self.read(move |q| q.workflow(&id)).await? else { return Ok(None) };
        let family = self.family(std::slice::from_ref(&row))?;
        let core = family.root().machine.core();
        let run = core.activities.get(&token.activity);
        let wanted = run.is_some_and(|run| run.attempt == token.attempt && run.phase == Phase::Running);
        Ok((wanted && core.stuck.is_none()).then_some(row.run_id))
    }
}

fn lost() -> EngineError {
    let why = "the attempt is over, or another worker has it; its result is not taken";
    EngineError::Rejected(Rejection::new("lease_lost", why))
}

fn corrupt(error: &serde_json::Error) -> EngineError {
    EngineError::Store(StoreError::Corrupt(error.to_string()))
}
