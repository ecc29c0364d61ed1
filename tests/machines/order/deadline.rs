//! The deadline: running time only, in every state, and attempts that fit what is left.

use ordain::model::{Failure, FailureKind};

use crate::scene::{CHARGE, DISPATCH, PREPARE, REFUND, Scene, manual};

#[test]
fn before_the_charge_the_order_ends_at_its_deadline() {
    for stage in ["receive_order", "validate_order"] {
        let mut scene = Scene::placed().calling(stage);
        scene.wait(14_999);
        assert!(scene.is_calling(stage));
        scene.wait(1);
        assert_eq!((scene.state(), scene.ledger()), ("timed_out", (0, 0, 0)), "{stage}");
    }
    let mut review = Scene::new(|start| start.review.auto_ms = 60_000).at_state("in_review");
    review.wait(15_000);
    assert_eq!(review.state(), "timed_out");
}

#[test]
fn a_charge_under_way_at_the_deadline_is_awaited_and_refunded() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.wait(15_000);
    assert_eq!(scene.state(), "compensating");
    scene.done(CHARGE);
    scene.done(REFUND);
    assert_eq!((scene.state(), scene.payment(), scene.ledger()), ("timed_out", "refunded", (1, 1, 0)));
}

#[test]
fn a_charge_between_attempts_at_the_deadline_was_not_made() {
    let mut scene = Scene::placed().calling(CHARGE);
    let call = scene.call(CHARGE);
    scene.calls.clear();
    let patience = Failure { retry_after_ms: Some(60_000), ..Failure::new(FailureKind::RateLimited, "slowly") };
    scene.deliver(&call, Err(patience)).unwrap();
    scene.wait(15_000);
    assert_eq!((scene.state(), scene.ledger()), ("timed_out", (0, 0, 0)));
}

#[test]
fn a_charged_order_that_is_not_dispatched_is_refunded_at_the_deadline() {
    let mut preparing = Scene::placed().calling(PREPARE);
    preparing.wait(15_000);
    assert!(preparing.is_calling(REFUND));
    let preparing = preparing.ended();
    assert_eq!((preparing.state(), preparing.ledger()), ("timed_out", (1, 1, 0)));

    let mut between = Scene::new(|start| start.deadline_ms = Some(2_010)).calling(DISPATCH);
    between.refused(DISPATCH);
    between.wait(50);
    let between = between.ended();
    assert_eq!((between.state(), between.ledger()), ("timed_out", (1, 1, 0)));
}

#[test]
fn a_parcel_under_way_at_the_deadline_is_found_out_first() {
    let mut goes = Scene::placed().calling(DISPATCH);
    goes.wait(15_000);
    assert_eq!((goes.state(), goes.is_calling(REFUND)), ("compensating", false));
    goes.done(DISPATCH);
    assert_eq!((goes.state(), goes.payment(), goes.ledger()), ("completed", "charged", (1, 0, 1)));

    let mut stays = Scene::placed().calling(DISPATCH);
    stays.wait(15_000);
    stays.fails(DISPATCH, FailureKind::Unreachable);
    let stays = stays.ended();
    assert_eq!((stays.state(), stays.ledger()), ("timed_out", (1, 1, 0)));

    let mut refused = Scene::placed().calling(DISPATCH);
    refused.fails(DISPATCH, FailureKind::Timeout);
    refused.wait(15_000);
    refused.refused(DISPATCH);
    let refused = refused.ended();
    assert_eq!((refused.state(), refused.ledger()), ("timed_out", (1, 1, 0)));
}

#[test]
fn a_parcel_that_waits_to_be_tried_again_does_not_go_when_the_deadline_comes_to_light_late() {
    let mut scene = Scene::placed().calling(DISPATCH);
    scene.fails(DISPATCH, FailureKind::Unreachable);
    // The process was away: deadline and retry are both overdue when the clock is next looked at.
    scene.now += 60_000;
    scene.root(&ordain::kernel::Input::Tick).unwrap();
    assert!(!scene.is_calling(DISPATCH));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("timed_out", (1, 1, 0)));
}

#[test]
fn the_clock_stands_still_in_a_manual_review() {
    let mut scene = Scene::new(manual);
    scene.wait(5_000);
    scene = scene.at_state("in_review");
    scene.wait(3_600_000);
    assert_eq!(scene.state(), "in_review");
    scene.approve().unwrap();
    scene.wait(9_999);
    assert_eq!(scene.state(), "charging");
    scene.wait(1);
    assert_eq!(scene.state(), "compensating");
}

#[test]
fn without_a_deadline_an_order_takes_the_time_it_needs() {
    let mut scene = Scene::new(|start| start.deadline_ms = None).calling(CHARGE);
    for _ in 0..100 {
        scene.fails(CHARGE, FailureKind::Unreachable);
        scene.wait_for_timer();
    }
    assert!(scene.now > 100_000);
    assert_eq!(scene.ended().state(), "completed");
}

#[test]
fn attempts_are_shortened_to_fit_what_is_left() {
    let mut scene = Scene::placed().calling(CHARGE);
    assert_eq!(scene.call(CHARGE).timeout_ms, 5_000);
    scene.wait(10_000);
    scene.fails(CHARGE, FailureKind::Unreachable);
    scene.wait_for_timer();
    assert_eq!(scene.call(CHARGE).timeout_ms, 15_000 - scene.now);
    scene.wait(14_980 - scene.now);
    scene.fails(CHARGE, FailureKind::Unreachable);
    if scene.state() == "charging" {
        scene.wait_for_timer();
    }
    assert!(scene.calls.iter().all(|call| call.timeout_ms >= 50), "an attempt has a chance");

    let shipment = Scene::placed().calling(PREPARE);
    let mut late = shipment;
    late.wait(9_000);
    late.fails(PREPARE, FailureKind::Unreachable);
    late.wait_for_timer();
    assert_eq!(late.call(PREPARE).timeout_ms, 15_000 - late.now, "the shipment knows the order's deadline");
}

#[test]
fn compensation_has_all_the_time_an_attempt_needs() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.wait(15_000);
    assert_eq!(scene.call(REFUND).timeout_ms, 5_000);
}
