//! Money: declined, in doubt, refunded until it is done.

use ordain::model::{Failure, FailureKind};
use serde_json::json;

use crate::scene::{CHARGE, PREPARE, REFUND, Scene};

#[test]
fn a_declined_card_is_not_asked_again() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.refused(CHARGE);
    assert_eq!((scene.state(), scene.payment(), scene.ledger()), ("failed", "failed", (0, 0, 0)));
    assert_eq!(scene.calls.len(), 0);
}

#[test]
fn a_charge_that_errs_three_times_fails_the_order() {
    let mut scene = Scene::placed().calling(CHARGE);
    for _ in 0..2 {
        scene.fails(CHARGE, FailureKind::Error);
        scene.wait_for_timer();
    }
    scene.fails(CHARGE, FailureKind::Error);
    assert_eq!((scene.state(), scene.ledger()), ("failed", (0, 0, 0)));
}

#[test]
fn an_unknown_outcome_is_asked_again_with_the_same_key_until_it_is_known() {
    let mut scene = Scene::placed().calling(CHARGE);
    let key = scene.call(CHARGE).idempotency_key;
    scene.happens_but(CHARGE, FailureKind::Timeout);
    assert_eq!(scene.payment(), "unknown");
    for kind in [FailureKind::Error, FailureKind::Error, FailureKind::Error, FailureKind::UnknownOutcome] {
        scene.wait_for_timer();
        let call = scene.call(CHARGE);
        assert_eq!(call.idempotency_key, key);
        scene.fails(CHARGE, kind);
    }
    assert_eq!(scene.count("PaymentOutcomeUnknown"), 1);
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}

#[test]
fn a_charge_in_doubt_at_the_deadline_is_found_out_and_refunded() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.happens_but(CHARGE, FailureKind::Timeout);
    while scene.state() == "charging" {
        scene.wait_for_timer();
        if scene.is_calling(CHARGE) {
            scene.fails(CHARGE, FailureKind::Timeout);
        }
    }
    assert_eq!((scene.state(), scene.now), ("compensating", 15_000));
    for _ in 0..20 {
        scene.wait_for_timer();
        scene.fails(CHARGE, FailureKind::Unreachable);
    }
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.payment(), scene.ledger()), ("timed_out", "refunded", (1, 1, 0)));
}

#[test]
fn a_refund_is_retried_until_it_is_done_whatever_the_answer() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.cancel().unwrap();
    let key = scene.call(REFUND).idempotency_key;
    let kinds = [FailureKind::Refused, FailureKind::Validation, FailureKind::Error, FailureKind::Unreachable];
    for kind in kinds.into_iter().cycle().take(40) {
        scene.fails(REFUND, kind);
        assert_eq!(scene.state(), "compensating");
        scene.wait_for_timer();
        assert_eq!(scene.call(REFUND).idempotency_key, key);
    }
    assert!(scene.now > 15_000, "compensation may run past the deadline");
    scene.happens_but(REFUND, FailureKind::Timeout);
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("cancelled", (1, 1, 0)));
}

#[test]
fn a_retry_after_is_obeyed() {
    let mut scene = Scene::placed().calling(CHARGE);
    let call = scene.call(CHARGE);
    scene.calls.clear();
    let wait = Failure { retry_after_ms: Some(4_000), ..Failure::new(FailureKind::RateLimited, "slowly") };
    scene.deliver(&call, Err(wait)).unwrap();
    assert_eq!(scene.next_timer(), Some(scene.now + 4_000));
}

#[test]
fn results_that_are_late_or_repeated_change_nothing() {
    let mut scene = Scene::placed().calling(CHARGE);
    let first = scene.call(CHARGE);
    scene.fails(CHARGE, FailureKind::Timeout);
    let seq = scene.seq();
    assert_eq!(scene.deliver(&first, Ok(json!({}))), Ok(false), "its attempt is over");
    scene.wait_for_timer();
    assert_eq!(scene.deliver(&first, Err(Failure::new(FailureKind::Refused, "late"))), Ok(false));
    let second = scene.call(CHARGE);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    scene.done(CHARGE);
    assert_eq!(scene.deliver(&second, Ok(json!({}))), Ok(false), "it was taken once");
    let mut never = second.clone();
    never.attempt = 7;
    assert_eq!(scene.deliver(&never, Ok(json!({}))), Ok(false), "there was no such attempt");
    assert!(scene.seq() > seq);
    let mut scene = scene.ended();
    assert_eq!(scene.deliver(&second, Err(Failure::new(FailureKind::Timeout, "late"))), Ok(false));
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}
