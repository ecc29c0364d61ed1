//! A journal that fails, and the orders that go on.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::FutureExt;
use ordain::access::KeyChange;
use ordain::model::Timestamp;
use ordain::runtime::{EngineError, Until};
use ordain::store::{AuditEntry, Journal, StoreError, StoredQueue, Unit, Verdict};
use ordain::workflows;
use serde_json::json;

use super::{ALL, Bench, does, id, start, until, willing};

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
