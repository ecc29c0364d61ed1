//! Each call of the store fails once, in turn, in the whole life of an order: before it does anything, or after, its
//! answer lost. However it goes, the order completes, is charged once, and its history proves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use ordain::access::{Key as ApiKey, KeyChange, Owner};
use ordain::activities::{Activities, Activity};
use ordain::kernel::ActivityCall;
use ordain::model::{Failure, Key, OrderId, ResultRow, Timestamp, WorkflowId};
use ordain::runtime::{Action, Caller, Command, Engine, Options, QueueOptions, Until};
use ordain::store::{
    self, AuditEntry, AuditFilter, Due, EventsOf, Journal, KindFilter, KindPage, Location, OrderFilter, Page, Queries,
    QueueLoad, Store, StoreError, StoredAnswer, StoredAudit, StoredEvent, StoredFact, StoredPayment, StoredQueue,
    StoredWorkflow, Unit, Verdict,
};
use ordain::{verify, workflows};
use serde_json::{Value, json};

use super::support::{postgres, server};

/// Which call fails, and how.
#[derive(Default)]
struct Trap {
    calls: AtomicU64,
    /// The call of this number fails; 0: none.
    at: u64,
    /// It does what it should, and says that it is not known.
    after: bool,
    sprung: Mutex<Option<&'static str>>,
    /// No family can be read.
    families_fail: AtomicBool,
}

impl Trap {
    fn is_sprung(&self, name: &'static str) -> bool {
        let sprung = self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        if sprung {
            *self.sprung.lock().unwrap() = Some(name);
        }
        sprung
    }

    fn call<T>(&self, name: &'static str, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if !self.is_sprung(name) {
            return call();
        }
        if self.after {
            call()?;
            return Err(StoreError::OutcomeUnknown("planted".into()));
        }
        Err(StoreError::Unavailable("planted".into()))
    }
}

struct Trapped<T> {
    inner: T,
    trap: Arc<Trap>,
}

impl Journal for Trapped<Box<dyn Journal>> {
    fn append(&mut self, units: &[Unit]) -> Result<Vec<Verdict>, StoreError> {
        self.trap.call("append", || self.inner.append(units))
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.trap.call("probe", || self.inner.probe())
    }

    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        self.trap.call("forget_answers", || self.inner.forget_answers(before))
    }

    fn last_event(&self) -> u64 {
        self.inner.last_event()
    }

    fn change_keys(&mut self, change: &KeyChange, audit: Option<&AuditEntry>) -> Result<bool, StoreError> {
        self.trap.call("change_keys", || self.inner.change_keys(change, audit))
    }

    fn put_queue(&mut self, queue: &StoredQueue) -> Result<(), StoreError> {
        self.trap.call("put_queue", || self.inner.put_queue(queue))
    }
}

/// A read that fails, and passes the others on.
macro_rules! reads {
    ($(fn $name:ident(&self $(, $arg:ident: $kind:ty)*) -> $out:ty;)*) => {
        impl Queries for Trapped<Arc<dyn Queries>> {
            $(fn $name(&self $(, $arg: $kind)*) -> Result<$out, StoreError> {
                let name = stringify!($name);
                let fails = name == "family" && self.trap.families_fail.load(Ordering::SeqCst);
                if self.trap.is_sprung(name) || fails {
                    return Err(StoreError::Unavailable("planted".into()));
                }
                self.inner.$name($($arg),*)
            })*
        }
    };
}

reads! {
    fn ping(&self) -> ();
    fn family(&self, root: &WorkflowId) -> Vec<StoredWorkflow>;
    fn families(&self, roots: &[WorkflowId]) -> Vec<Vec<StoredWorkflow>>;
    fn workflow(&self, id: &WorkflowId) -> Option<StoredWorkflow>;
    fn history(&self, id: &WorkflowId, after: u64, limit: usize) -> Option<Vec<StoredFact>>;
    fn events(&self, of: &EventsOf, after: u64, transitions_max: usize) -> Vec<StoredEvent>;
    fn orders(&self, filter: &OrderFilter) -> Page;
    fn of_kinds(&self, filter: &KindFilter) -> KindPage;
    fn stats_of(&self, owner: &str) -> BTreeMap<String, BTreeMap<String, i64>>;
    fn owner(&self, id: &WorkflowId) -> Option<Option<Owner>>;
    fn keys(&self) -> Vec<ApiKey>;
    fn key_counts(&self) -> (i64, i64);
    fn audit(&self, filter: &AuditFilter) -> Vec<StoredAudit>;
    fn stats(&self) -> BTreeMap<String, BTreeMap<String, i64>>;
    fn due(&self, after: (Timestamp, Key), until: Timestamp, limit: usize) -> Vec<Due>;
    fn next_due(&self, after: Timestamp) -> Option<Timestamp>;
    fn answer(&self, key: &str) -> Option<StoredAnswer>;
    fn results(&self, root: &WorkflowId, after: &str, limit: usize) -> Option<Vec<ResultRow>>;
    fn payment(&self, order: &WorkflowId) -> Option<StoredPayment>;
    fn queues(&self) -> Vec<StoredQueue>;
    fn secret(&self) -> String;
    fn outstanding(&self) -> Vec<QueueLoad>;
    fn scan(&self, after: Key, limit: usize) -> Vec<StoredWorkflow>;
}

/// The outside world: which idempotency keys each activity was done under.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Activity for Ledger {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        self.0.lock().unwrap().insert((call.activity.to_string(), call.idempotency_key));
        async { Ok(json!({})) }.boxed_local()
    }
}

impl Ledger {
    fn count(&self, activity: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|(name, _)| name == activity).count()
    }
}

const ACTIVITIES: [&str; 6] =
    ["receive_order", "validate_order", "charge_payment", "refund_payment", "prepare_package", "dispatch_carrier"];

fn command(order: &str, action: Action) -> Command {
    let id = OrderId::parse(order).unwrap().workflow();
    Command { id, group: "order", action, idempotency: None, by: Caller::default() }
}

fn start(order: &str, review: &str) -> Action {
    let input = json!({
        "order_id": order, "payment_id": format!("pay-{order}"), "amount": "49.90", "currency": "USD",
        "review": {"mode": review, "auto_ms": 0}, "fingerprint": "f",
    });
    Action::Start { kind: "order", input, fingerprint: "f".to_owned() }
}

/// As any client does: it asks again until it is told.
async fn told(engine: &Engine, action: impl Fn() -> Action) {
    let mut refused = String::new();
    for _ in 0..50 {
        match engine.submit(command("o-1", action())).await {
            Ok(_) => return,
            Err(error) => refused = error.to_string(),
        }
        actix_rt::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is refused again and again: {refused}");
}

async fn reaches(engine: &Engine, until: impl Fn() -> Until) -> Value {
    order_reaches(engine, "o-1", until).await
}

async fn order_reaches(engine: &Engine, order: &str, until: impl Fn() -> Until) -> Value {
    let id = OrderId::parse(order).unwrap().workflow();
    for _ in 0..50 {
        if let Ok(text) = engine.status(&id, Some((until(), Duration::from_secs(5)))).await {
            return serde_json::from_str(&text).unwrap();
        }
        actix_rt::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("its state is not told");
}

/// A whole life on a database of its own, with one call that fails. How many calls there were.
async fn live(store: Store, trap: Trap) -> u64 {
    let trap = Arc::new(trap);
    let mut store = store;
    let truth = Arc::clone(&store.queries);
    store.journal = Box::new(Trapped { inner: store.journal, trap: Arc::clone(&trap) });
    store.queries = Arc::new(Trapped { inner: store.queries, trap: Arc::clone(&trap) });
    let ledger = Ledger::default();
    let mut activities = Activities::default();
    for name in ACTIVITIES {
        activities.add(name, Arc::new(ledger.clone()));
    }
    let options = Options { shards: 1, passivate_after_ms: 20, ..Options::default() };
    let engine = Engine::start(options, workflows::registry(), activities, store).unwrap();
    let start = || start("o-1", "manual");
    told(&engine, start).await;
    let review = reaches(&engine, || Until::State("in_review".into())).await;
    assert_eq!(review["state"], "in_review", "{review}");
    // Let go, so that it must be read again.
    actix_rt::time::sleep(Duration::from_millis(60)).await;
    let signal = |name: &'static str, payload: Value| Action::Signal { name: name.into(), payload };
    told(&engine, || signal("update_address", json!({"address": "2 Side Street"}))).await;
    told(&engine, || signal("approve", Value::Null)).await;
    let done = reaches(&engine, || Until::Terminal).await;
    let sprung = *trap.sprung.lock().unwrap();
    let story = format!("call {} ({sprung:?}) failed, after its effect: {}", trap.at, trap.after);
    assert_eq!(done["state"], "completed", "{story}: {done}");
    assert_eq!(done["address"], "2 Side Street", "{story}");
    assert_eq!((ledger.count("charge_payment"), ledger.count("dispatch_carrier")), (1, 1), "{story}");
    assert_eq!(ledger.count("refund_payment"), 0, "{story}");
    engine.drain(Duration::from_secs(5)).await;
    let report = verify::verify(truth.as_ref(), &workflows::registry()).unwrap();
    assert!(report.is_clean() && report.workflows == 2, "{story}: {:?}", report.listed);
    trap.calls.load(Ordering::SeqCst)
}

#[actix_rt::test]
async fn each_call_of_the_store_fails_once_and_the_order_completes_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = server::on_postgres().then(postgres::cluster);
    if matches!(cluster, Some(None)) {
        return;
    }
    let open = |n: u64| match &cluster {
        Some(Some(cluster)) => store::open(&Location::parse(&cluster.database()).unwrap(), 2).unwrap(),
        _ => store::open(&Location::Sqlite(folder.path().join(format!("{n}.db"))), 2).unwrap(),
    };
    let calls = live(open(0), Trap::default()).await;
    assert!(calls > 9, "only {calls} calls");
    let mut lives = 0;
    for after in [false, true] {
        // A call may fall out of count where time decides on it; the last ones are tried all the same.
        for at in 1..=calls {
            let trap = Trap { at, after, ..Trap::default() };
            live(open(at + if after { 1_000 } else { 0 }), trap).await;
            lives += 1;
        }
    }
    println!("{lives} lives, {calls} calls of the store in one");
}

/// Does nothing until it may.
struct Held(Arc<tokio::sync::Semaphore>);

impl Activity for Held {
    fn call(&self, _: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let may = Arc::clone(&self.0);
        async move {
            let _may = may.acquire().await;
            Ok(json!({}))
        }
        .boxed_local()
    }
}

/// An order whose call waits beyond the queue's window is let go, and is brought back for nothing but this call.
#[actix_rt::test]
async fn an_order_that_cannot_be_read_when_its_call_has_its_turn_makes_it_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store::open(&Location::Sqlite(folder.path().join("ordain.db")), 2).unwrap();
    let trap = Arc::new(Trap::default());
    let truth = Arc::clone(&store.queries);
    store.queries = Arc::new(Trapped { inner: store.queries, trap: Arc::clone(&trap) });
    let may = Arc::new(tokio::sync::Semaphore::new(0));
    let mut activities = Activities::default();
    for name in ACTIVITIES {
        activities.add(name, Arc::new(Ledger::default()));
    }
    activities.add("prepare_package", Arc::new(Held(Arc::clone(&may))));
    let mut options = Options { shards: 1, passivate_after_ms: 20, ..Options::default() };
    options.queues.insert("shipping".into(), QueueOptions { concurrency: 1, window: 2, ..QueueOptions::default() });
    let engine = Engine::start(options, workflows::registry(), activities, store).unwrap();
    let orders: Vec<String> = (0..8).map(|n| format!("o-{n}")).collect();
    for order in &orders {
        engine.submit(command(order, start(order, "auto"))).await.unwrap();
        order_reaches(&engine, order, || Until::State("shipping".into())).await;
    }
    // Those beyond are let go.
    actix_rt::time::sleep(Duration::from_millis(200)).await;
    trap.families_fail.store(true, Ordering::SeqCst);
    may.add_permits(1_000);
    actix_rt::time::sleep(Duration::from_millis(300)).await;
    trap.families_fail.store(false, Ordering::SeqCst);
    // Nobody asks for them in between: that alone would bring them back.
    let completed = || truth.stats().unwrap()["order"].get("completed").copied().unwrap_or_default();
    for _ in 0..100 {
        if completed() == orders.len() as i64 {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(completed(), orders.len() as i64, "some never made their call");
    engine.drain(Duration::from_secs(5)).await;
}
