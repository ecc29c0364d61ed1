//! The engine looked at from outside, for its operator: gauges brought up to date, and who is busiest.
//!
//! Only reads. Nothing here is on the way of an order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix::{Handler, Message};
use actix_rt::time::timeout;
use metrics::{Gauge, gauge};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::engine::Engine;
use super::meters::JournalNow;
use super::queue::QueueView;
use super::shard::Shard;
use crate::model::{Timestamp, WorkflowId};
use crate::workflows::{order, shipping};

/// Crashes that are remembered.
const CRASHES_KEPT: usize = 32;
/// How long a shard, or the database, may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// States in which nothing is open any more, of every kind.
pub(super) const ENDS: [&str; 4] = ["completed", "failed", "cancelled", "timed_out"];

/// An actor that panicked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crash {
    pub order_id: WorkflowId,
    pub at: Timestamp,
    pub panic: String,
}

/// The newest crashes.
#[derive(Default)]
pub(super) struct Crashes(Mutex<(u64, VecDeque<Crash>)>);

impl Crashes {
    pub fn note(&self, crash: Crash) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        if kept.1.len() == CRASHES_KEPT {
            kept.1.pop_front();
        }
        kept.1.push_back(crash);
    }

    fn now(&self) -> (u64, VecDeque<Crash>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tell how busy you are, and your busiest.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Census {
    pub top: usize,
    pub reply: oneshot::Sender<(ShardNow, Vec<Hot>)>,
}

/// One shard at this moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardNow {
    pub shard: usize,
    /// Live actors.
    pub live: usize,
    /// Of these, those that have nothing to do and may be let go.
    pub idle: usize,
    /// Inputs delivered to its actors and not yet done.
    pub mailbox: usize,
    /// Timers set for the near future.
    pub timers: usize,
}

/// A live actor that has much to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hot {
    pub order_id: WorkflowId,
    pub shard: usize,
    /// Inputs delivered and not yet done.
    pub mailbox: usize,
    pub restarts: u32,
    pub idle: bool,
    pub next_timer: Option<Timestamp>,
}

/// The engine at this moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EngineNow {
    pub at: Timestamp,
    pub ready: bool,
    pub live: usize,
    pub live_max: usize,
    /// Steps handed to the journal and not yet answered.
    pub committing: usize,
    pub mailbox_high_water: usize,
    /// The busiest first.
    pub hottest: Vec<Hot>,
    /// A shard that did not answer in time is missing.
    pub shards: Vec<ShardNow>,
    pub restarts: RestartsNow,
    /// By name; none where they do not answer in time.
    pub queues: Vec<QueueView>,
    pub journal: JournalNow,
    /// Orders by state as SQL has them; `None` where it does not answer.
    pub orders: Option<BTreeMap<String, i64>>,
}

/// Actors rebuilt since the engine started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestartsNow {
    pub total: u64,
    /// The newest last.
    pub last: VecDeque<Crash>,
}

impl Handler<Census> for Shard {
    type Result = ();

    fn handle(&mut self, census: Census, _: &mut Self::Context) {
        let mut now = ShardNow { shard: self.index, live: 0, idle: 0, mailbox: 0, timers: 0 };
        let mut hottest: Vec<Hot> = Vec::new();
        for (id, entry) in &self.directory {
            let (card, depth) = (&entry.card, entry.card.depth.get());
            now.live += 1;
            now.idle += usize::from(card.idle.get());
            now.mailbox += depth;
            let hot = Hot {
                order_id: id.clone(),
                shard: self.index,
                mailbox: depth,
                restarts: card.restarts.get(),
                idle: card.idle.get(),
                next_timer: card.timer.get(),
            };
            keep_hottest(&mut hottest, hot, census.top);
        }
        now.timers = self.local.as_ref().map_or(0, |local| local.timers.borrow().len());
        // Whoever asked may have stopped waiting.
        let _gone = census.reply.send((now, hottest));
    }
}

/// By mailbox, then by restarts; the id last, so that what is shown stands still.
fn heat(hot: &Hot) -> (Reverse<usize>, Reverse<u32>, bool, &str) {
    (Reverse(hot.mailbox), Reverse(hot.restarts), hot.idle, hot.order_id.as_str())
}

fn keep_hottest(hottest: &mut Vec<Hot>, hot: Hot, top: usize) {
    let at = hottest.partition_point(|other| heat(other) < heat(&hot));
    if at < top {
        hottest.truncate(top - 1);
        hottest.insert(at, hot);
    }
}

/// Brings the gauges up to date where there is no engine.
pub fn no_engine_metrics() {
    gauge!("ordain_owner").set(0.0);
    gauge!("ordain_actors_live").set(0.0);
    gauge!("ordain_actors_passivated").set(0.0);
}

impl Engine {
    /// Brings the gauges up to date, before they are read.
    pub async fn refresh_metrics(&self) {
        let shared = &self.inner.shared;
        let live = shared.live.load(Ordering::Relaxed);
        gauge!("ordain_owner").set(1.0);
        gauge!("ordain_actors_live").set(live as f64);
        gauge!("ordain_actors_live_max").set(shared.options.live_max as f64);
        gauge!("ordain_steps").set(shared.steps() as f64);
        gauge!("ordain_steps_max").set(shared.options.steps_max as f64);
        gauge!("ordain_mailbox_high_water").set(shared.mailbox_high.load(Ordering::Relaxed) as f64);
        gauge!("ordain_journal_waiting").set(shared.committing.load(Ordering::Relaxed) as f64);
        for queue in self.queues_now().await {
            let set = |gauge: Gauge, value: f64| gauge.set(value);
            set(gauge!("ordain_queue_concurrency", "queue" => queue.name.clone()), queue.concurrency as f64);
            set(gauge!("ordain_queue_running", "queue" => queue.name.clone()), queue.running as f64);
            set(gauge!("ordain_queue_backlog", "queue" => queue.name.clone()), queue.backlog as f64);
            set(gauge!("ordain_queue_workers", "queue" => queue.name.clone()), queue.workers as f64);
            set(gauge!("ordain_queue_paused", "queue" => queue.name.clone()), f64::from(u8::from(queue.paused)));
            set(gauge!("ordain_queue_oldest_seconds", "queue" => queue.name), queue.oldest_wait_ms as f64 / 1e3);
        }
        let stats = timeout(ANSWER_WITHIN, self.read(|q| q.stats())).await;
        let up = matches!(stats, Ok(Ok(_))) && self.stores();
        gauge!("ordain_database_up").set(f64::from(u8::from(up)));
        let Ok(Ok(stats)) = stats else { return };
        for state in order::STATES {
            gauge!("ordain_orders", "state" => state).set(0.0);
        }
        let mut open = 0;
        for (kind, states) in stats {
            for (state, n) in states {
                if kind != shipping::KIND && !ENDS.contains(&state.as_str()) {
                    open += n;
                }
                let gauge = if kind == order::KIND {
                    gauge!("ordain_orders", "state" => state)
                } else {
                    gauge!("ordain_workflows", "kind" => kind.clone(), "state" => state)
                };
                gauge.set(n as f64);
            }
        }
        // The two are counted one after the other.
        gauge!("ordain_actors_passivated").set((open as f64 - live as f64).max(0.0));
    }

    async fn queues_now(&self) -> Vec<QueueView> {
        timeout(ANSWER_WITHIN, self.queues()).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The engine at this moment, with the `top` busiest orders.
    pub async fn now_with(&self, top: usize) -> EngineNow {
        let shared = &self.inner.shared;
        let mut asked = Vec::new();
        for shard in &self.inner.shards {
            let (reply, told) = oneshot::channel();
            // One that is overloaded is looked at the next time.
            if shard.try_send(Census { top, reply }).is_ok() {
                asked.push(told);
            }
        }
        let orders = timeout(ANSWER_WITHIN, self.read(|q| q.stats())).await;
        let orders = orders.ok().and_then(Result::ok).map(|mut kinds| kinds.remove(order::KIND).unwrap_or_default());
        let (mut shards, mut hottest) = (Vec::new(), Vec::new());
        for told in asked {
            if let Ok(Ok((now, hot))) = timeout(ANSWER_WITHIN, told).await {
                shards.push(now);
                hot.into_iter().for_each(|hot| keep_hottest(&mut hottest, hot, top));
            }
        }
        let (total, last) = shared.crashes.now();
        EngineNow {
            at: shared.now(),
            ready: self.is_ready(),
            live: shared.live.load(Ordering::Relaxed),
            live_max: shared.options.live_max,
            committing: shared.committing.load(Ordering::Relaxed),
            mailbox_high_water: shared.mailbox_high.load(Ordering::Relaxed),
            hottest,
            shards,
            restarts: RestartsNow { total, last },
            queues: self.queues_now().await,
            journal: shared.journal.log.now(),
            orders,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hottest_are_kept_and_the_hottest_comes_first() {
        let mut hottest = Vec::new();
        for (n, mailbox) in [3, 9, 1, 9, 0, 4].into_iter().enumerate() {
            let (order_id, restarts) = (WorkflowId::new(format!("o-{n}")), 0);
            let hot = Hot { order_id, shard: 0, mailbox, restarts, idle: false, next_timer: None };
            keep_hottest(&mut hottest, hot, 3);
        }
        let ids: Vec<&str> = hottest.iter().map(|hot| hot.order_id.as_str()).collect();
        assert_eq!(ids, ["o-1", "o-3", "o-5"]);
        let hot = hottest.remove(0);
        let mut none = Vec::new();
        keep_hottest(&mut none, hot, 0);
        assert!(none.is_empty());
    }
}
