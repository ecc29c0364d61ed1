//! The writer: one thread that drains everything waiting into one transaction, and acknowledges after it is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::Recipient;
use metrics::counter;
use tokio::sync::{oneshot, watch};

use super::messages::Acks;
use super::meters::{JournalLog, WriterMeter};
use crate::access::{KeyChange, Ring};
use crate::model::{Timestamp, WorkflowId};
use crate::store::{AuditEntry, Fence, Journal, StoreError, StoredQueue, Unit, Verdict};

/// Between two words about the same outage.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Entries of the audit that wait for the writer.
const NOTES_MAX: usize = 4_096;
/// In an outage, how long nothing is written before it is tried whether it could be.
const PROBE_AFTER: Duration = Duration::from_millis(500);

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

/// A change of the keys, who asked for it, and who waits.
pub(super) struct KeyRequest {
    pub change: KeyChange,
    pub audit: Option<AuditEntry>,
    pub reply: oneshot::Sender<Result<bool, StoreError>>,
}

enum Order {
    Append(Request),
    Keys(Box<KeyRequest>),
    /// An entry of the audit that no transition carries.
    Note(Box<AuditEntry>),
    Forget(Timestamp),
    PutQueue(StoredQueue, oneshot::Sender<Result<(), StoreError>>),
    Stop,
}

/// Where units are handed in. Bounded; never blocks.
#[derive(Clone)]
pub(super) struct JournalDoor {
    queue: SyncSender<Order>,
    /// Notes in the queue.
    notes: Arc<AtomicUsize>,
    /// What the writer has done, to look at.
    pub log: Arc<JournalLog>,
}

/// The unit was not taken: the writer's queue is full, or it has stopped.
pub(super) struct NotTaken;

impl JournalDoor {
    pub fn append(&self, request: Request) -> Result<(), NotTaken> {
        self.queue.try_send(Order::Append(request)).map_err(|_| NotTaken)
    }

    pub fn change_keys(&self, request: KeyRequest) -> Result<(), NotTaken> {
        self.queue.try_send(Order::Keys(Box::new(request))).map_err(|_| NotTaken)
    }

    pub fn note(&self, entry: AuditEntry) -> Result<(), NotTaken> {
        // They have a part of the queue to themselves, so that they never keep a transition out.
        if self.notes.fetch_add(1, Ordering::Relaxed) < NOTES_MAX
            && self.queue.try_send(Order::Note(Box::new(entry))).is_ok()
        {
            return Ok(());
        }
        self.notes.fetch_sub(1, Ordering::Relaxed);
        Err(NotTaken)
    }

    /// Removes stored answers older than `before`, when the writer comes to it.
    pub fn forget_answers(&self, before: Timestamp) {
        // If the queue is full this can wait for the next time.
        let _full = self.queue.try_send(Order::Forget(before));
    }

    /// Keeps a change of a queue; told when it is on disk, or dropped where the writer does not take it.
    pub fn put_queue(&self, queue: StoredQueue) -> oneshot::Receiver<Result<(), StoreError>> {
        let (done, kept) = oneshot::channel();
        // What is not taken is dropped with its sender, which tells whoever waits.
        let _full = self.queue.try_send(Order::PutQueue(queue, done));
        kept
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
    let (queue, orders) = sync_channel(capacity + NOTES_MAX);
    let (notes, log) = (Arc::new(AtomicUsize::new(0)), Arc::new(JournalLog::default()));
    (JournalDoor { queue, notes: Arc::clone(&notes), log: Arc::clone(&log) }, Inbox { orders, notes, log })
}

pub(super) struct Inbox {
    orders: Receiver<Order>,
    notes: Arc<AtomicUsize>,
    log: Arc<JournalLog>,
}

/// Starts the writer's thread. It ends, and with it the journal and `committed`, at [`JournalDoor::stop`].
/// `committed` is told the id of the last event after each commit, `stores` is kept true while the database takes
/// what it is given.
#[allow(clippy::too_many_arguments)] // Each is a part of the writer, given once.
pub(super) fn start(
    inbox: Inbox,
    journal: Box<dyn Journal>,
    shards: Vec<Recipient<Acks>>,
    batch_max: usize,
    keys: Arc<Ring>,
    fence: Fence,
    stores: Arc<AtomicBool>,
    committed: watch::Sender<u64>,
) -> std::io::Result<JoinHandle<()>> {
    let meter = WriterMeter::new(Arc::clone(&inbox.log));
    let writer = Writer { journal, shards, batch_max, keys, fence, stores, committed, meter, outage: None };
    std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(&inbox))
}

struct Writer {
    journal: Box<dyn Journal>,
    shards: Vec<Recipient<Acks>>,
    batch_max: usize,
    /// What requests are judged by; brought up to date as soon as a change is on disk.
    keys: Arc<Ring>,
    fence: Fence,
    /// Whether the last write was taken.
    stores: Arc<AtomicBool>,
    committed: watch::Sender<u64>,
    meter: WriterMeter,
    outage: Option<Outage>,
}

/// The database does not take what it is given.
struct Outage {
    since: Instant,
    said: Instant,
    units: usize,
}

impl Writer {
    fn run(mut self, inbox: &Inbox) {
        let orders = &inbox.orders;
        let mut batch: Vec<Request> = Vec::new();
        let mut notes: Vec<Unit> = Vec::new();
        loop {
            let mut next = match self.next(orders) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut stop = false;
            let mut forget = None;
            let mut changes = Vec::new();
            while let Some(order) = next.take() {
                match order {
                    Order::Append(request) => batch.push(request),
                    Order::Keys(request) => changes.push(request),
                    Order::Note(entry) => {
                        inbox.notes.fetch_sub(1, Ordering::Relaxed);
                        notes.push(Unit { audit: Some(entry), ..Unit::default() });
                    }
                    Order::Forget(before) => forget = Some(before),
                    Order::PutQueue(queue, done) => {
                        // Whoever asked may have gone; it is kept all the same.
                        let _gone = done.send(self.journal.put_queue(&queue));
                    }
                    Order::Stop => stop = true,
                }
                if batch.len() + notes.len() + changes.len() < self.batch_max && !stop {
                    next = orders.try_recv().ok();
                }
            }
            if !batch.is_empty() || !notes.is_empty() {
                self.commit(std::mem::take(&mut batch), std::mem::take(&mut notes));
            }
            for request in changes {
                self.change_keys(*request);
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

    /// In an outage nobody may have anything to write for a long time; then it is found out here when it is over.
    fn next(&mut self, orders: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        if self.outage.is_none() {
            return orders.recv().map_err(|_| RecvTimeoutError::Disconnected);
        }
        let next = orders.recv_timeout(PROBE_AFTER);
        if matches!(next, Err(RecvTimeoutError::Timeout)) {
            match self.journal.probe() {
                Ok(()) => self.is_back(),
                Err(error) => self.failed(&error, 0),
            }
        }
        next
    }

    /// `notes`: units that nobody waits for.
    fn commit(&mut self, batch: Vec<Request>, mut notes: Vec<Unit>) {
        let (mut units, tickets): (Vec<Unit>, Vec<_>) =
            batch.into_iter().map(|r| (r.unit, (r.shard, r.id, r.token))).unzip();
        let noted = notes.len();
        units.append(&mut notes);
        let began = Instant::now();
        let results = self.append(&units);
        let lost = results.iter().rev().take(noted).filter(|result| result.is_err()).count();
        if lost > 0 {
            counter!("ordain_audit_entries_lost_total").increment(lost as u64);
        }
        let now = self.journal.last_event();
        self.committed.send_if_modified(|last| std::mem::replace(last, now) != now);
        let transitions = units.iter().map(|u| u.transitions.len()).sum();
        self.meter.committed(units.len(), transitions, began.elapsed());
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

    fn change_keys(&mut self, request: KeyRequest) {
        let KeyRequest { change, audit, reply } = request;
        let changed = self.journal.change_keys(&change, audit.as_ref());
        match &changed {
            Ok(true) => {
                self.is_back();
                self.keys.apply(&change);
            }
            Ok(false) => self.is_back(),
            Err(error) => self.failed(error, 0),
        }
        // Whoever went away meanwhile is not told.
        let _gone = reply.send(changed);
    }

    /// One result for each unit. A unit that breaks a batch is found by trying them one by one.
    fn append(&mut self, units: &[Unit]) -> Vec<Result<Verdict, StoreError>> {
        match self.journal.append(units) {
            Ok(verdicts) => {
                self.is_back();
                verdicts.into_iter().map(Ok).collect()
            }
            Err(StoreError::Refused(why)) if units.len() > 1 => {
                tracing::error!(%why, units = units.len(), "a batch was refused; its units are tried one by one");
                units.iter().map(|unit| self.append_one(unit)).collect()
            }
            Err(error) => {
                self.failed(&error, units.len());
                units.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Says so at once, and then every ten seconds: in an outage everyone tries again and again.
    fn failed(&mut self, error: &StoreError, units: usize) {
        if matches!(error, StoreError::NotOwner) {
            self.fence.lose();
        }
        self.stores.store(false, Ordering::Release);
        self.meter.failed();
        let now = Instant::now();
        let outage = self.outage.get_or_insert_with(|| {
            tracing::error!(%error, units, "a batch was not stored");
            Outage { since: now, said: now, units: 0 }
        });
        outage.units += units;
        if outage.said.elapsed() >= SAY_AGAIN_AFTER {
            outage.said = now;
            let seconds = outage.since.elapsed().as_secs();
            tracing::error!(%error, seconds, refused = outage.units, "the database still does not store");
        }
    }

    fn is_back(&mut self) {
        if let Some(outage) = self.outage.take() {
            self.stores.store(true, Ordering::Release);
            let ms = outage.since.elapsed().as_millis() as u64;
            tracing::warn!(ms, refused = outage.units, "the database stores again");
        }
    }

    fn append_one(&mut self, unit: &Unit) -> Result<Verdict, StoreError> {
        let verdicts = self.journal.append(std::slice::from_ref(unit))?;
        verdicts.into_iter().next().ok_or_else(|| StoreError::Corrupt("the journal gave no verdict".into()))
    }
}
