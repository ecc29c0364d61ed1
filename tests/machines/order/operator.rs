//! An operator's retry: from the step that failed, without doing again what is done.

use ordain::model::FailureKind;

use crate::scene::{CHARGE, DISPATCH, Scene};

#[test]
fn an_order_that_could_not_be_received_is_received_again() {
    let mut scene = Scene::placed();
    for _ in 0..2 {
        scene.fails("receive_order", FailureKind::Error);
        scene.wait_for_timer();
    }
    scene.fails("receive_order", FailureKind::Error);
    assert_eq!(scene.state(), "failed");
    assert_eq!(scene.retry(), Ok(true));
    assert!(scene.is_calling("receive_order"), "{:?}", scene.calls);
    assert_eq!(scene.ended().state(), "completed");
}

#[test]
fn an_order_that_failed_validation_is_validated_again() {
    let mut scene = Scene::placed().calling("validate_order");
    scene.fails("validate_order", FailureKind::Validation);
    assert_eq!((scene.state(), scene.store.count(&scene.id, "ActivityFailed")), ("failed", 1));
    assert_eq!(scene.retry(), Ok(true));
    assert_eq!(scene.call("validate_order").attempt, 2);
    assert_eq!(scene.retry(), Ok(false), "it goes on already");
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}

#[test]
fn a_declined_card_is_charged_anew_under_a_new_key() {
    let mut scene = Scene::placed().calling(CHARGE);
    let before = scene.call(CHARGE).idempotency_key;
    scene.refused(CHARGE);
    assert_eq!(scene.retry(), Ok(true));
    assert_eq!((scene.state(), scene.payment()), ("charging", "pending"));
    assert_ne!(scene.call(CHARGE).idempotency_key, before, "the old key is answered with the old refusal");
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}

#[test]
fn a_refunded_order_is_charged_anew_and_has_three_new_rounds_of_shipping() {
    let mut scene = Scene::placed();
    for _ in 0..3 {
        scene = scene.calling(DISPATCH);
        scene.refused(DISPATCH);
    }
    scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("failed", (1, 1, 0)));
    scene.retry().unwrap();
    assert_eq!(scene.state(), "charging");
    for round in 4..=5 {
        scene = scene.calling(DISPATCH);
        assert_eq!(scene.call(DISPATCH).workflow_id.as_str(), format!("o-1/shipping/{round}"));
        scene.refused(DISPATCH);
        assert_eq!(scene.state(), "shipping");
    }
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.payment(), scene.ledger()), ("completed", "charged", (2, 1, 1)));
}

#[test]
fn a_retried_order_has_its_whole_deadline_again() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.refused(CHARGE);
    scene.wait(3_600_000);
    scene.retry().unwrap();
    scene.wait(14_999);
    assert_eq!(scene.state(), "charging");
    scene.wait(1);
    assert_eq!(scene.state(), "compensating");
}

#[test]
fn a_result_of_the_life_before_changes_nothing_after_a_retry() {
    let mut scene = Scene::placed().calling(CHARGE);
    let before = scene.call(CHARGE);
    scene.refused(CHARGE);
    scene.retry().unwrap();
    assert_eq!(scene.deliver(&before, Ok(serde_json::json!({}))), Ok(false));
}

#[test]
fn what_has_not_failed_is_not_retried() {
    assert_eq!(Scene::placed().retry(), Err("not_retriable"));
    assert_eq!(Scene::placed().ended().retry(), Err("not_retriable"));
    let mut cancelled = Scene::placed();
    cancelled.cancel().unwrap();
    assert_eq!(cancelled.retry(), Err("not_retriable"));
    let mut timed_out = Scene::placed();
    timed_out.wait(15_000);
    assert_eq!(timed_out.retry(), Err("not_retriable"));
}

#[test]
fn a_retried_order_can_still_be_cancelled() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.refused(CHARGE);
    scene.retry().unwrap();
    assert_eq!(scene.cancel(), Ok(true));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("cancelled", (1, 1, 0)));
}

#[test]
fn a_pause_ends_with_the_order_and_does_not_hold_its_retry() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.pause().unwrap();
    scene.refused(CHARGE);
    assert_eq!((scene.state(), scene.resume()), ("failed", Err("already_ended")));
    scene.wait(60_000);
    assert_eq!(scene.retry(), Ok(true));
    assert!(scene.is_calling(CHARGE), "{:?}", scene.waits_for());
    assert_eq!(scene.ended().state(), "completed");
}
