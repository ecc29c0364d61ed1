//! Recovery and far timers: the one place that asks SQL who is due.
//!
//! Only the near future is in memory, with the shards. A recovery is nothing but the first look: whoever has a call
//! outstanding is due at the instant 0. Nothing polls: SQL is asked when the first far timer comes near.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::Addr;
use actix_rt::time::sleep;
use tokio::sync::Notify;

use super::EngineError;
use super::admission::Kind;
use super::local::NEAR_MS;
use super::messages::Wake;
use super::shard::Shard;
use super::shared::SharedRef;
use crate::model::{Key, Timestamp, WorkflowId};
use crate::store::Due;

/// Families on one page.
const PAGE: usize = 500;
/// Between looks for old answers to forget.
const FORGET_EVERY_MS: u64 = 3_600_000;

/// The first far timer there is, as far as is known in memory.
pub(super) struct FarTimer {
    first: AtomicI64,
    earlier: Notify,
}

impl Default for FarTimer {
    fn default() -> Self {
        Self { first: AtomicI64::new(i64::MAX), earlier: Notify::new() }
    }
}

impl FarTimer {
    /// An instance was let go whose timer is not near.
    pub fn note(&self, at: Timestamp) {
        if self.first.fetch_min(at.0, Ordering::Relaxed) > at.0 {
            self.earlier.notify_one();
        }
    }

    fn reset(&self) {
        self.first.store(i64::MAX, Ordering::Relaxed);
    }
}

/// Runs until the engine drains.
pub(super) async fn run(shared: SharedRef, shards: Vec<Addr<Shard>>) {
    let began = std::time::Instant::now();
    // Before anything goes on.
    shared.recovery.note_open(read(&shared, super::recovery::open).await);
    let mut horizon = Timestamp(-1);
    horizon = look(&shared, &shards, horizon).await;
    shared.recovered_at.store(shared.now().0, Ordering::Release);
    shared.ready.store(true, Ordering::Release);
    tracing::info!(ms = began.elapsed().as_millis() as u64, "recovery is done");
    let mut forget_at = shared.now();
    while !shared.is_draining() {
        let now = shared.now();
        if now >= forget_at {
            let kept = i64::try_from(shared.options.answers_kept_ms).unwrap_or(i64::MAX);
            shared.journal.forget_answers(Timestamp(now.0.saturating_sub(kept)));
            forget_at = now.plus_ms(FORGET_EVERY_MS);
        }
        let first = Timestamp(shared.far_timer.first.load(Ordering::Relaxed));
        let look_at = Timestamp(first.0.saturating_sub(NEAR_MS as i64 / 2));
        if look_at <= now {
            horizon = look(&shared, &shards, horizon).await;
            continue;
        }
        let wait = Duration::from_millis(look_at.min(forget_at).ms_since(now));
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.far_timer.earlier.notified() => {}
        }
    }
}

/// Hands out everybody due later than `horizon` and not later than the near future, and learns who comes after.
/// Returns the new horizon.
async fn look(shared: &SharedRef, shards: &[Addr<Shard>], horizon: Timestamp) -> Timestamp {
    shared.far_timer.reset();
    let until = shared.now().plus_ms(NEAR_MS);
    let mut after = (horizon, Key(i64::MAX));
    loop {
        if shared.is_draining() {
            return until;
        }
        let page = read(shared, move |q| q.due(after, until, PAGE)).await;
        let Some(last) = page.last() else { break };
        after = (last.at, last.key);
        let full = page.len() == PAGE;
        hand_out(shared, shards, page).await;
        if !full {
            break;
        }
    }
    if let Some(next) = read(shared, move |q| q.next_due(until)).await {
        shared.far_timer.note(next);
    }
    until
}

async fn hand_out(shared: &SharedRef, shards: &[Addr<Shard>], page: Vec<Due>) {
    let now = shared.now();
    let mut seen = HashSet::new();
    let (due, soon): (Vec<Due>, Vec<Due>) = page.into_iter().partition(|due| due.at <= now);
    let roots: Vec<WorkflowId> = due.into_iter().map(|d| d.root).filter(|root| seen.insert(root.clone())).collect();
    let mut wakes: Vec<Wake> = shards.iter().map(|_| Wake { now: Vec::new(), soon: Vec::new() }).collect();
    for due in soon {
        wakes[shared.shard_of(&due.root)].soon.push((due.at, due.root));
    }
    if !roots.is_empty() {
        wait_for_room(shared).await;
        for family in read(shared, move |q| q.families(&roots)).await {
            if let Some(root) = family.first() {
                wakes[shared.shard_of(&root.id)].now.push(family);
            }
        }
    }
    for (shard, wake) in shards.iter().zip(wakes) {
        if !wake.now.is_empty() || !wake.soon.is_empty() {
            // Bounded by the page: this waits until the shard has taken it.
            let _stopped = shard.send(wake).await;
        }
    }
}

/// Recovery stays within the limits of live actors and of steps under way. Orders that are asked for meanwhile are served all the same, so the
/// engine is ready as soon as the limit is reached.
async fn wait_for_room(shared: &SharedRef) {
    let full = || shared.live.load(Ordering::Relaxed) + PAGE > shared.options.live_max || !shared.admits(Kind::Timer);
    while full() && !shared.is_draining() {
        shared.ready.store(true, Ordering::Release);
        sleep(Duration::from_millis(20)).await;
    }
}

/// A read that is tried until the database answers.
async fn read<T, F>(shared: &SharedRef, query: F) -> T
where
    T: Send + Default + 'static,
    F: FnOnce(&dyn crate::store::Queries) -> Result<T, crate::store::StoreError> + Clone + Send + 'static,
{
    loop {
        match shared.readers.read(query.clone()).await {
            Ok(value) => return value,
            Err(EngineError::Draining) => return T::default(),
            Err(error) => {
                tracing::warn!(%error, "the timers could not be read; trying again");
                sleep(Duration::from_millis(500)).await;
            }
        }
        if shared.is_draining() {
            return T::default();
        }
    }
}
