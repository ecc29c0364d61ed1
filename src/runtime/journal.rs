//! The writer: one thread that drains everything waiting into one transaction, and acknowledges after it is on disk.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::Recipient;
use metrics::histogram;
use tokio::sync::watch;

use super::messages::Acks;
use crate::model::{Timestamp, WorkflowId};
use crate::store::{Journal, StoreError, Unit, Verdict};

/// A unit on its way to disk, and who waits for it.
pub(super) struct Request {
    pub unit: Unit,
    pub shard: usize,
    pub id: WorkflowId,
    /// Tells this commit from earlier ones of the same actor.
    pub token: u64,
}

/// What became of a unit.
#[derive(Debug)]
pub(super) struct Ack {
    pub id: WorkflowId,
    pub token: u64,
    pub result: Result<Verdict, StoreError>,
}

enum Order {
    Append(Request),
    Forget(Timestamp),
    Stop,
}

/// Where units are handed in. Bounded; never blocks.
#[derive(Clone)]
pub(super) struct JournalDoor {
    queue: SyncSender<Order>,
}

/// The unit was not taken: the writer's queue is full, or it has stopped.
pub(super) struct NotTaken;

impl JournalDoor {
    pub fn append(&self, request: Request) -> Result<(), NotTaken> {
        self.queue.try_send(Order::Append(request)).map_err(|_| NotTaken)
    }

    /// Removes stored answers older than `before`, when the writer comes to it.
    pub fn forget_answers(&self, before: Timestamp) {
        // If the queue is full this can wait for the next time.
        let _full = self.queue.try_send(Order::Forget(before));
    }

    pub fn stop(&self) {
        // A full queue is being drained; a stopped writer needs no second word.
        for _ in 0..100 {
            match self.queue.try_send(Order::Stop) {
                Err(TrySendError::Full(_)) => std::thread::sleep(Duration::from_millis(20)),
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

/// The queue between the actors and the writer.
pub(super) fn queue(capacity: usize) -> (JournalDoor, Inbox) {
    let (queue, orders) = sync_channel(capacity);
    (JournalDoor { queue }, Inbox { orders })
}

pub(super) struct Inbox {
    orders: Receiver<Order>,
}

/// Starts the writer's thread. It ends, and with it the journal and `committed`, at [`JournalDoor::stop`].
/// `committed` is told the id of the last event after each commit.
pub(super) fn start(
    inbox: Inbox,
    journal: Box<dyn Journal>,
    shards: Vec<Recipient<Acks>>,
    batch_max: usize,
    committed: watch::Sender<u64>,
) -> std::io::Result<JoinHandle<()>> {
    let writer = Writer { journal, shards, batch_max, committed };
    std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(&inbox.orders))
}

struct Writer {
    journal: Box<dyn Journal>,
    shards: Vec<Recipient<Acks>>,
    batch_max: usize,
    committed: watch::Sender<u64>,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut batch: Vec<Request> = Vec::new();
        while let Ok(first) = orders.recv() {
            let mut next = Some(first);
            let mut stop = false;
            let mut forget = None;
            while let Some(order) = next.take() {
                match order {
                    Order::Append(request) => batch.push(request),
                    Order::Forget(before) => forget = Some(before),
                    Order::Stop => stop = true,
                }
                if batch.len() < self.batch_max && !stop {
                    next = orders.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                self.commit(std::mem::take(&mut batch));
            }
            if let Some(before) = forget
                && let Err(error) = self.journal.forget_answers(before)
            {
                tracing::warn!(%error, "old answers could not be removed");
            }
            if stop {
                return;
            }
        }
    }

    fn commit(&mut self, batch: Vec<Request>) {
        let (units, tickets): (Vec<Unit>, Vec<_>) =
            batch.into_iter().map(|r| (r.unit, (r.shard, r.id, r.token))).unzip();
        let began = Instant::now();
        let results = self.append(&units);
        let now = self.journal.last_event();
        self.committed.send_if_modified(|last| std::mem::replace(last, now) != now);
        histogram!("ordain_journal_commit_seconds").record(began.elapsed().as_secs_f64());
        histogram!("ordain_journal_batch_transitions")
            .record(units.iter().map(|u| u.transitions.len()).sum::<usize>() as f64);
        let mut acks: Vec<Vec<Ack>> = self.shards.iter().map(|_| Vec::new()).collect();
        for ((shard, id, token), result) in tickets.into_iter().zip(results) {
            acks[shard].push(Ack { id, token, result });
        }
        for (shard, acks) in self.shards.iter().zip(acks) {
            if !acks.is_empty() {
                shard.do_send(Acks(acks));
            }
        }
    }

    /// One result for each unit. A unit that breaks a batch is found by trying them one by one.
    fn append(&mut self, units: &[Unit]) -> Vec<Result<Verdict, StoreError>> {
        match self.journal.append(units) {
            Ok(verdicts) => verdicts.into_iter().map(Ok).collect(),
            Err(StoreError::Refused(why)) if units.len() > 1 => {
                tracing::error!(%why, units = units.len(), "a batch was refused; its units are tried one by one");
                units.iter().map(|unit| self.append_one(unit)).collect()
            }
            Err(error) => {
                tracing::error!(%error, units = units.len(), "a batch was not stored");
                units.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    fn append_one(&mut self, unit: &Unit) -> Result<Verdict, StoreError> {
        let verdicts = self.journal.append(std::slice::from_ref(unit))?;
        verdicts.into_iter().next().ok_or_else(|| StoreError::Corrupt("the journal gave no verdict".into()))
    }
}
