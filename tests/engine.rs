//! The engine over a real SQLite file: supervision, passivation, recovery, faults of the store. Through the library,
//! so that panics and faults can be planted.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use ordain::access::KeyChange;
use ordain::activities::{Activities, Activity};
use ordain::kernel::{ActivityCall, Registry};
use ordain::model::{Failure, OrderId, Timestamp, WorkflowId};
use ordain::runtime::{Action, Answer, Caller, Command, Engine, EngineError, IdempotencyKey, Options, Until};
use ordain::store::{self, AuditEntry, Journal, Location, Store, StoreError, StoredQueue, Unit, Verdict};
use ordain::workflows;
use serde_json::{Value, json};

/// Does what its closure says.
struct Does<F>(F);

impl<F: Fn(ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> + Send + Sync> Activity for Does<F> {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        (self.0)(call)
    }
}

fn does(
    f: impl Fn(ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> + Send + Sync + 'static,
) -> Arc<dyn Activity> {
    Arc::new(Does(f))
}

const ALL: [&str; 6] =
    ["receive_order", "validate_order", "charge_payment", "refund_payment", "prepare_package", "dispatch_carrier"];

/// Every activity is done at once.
fn willing() -> Activities {
    let mut activities = Activities::default();
    for name in ALL {
        activities.add(name, does(|_| async { Ok(json!({})) }.boxed_local()));
    }
    activities
}

struct Bench {
    folder: tempfile::TempDir,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        let options = Options { shards: 2, passivate_after_ms: 50, ..Options::default() };
        Self { folder: tempfile::tempdir().unwrap(), options }
    }

    fn store(&self) -> Store {
        store::open(&Location::Sqlite(self.folder.path().join("o.db")), 2).unwrap()
    }

    fn engine(&self, activities: Activities) -> Engine {
        self.engine_on(self.store(), workflows::registry(), activities)
    }

    fn engine_on(&self, store: Store, registry: Registry, activities: Activities) -> Engine {
        Engine::start(self.options.clone(), registry, activities, store).unwrap()
    }
}

fn id(text: &str) -> WorkflowId {
    OrderId::parse(text).unwrap().workflow()
}

fn start(order: &str, more: Value) -> Command {
    let mut input = json!({
        "order_id": order, "payment_id": format!("pay-{order}"), "amount": "49.90", "currency": "USD",
        "review": {"mode": "auto", "auto_ms": 0}, "fingerprint": "f",
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fingerprint = input["fingerprint"].as_str().unwrap().to_owned();
    Command {
        id: id(order),
        group: "order",
        action: Action::Start { kind: "order", input, fingerprint },
        idempotency: None,
        by: Caller::default(),
    }
}

fn signal(order: &str, name: &'static str) -> Command {
    Command {
        id: id(order),
        group: "order",
        action: Action::Signal { name: name.into(), payload: Value::Null },
        idempotency: None,
        by: Caller::default(),
    }
}

async fn until(engine: &Engine, order: &str, state: Until) -> Value {
    let text = engine.status(&id(order), Some((state, Duration::from_secs(10)))).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn status(engine: &Engine, order: &str) -> Value {
    serde_json::from_str(&engine.status(&id(order), None).await.unwrap()).unwrap()
}

fn document(answer: &Answer) -> Value {
    serde_json::from_str(&answer.document).unwrap()
}

const MANUAL: &str = r#"{"review": {"mode": "manual", "auto_ms": 0}}"#;

fn manual() -> Value {
    serde_json::from_str(MANUAL).unwrap()
}

#[actix_rt::test]
async fn an_order_goes_all_the_way_and_its_history_has_no_gap() {
    let bench = Bench::new();
    let engine = bench.engine(willing());
    let answer = engine.submit(start("o-1", json!({}))).await.unwrap();
    assert!(answer.changed);
    assert_eq!(document(&answer)["state"], "received");
    let done = until(&engine, "o-1", Until::Terminal).await;
    assert_eq!(done["state"], "completed");
    assert_eq!(done["payment"]["status"], "charged");
    assert_eq!(done["shipping"]["state"], "dispatched");
    let facts = engine.read(|q| q.history(&id("o-1"), 0, 100)).await.unwrap().unwrap();
    assert_eq!(facts.iter().map(|f| f.seq).collect::<Vec<_>>(), (1..=facts.len() as u64).collect::<Vec<_>>());
    assert_eq!(facts.last().unwrap().fact.kind, "OrderCompleted");
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn a_start_sent_again_is_the_same_order_and_another_content_is_refused() {
    let bench = Bench::new();
    let engine = bench.engine(willing());
    engine.submit(start("o-1", manual())).await.unwrap();
    until(&engine, "o-1", Until::State("in_review".into())).await;
    let again = engine.submit(start("o-1", manual())).await.unwrap();
    assert!(!again.changed);
    let other = engine.submit(start("o-1", json!({"fingerprint": "g"}))).await;
    assert!(matches!(other, Err(EngineError::Rejected(r)) if r.code == "order_exists"));
    let taken = engine.submit(start("o-2", json!({"payment_id": "pay-o-1"}))).await;
    assert!(matches!(taken, Err(EngineError::PaymentInUse(p)) if p.as_str() == "pay-o-1"));
    assert!(matches!(engine.status(&id("o-2"), None).await, Err(EngineError::NotFound)));
    // A repetition is recognised also when the order's actor has gone.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(status(&engine, "o-1").await["live"]["actor"], "passivated");
    assert!(!engine.submit(start("o-1", manual())).await.unwrap().changed);
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn an_idempotency_key_gives_the_first_answer_again() {
    let bench = Bench::new();
    let engine = bench.engine(willing());
    let keyed = |mut command: Command, fingerprint: &str| {
        command.idempotency = Some(IdempotencyKey { key: "k".into(), fingerprint: fingerprint.into() });
        command
    };
    let first = engine.submit(keyed(start("o-1", manual()), "a")).await.unwrap();
    until(&engine, "o-1", Until::State("in_review".into())).await;
    assert_eq!(engine.submit(keyed(start("o-1", manual()), "a")).await.unwrap(), first);
    let other = engine.submit(keyed(signal("o-1", "approve"), "b")).await;
    assert!(matches!(other, Err(EngineError::KeyReused)));
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn a_waiting_order_is_passivated_and_comes_back_for_a_signal() {
    let bench = Bench::new();
    let engine = bench.engine(willing());
    engine.submit(start("o-1", manual())).await.unwrap();
    until(&engine, "o-1", Until::State("in_review".into())).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let parked = status(&engine, "o-1").await;
    assert_eq!(parked["live"]["actor"], "passivated");
    assert_eq!(parked["live"]["waiting_for"][0]["name"], "approve");
    engine.submit(signal("o-1", "approve")).await.unwrap();
    assert_eq!(until(&engine, "o-1", Until::Terminal).await["state"], "completed");
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn timers_fire_after_a_restart_also_when_they_were_due_in_between() {
    let bench = Bench::new();
    let engine = bench.engine(willing());
    let review = json!({"review": {"mode": "auto", "auto_ms": 700}});
    engine.submit(start("o-1", review)).await.unwrap();
    until(&engine, "o-1", Until::State("in_review".into())).await;
    engine.drain(Duration::from_secs(5)).await;
    drop(engine);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let engine = bench.engine(willing());
    assert_eq!(until(&engine, "o-1", Until::Terminal).await["state"], "completed");
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn a_call_that_was_under_way_is_made_again_with_its_key_after_a_restart() {
    let bench = Bench::new();
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let hanging = {
        let (mut activities, keys) = (willing(), Arc::clone(&keys));
        activities.add(
            "charge_payment",
            does(move |call| {
                keys.lock().unwrap().push(call.idempotency_key);
                std::future::pending().boxed_local()
            }),
        );
        activities
    };
    let engine = bench.engine(hanging);
    engine.submit(start("o-1", json!({}))).await.unwrap();
    until(&engine, "o-1", Until::State("charging".into())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    engine.drain(Duration::from_millis(50)).await;
    drop(engine);
    let willing_again = {
        let (mut activities, keys) = (willing(), Arc::clone(&keys));
        activities.add(
            "charge_payment",
            does(move |call| {
                keys.lock().unwrap().push(call.idempotency_key);
                async { Ok(json!({"charge_ref": "c"})) }.boxed_local()
            }),
        );
        activities
    };
    let engine = bench.engine(willing_again);
    let done = until(&engine, "o-1", Until::Terminal).await;
    assert_eq!((done["state"].as_str(), done["attempts"]["charge_payment"].as_u64()), (Some("completed"), Some(1)));
    let keys = keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn a_panic_in_an_activity_is_a_failed_attempt_like_another() {
    let bench = Bench::new();
    let calls = Arc::new(AtomicU32::new(0));
    let mut activities = willing();
    activities.add(
        "prepare_package",
        does(move |_| {
            assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "planted");
            async { Ok(json!({})) }.boxed_local()
        }),
    );
    let engine = bench.engine(activities);
    engine.submit(start("o-1", json!({}))).await.unwrap();
    let done = until(&engine, "o-1", Until::Terminal).await;
    assert_eq!(done["state"], "completed");
    assert_eq!(done["attempts"]["prepare_package"], 2);
    assert_eq!(done["last_error"]["kind"], "panic");
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn an_activity_that_always_panics_touches_no_neighbour_and_its_order_ends_refunded_by_its_deadline() {
    let bench = Bench::new();
    let mut activities = willing();
    activities.add(
        "prepare_package",
        does(|call| {
            assert!(!call.workflow_id.as_str().starts_with("bad"), "planted");
            async { Ok(json!({})) }.boxed_local()
        }),
    );
    let engine = bench.engine(activities);
    engine.submit(start("bad", json!({"deadline_ms": 1_500}))).await.unwrap();
    for n in 0..20 {
        engine.submit(start(&format!("o-{n}"), json!({}))).await.unwrap();
    }
    for n in 0..20 {
        let neighbour = until(&engine, &format!("o-{n}"), Until::Terminal).await;
        assert_eq!((&neighbour["state"], &neighbour["live"]["restarts"]), (&json!("completed"), &json!(0)));
    }
    let bad = until(&engine, "bad", Until::Terminal).await;
    assert_eq!((&bad["state"], &bad["payment"]["status"]), (&json!("timed_out"), &json!("refunded")), "{bad}");
    assert_eq!(bad["last_error"]["kind"], "panic", "{bad}");
    assert!(bad["attempts"]["prepare_package"].as_u64() > Some(1), "{bad}");
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn a_hung_shipping_queue_does_not_slow_the_charges() {
    let mut bench = Bench::new();
    let few = ordain::runtime::QueueOptions { concurrency: 4, window: 8, ..Default::default() };
    bench.options.queues.insert("shipping".into(), few);
    let mut activities = willing();
    activities.add("prepare_package", does(|_| std::future::pending().boxed_local()));
    let engine = bench.engine(activities);
    for n in 0..200 {
        engine.submit(start(&format!("o-{n}"), json!({}))).await.unwrap();
    }
    for n in 0..200 {
        let shown = until(&engine, &format!("o-{n}"), Until::State("shipping".into())).await;
        assert_eq!(shown["payment"]["status"], "charged");
    }
    // What finds no place in the queue's window waits in SQL, not in memory.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut parked = 0;
    for n in 0..200 {
        let shown = status(&engine, &format!("o-{n}")).await;
        parked += usize::from(shown["live"]["actor"] == "passivated");
    }
    assert!(parked > 150, "{parked} of 200 are passivated");
    engine.drain(Duration::from_millis(50)).await;
}

#[actix_rt::test]
async fn what_waited_beyond_the_window_is_done_in_the_end() {
    let mut bench = Bench::new();
    let few = ordain::runtime::QueueOptions { concurrency: 2, window: 4, ..Default::default() };
    bench.options.queues.insert("shipping".into(), few);
    let mut activities = willing();
    let slow = |_| {
        async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok(json!({}))
        }
        .boxed_local()
    };
    activities.add("prepare_package", does(slow)).add("dispatch_carrier", does(slow));
    let engine = bench.engine(activities);
    for n in 0..300 {
        engine.submit(start(&format!("o-{n}"), json!({}))).await.unwrap();
    }
    for n in 0..300 {
        assert_eq!(until(&engine, &format!("o-{n}"), Until::Terminal).await["state"], "completed");
    }
    engine.drain(Duration::from_secs(5)).await;
}

/// A journal that fails as it is told.
struct Faulty {
    inner: Box<dyn Journal>,
    fail: Arc<Mutex<Vec<Fault>>>,
    appends: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Unavailable,
    /// Stored, and yet the answer is lost.
    LostAnswer,
}

impl Journal for Faulty {
    fn append(&mut self, units: &[Unit]) -> Result<Vec<Verdict>, StoreError> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        let fault = self.fail.lock().unwrap().pop();
        match fault {
            None => self.inner.append(units),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("planted".into())),
            Some(Fault::LostAnswer) => {
                self.inner.append(units)?;
                Err(StoreError::OutcomeUnknown("planted".into()))
            }
        }
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.inner.probe()
    }

    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        self.inner.forget_answers(before)
    }

    fn change_keys(&mut self, change: &KeyChange, entry: Option<&AuditEntry>) -> Result<bool, StoreError> {
        self.inner.change_keys(change, entry)
    }

    fn last_event(&self) -> u64 {
        self.inner.last_event()
    }

    fn put_queue(&mut self, queue: &StoredQueue) -> Result<(), StoreError> {
        self.inner.put_queue(queue)
    }
}

#[actix_rt::test]
async fn each_commit_of_an_orders_life_may_fail_once_and_the_order_ends_all_the_same() {
    for fault in [Fault::Unavailable, Fault::LostAnswer] {
        for skip in 0..6 {
            let bench = Bench::new();
            let (fail, appends): (Arc<Mutex<Vec<Fault>>>, Arc<AtomicUsize>) = Default::default();
            let charges = Arc::new(AtomicU32::new(0));
            let mut store = bench.store();
            store.journal = Box::new(Faulty { inner: store.journal, fail: fail.clone(), appends: appends.clone() });
            let mut activities = willing();
            let (planted, seen) = (Arc::clone(&fail), Arc::clone(&charges));
            // The commit after the start's fails at once for skip 0, later ones as their call is made.
            let name = ALL.iter().filter(|name| **name != "refund_payment").nth(skip.min(4)).unwrap();
            if skip == 5 {
                fail.lock().unwrap().push(fault);
            } else {
                activities.add(
                    *name,
                    does(move |_| {
                        if seen.fetch_add(1, Ordering::Relaxed) == 0 {
                            planted.lock().unwrap().push(fault);
                        }
                        async { Ok(json!({})) }.boxed_local()
                    }),
                );
            }
            let engine = bench.engine_on(store, workflows::registry(), activities);
            let mut answer = engine.submit(start("o-1", json!({}))).await;
            if matches!(answer, Err(EngineError::Store(StoreError::Unavailable(_)))) {
                answer = engine.submit(start("o-1", json!({}))).await;
            }
            answer.unwrap();
            let done = until(&engine, "o-1", Until::Terminal).await;
            assert_eq!(done["state"], "completed", "{fault:?} at {name}");
            assert!(appends.load(Ordering::Relaxed) >= 6);
            engine.drain(Duration::from_secs(5)).await;
        }
    }
}

#[actix_rt::test]
async fn whoever_waits_is_told_also_when_the_answer_of_the_last_commit_was_lost() {
    let bench = Bench::new();
    let (fail, appends): (Arc<Mutex<Vec<Fault>>>, Arc<AtomicUsize>) = Default::default();
    let mut store = bench.store();
    store.journal = Box::new(Faulty { inner: store.journal, fail: fail.clone(), appends });
    let mut activities = willing();
    activities.add(
        "dispatch_carrier",
        does(move |_| {
            fail.lock().unwrap().push(Fault::LostAnswer);
            async { Ok(json!({})) }.boxed_local()
        }),
    );
    let engine = bench.engine_on(store, workflows::registry(), activities);
    engine.submit(start("o-1", json!({}))).await.unwrap();
    let id = id("o-1");
    let told = engine.status(&id, Some((Until::Terminal, Duration::from_secs(3_600))));
    let told = tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told").unwrap();
    assert!(told.contains("\"completed\""));
    engine.drain(Duration::from_secs(5)).await;
}

mod planted {
    //! A workflow whose code panics while the switch is on.

    use std::sync::atomic::{AtomicBool, Ordering};

    use ordain::kernel::{Core, Document, Live, Machine, Rejection, Stimulus, View, Wish, Workflow};
    use ordain::model::{Timestamp, WorkflowId};
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    pub static PANICS: AtomicBool = AtomicBool::new(false);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Bomb {
        pub taken: u32,
        done: bool,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    pub enum Event {
        Planted {},
        Taken {},
        Done {},
    }

    impl Workflow for Bomb {
        const KIND: &'static str = "bomb";
        const GROUP: &'static str = "order";
        type Event = Event;

        fn start(_: &WorkflowId, _: &Value, _: Timestamp) -> Result<Event, Rejection> {
            Ok(Event::Planted {})
        }

        fn born(_: &Event, _: Timestamp) -> Option<Self> {
            Some(Self { taken: 0, done: false })
        }

        fn decide(&self, stimulus: &Stimulus<'_>, _: &View<'_>) -> Result<Vec<Event>, Rejection> {
            Ok(match stimulus {
                Stimulus::Signal { name: "go", .. } => {
                    assert!(!PANICS.load(Ordering::SeqCst), "planted");
                    vec![Event::Taken {}]
                }
                Stimulus::Signal { name: "end", .. } => vec![Event::Done {}],
                _ => Vec::new(),
            })
        }

        fn advance(&self, _: &View<'_>) -> Option<Event> {
            None
        }

        fn evolve(&mut self, event: &Event, _: Timestamp) {
            match event {
                Event::Planted {} => {}
                Event::Taken {} => self.taken += 1,
                Event::Done {} => self.done = true,
            }
        }

        fn wishes(&self) -> Vec<Wish> {
            if self.done { Vec::new() } else { vec![Wish::Signal { name: "go" }] }
        }

        fn activity_input(&self, _: &str) -> Value {
            Value::Null
        }

        fn state_name(&self) -> &'static str {
            if self.done { "done" } else { "armed" }
        }

        fn is_terminal(&self) -> bool {
            self.done
        }

        fn document(&self, core: &Core, _: &[&dyn Machine], live: Option<&Live>) -> serde_json::Result<Document> {
            let all = json!({ "id": core.id, "taken": self.taken, "seq": core.seq, "stuck": core.stuck, "live": live });
            serde_json::value::to_raw_value(&all)
        }
    }
}

#[actix_rt::test]
async fn an_actor_that_panics_is_rebuilt_from_sql_and_after_five_panics_it_is_stuck_until_retried() {
    let mut bench = Bench::new();
    // An actor that panicked is not let go between two panics: they are counted in it.
    bench.options.passivate_after_ms = 10;
    let mut registry = workflows::registry();
    registry.add::<planted::Bomb>();
    let engine = bench.engine_on(bench.store(), registry, willing());
    let action = Action::Start { kind: "bomb", input: Value::Null, fingerprint: String::new() };
    engine
        .submit(Command { id: id("b-1"), group: "order", action, idempotency: None, by: Caller::default() })
        .await
        .unwrap();
    engine.submit(signal("b-1", "go")).await.unwrap();

    planted::PANICS.store(true, Ordering::SeqCst);
    let crashed = engine.submit(signal("b-1", "go")).await;
    assert!(matches!(crashed, Err(EngineError::Crashed(_))), "{crashed:?}");
    planted::PANICS.store(false, Ordering::SeqCst);
    // Rebuilt: what was durable is there, what panicked is not, and a neighbour never noticed.
    let after = document(&engine.submit(signal("b-1", "go")).await.unwrap());
    assert_eq!(after["taken"], 2);
    assert_eq!(after["live"]["restarts"], 1);

    planted::PANICS.store(true, Ordering::SeqCst);
    for n in 0..5 {
        let crashed = engine.submit(signal("b-1", "go")).await;
        assert!(matches!(crashed, Err(EngineError::Crashed(_))), "{crashed:?}");
        engine.submit(start(&format!("n-{n}"), json!({}))).await.unwrap();
        actix_rt::time::sleep(Duration::from_millis(60)).await;
    }
    let stuck = until(&engine, "b-1", Until::State("stuck".into())).await;
    assert!(stuck["stuck"].as_str().unwrap().contains("planted"));
    for n in 0..5 {
        let neighbour = until(&engine, &format!("n-{n}"), Until::Terminal).await;
        assert_eq!((&neighbour["state"], &neighbour["live"]["restarts"]), (&json!("completed"), &json!(0)));
    }
    planted::PANICS.store(false, Ordering::SeqCst);
    engine
        .submit(Command {
            id: id("b-1"),
            group: "order",
            action: Action::Retry,
            idempotency: None,
            by: Caller::default(),
        })
        .await
        .unwrap();
    assert_eq!(document(&engine.submit(signal("b-1", "go")).await.unwrap())["taken"], 3);
    engine.drain(Duration::from_secs(5)).await;
}

#[actix_rt::test]
async fn more_than_the_limit_of_live_orders_is_refused_with_overloaded() {
    let mut bench = Bench::new();
    bench.options.live_max = 10;
    let mut activities = willing();
    activities.add("charge_payment", does(|_| std::future::pending().boxed_local()));
    let engine = bench.engine(activities);
    let mut refused = 0;
    for n in 0..30 {
        match engine.submit(start(&format!("o-{n}"), json!({}))).await {
            Ok(_) => {}
            Err(EngineError::Overloaded { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 20);
    engine.drain(Duration::from_millis(50)).await;
}
