//! The engine over a real SQLite file: supervision, passivation, recovery, faults of the store. Through the library,
//! so that panics and faults can be planted.

mod bomb;
mod faults;
mod panics;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use ordain::activities::{Activities, Activity};
use ordain::kernel::{ActivityCall, Registry};
use ordain::model::{Failure, OrderId, WorkflowId};
use ordain::runtime::{Action, Answer, Caller, Command, Engine, EngineError, IdempotencyKey, Options, Until};
use ordain::store::{self, Location, Store};
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
