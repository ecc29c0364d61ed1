//! Pause and resume: nothing starts, clocks stand still, signals are kept.

use ordain::model::FailureKind;

use crate::scene::{CHARGE, DISPATCH, PREPARE, Scene};

#[test]
fn nothing_starts_in_a_pause_and_what_runs_may_end() {
    let mut scene = Scene::placed();
    assert_eq!(scene.pause(), Ok(true));
    scene.done("receive_order");
    assert!(scene.calls.is_empty());
    assert_eq!(scene.waits_for(), [("signal", "resume".to_owned())]);
    scene.wait(3_600_000);
    assert_eq!(scene.resume(), Ok(true));
    assert!(scene.is_calling("validate_order"));
    assert_eq!(scene.ended().state(), "completed");
}

#[test]
fn no_attempt_is_made_again_in_a_pause() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.pause().unwrap();
    scene.fails(CHARGE, FailureKind::Unreachable);
    scene.wait(60_000);
    assert!(scene.calls.is_empty());
    scene.resume().unwrap();
    scene.wait_for_timer();
    assert_eq!(scene.call(CHARGE).attempt, 2);
}

#[test]
fn the_deadline_stands_still_in_a_pause() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.wait(3_000);
    scene.pause().unwrap();
    scene.wait(3_600_000);
    assert_eq!((scene.state(), scene.next_timer()), ("charging", None));
    scene.resume().unwrap();
    scene.wait(9_999);
    assert_eq!(scene.state(), "charging");
    scene.wait(1);
    assert_eq!(scene.state(), "compensating");
}

#[test]
fn the_review_timer_stands_still_in_a_pause() {
    let mut scene = Scene::placed().at_state("in_review");
    scene.wait(500);
    scene.pause().unwrap();
    scene.wait(60_000);
    scene.resume().unwrap();
    assert_eq!(scene.next_timer(), Some(scene.now + 1_500));
}

#[test]
fn a_timer_that_is_set_in_a_pause_runs_from_the_resume() {
    let mut scene = Scene::placed().calling("validate_order");
    scene.pause().unwrap();
    scene.wait(4_000);
    scene.done("validate_order");
    assert_eq!(scene.state(), "in_review");
    scene.wait(1_000);
    scene.resume().unwrap();
    assert_eq!(scene.next_timer(), Some(scene.now + 2_000), "a review takes two seconds");

    let mut shipping = Scene::placed().calling(DISPATCH);
    shipping.pause().unwrap();
    shipping.wait(4_000);
    shipping.refused(DISPATCH);
    shipping.wait(1_000);
    shipping.resume().unwrap();
    let wait = shipping.next_timer().unwrap() - shipping.now;
    assert!(wait <= 120, "the first wait between rounds is about 100 ms, not {wait}");
}

#[test]
fn signals_are_kept_in_a_pause() {
    let mut scene = Scene::placed().at_state("in_review");
    scene.pause().unwrap();
    assert_eq!(scene.approve(), Ok(true));
    assert_eq!(scene.move_to("2 Second Street"), Ok(true));
    assert_eq!((scene.state(), scene.calls.len()), ("charging", 0));
    scene.resume().unwrap();
    assert_eq!(scene.ended().account().parcels, ["2 Second Street"]);
}

#[test]
fn a_pause_holds_the_shipment_too() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.pause().unwrap();
    scene.done(PREPARE);
    assert!(scene.calls.is_empty());
    scene.crash();
    scene.resume().unwrap();
    assert!(scene.is_calling(DISPATCH));
    assert_eq!(scene.ended().state(), "completed");
}

#[test]
fn an_order_charged_in_a_pause_is_shipped_after_it() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.pause().unwrap();
    scene.done(CHARGE);
    assert_eq!((scene.state(), scene.calls.len()), ("shipping", 0));
    scene.resume().unwrap();
    assert_eq!(scene.ended().ledger(), (1, 0, 1));
}

#[test]
fn an_order_that_has_ended_is_neither_paused_nor_resumed() {
    let mut scene = Scene::placed().ended();
    assert_eq!((scene.pause(), scene.resume()), (Err("already_ended"), Err("already_ended")));
}

#[test]
fn an_order_that_is_cancelled_in_a_pause_is_listed_as_paused_no_more() {
    let mut scene = Scene::placed().at_state("in_review");
    scene.pause().unwrap();
    let signal = ordain::kernel::Input::Signal { name: "cancel".into(), payload: serde_json::Value::Null };
    let id = scene.id.clone();
    let (_, commit) = scene.dry(&id, &signal).unwrap().unwrap();
    assert!(commit.transitions[0].terminal && !commit.transitions[0].paused);
}
