//! Panics in activities and in workflows: none of them touches a neighbour.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::FutureExt;
use ordain::runtime::{Action, Caller, Command, EngineError, Until};
use ordain::workflows;
use serde_json::{Value, json};

use super::bomb::{self, Bomb};
use super::{Bench, document, does, id, signal, start, until, willing};

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
async fn an_actor_that_panics_is_rebuilt_from_sql_and_after_five_panics_it_is_stuck_until_retried() {
    let mut bench = Bench::new();
    // An actor that panicked is not let go between two panics: they are counted in it.
    bench.options.passivate_after_ms = 10;
    let mut registry = workflows::registry();
    registry.add::<Bomb>();
    let engine = bench.engine_on(bench.store(), registry, willing());
    let action = Action::Start { kind: "bomb", input: Value::Null, fingerprint: String::new() };
    engine
        .submit(Command { id: id("b-1"), group: "order", action, idempotency: None, by: Caller::default() })
        .await
        .unwrap();
    engine.submit(signal("b-1", "go")).await.unwrap();

    bomb::PANICS.store(true, Ordering::SeqCst);
    let crashed = engine.submit(signal("b-1", "go")).await;
    assert!(matches!(crashed, Err(EngineError::Crashed(_))), "{crashed:?}");
    bomb::PANICS.store(false, Ordering::SeqCst);
    // Rebuilt: what was durable is there, what panicked is not, and a neighbour never noticed.
    let after = document(&engine.submit(signal("b-1", "go")).await.unwrap());
    assert_eq!(after["taken"], 2);
    assert_eq!(after["live"]["restarts"], 1);

    bomb::PANICS.store(true, Ordering::SeqCst);
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
    bomb::PANICS.store(false, Ordering::SeqCst);
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
