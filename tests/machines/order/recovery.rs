//! Crashes of the process and of the actor: what was under way is found again, and what may have happened is found out.

use ordain::model::{Failure, FailureKind};

use crate::scene::{CHARGE, DISPATCH, PREPARE, REFUND, Scene, manual};

#[test]
fn a_charge_made_before_a_crash_is_in_doubt_although_the_next_answer_says_unreachable() {
    let mut scene = Scene::placed().calling(CHARGE);
    let lost = scene.call(CHARGE);
    scene.world.perform(&lost, None).unwrap();
    scene.crash();
    assert!(scene.call(CHARGE).recovered);
    scene.fails(CHARGE, FailureKind::Unreachable);
    // Whatever that says about the second request, the first one took the money.
    assert_eq!(scene.payment(), "unknown");
    scene.wait(60_000);
    assert_eq!(scene.state(), "compensating");
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("timed_out", (1, 1, 0)));
}

#[test]
fn a_charge_made_before_a_crash_is_asked_again_although_the_attempts_are_used_up() {
    let mut scene = Scene::placed().calling(CHARGE);
    for _ in 0..2 {
        scene.fails(CHARGE, FailureKind::Error);
        scene.wait_for_timer();
    }
    let lost = scene.call(CHARGE);
    scene.world.perform(&lost, None).unwrap();
    scene.crash();
    scene.fails(CHARGE, FailureKind::Error);
    assert_eq!((scene.state(), scene.payment()), ("charging", "unknown"));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}

#[test]
fn a_parcel_sent_before_a_crash_is_found_out_before_the_money_goes_back() {
    let mut scene = Scene::placed().calling(DISPATCH);
    let lost = scene.call(DISPATCH);
    scene.world.perform(&lost, None).unwrap();
    scene.crash();
    // The other side asks for patience until after the deadline: it comes while nothing is under way.
    let patience = Failure { retry_after_ms: Some(30_000), ..Failure::new(FailureKind::RateLimited, "slowly") };
    let call = scene.call(DISPATCH);
    scene.calls.clear();
    scene.deliver(&call, Err(patience)).unwrap();
    scene.wait(20_000);
    assert_eq!((scene.state(), scene.ledger()), ("compensating", (1, 0, 1)));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}

#[test]
fn a_failure_of_a_call_that_was_not_made_before_is_believed() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.crash();
    scene.fails(CHARGE, FailureKind::UnknownOutcome);
    scene.wait_for_timer();
    scene.refused(CHARGE);
    assert_eq!((scene.state(), scene.ledger()), ("failed", (0, 0, 0)));
}

#[test]
fn after_an_operators_retry_a_stuck_order_makes_the_call_again_that_was_under_way() {
    let mut scene = Scene::placed().calling(CHARGE);
    assert_eq!(scene.actor_gives_up(), Ok(true));
    assert_eq!((scene.state(), scene.next_timer()), ("stuck", None));
    let before = scene.call(CHARGE);
    scene.calls.clear();
    assert_eq!(scene.deliver(&before, Ok(serde_json::json!({}))), Ok(false), "results are not taken while parked");
    assert_eq!(scene.retry(), Ok(true));
    assert_eq!(scene.state(), "charging");
    let again = scene.call(CHARGE);
    assert_eq!((&again.idempotency_key, again.attempt), (&before.idempotency_key, before.attempt));
    assert_eq!(scene.ended().state(), "completed");
}

#[test]
fn a_stuck_order_is_not_woken_by_any_clock() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.actor_gives_up().unwrap();
    assert_eq!(scene.store.wake_at(&scene.id), None);
    scene.crash();
    assert!(scene.calls.is_empty());
    assert_eq!(scene.state(), "stuck");
    assert_eq!(scene.retry(), Ok(true));
    assert!(scene.is_calling(CHARGE));
}

#[test]
fn a_retry_frees_a_stuck_order_and_its_shipment_together() {
    for activity in [PREPARE, DISPATCH] {
        let mut scene = Scene::placed().calling(activity);
        scene.actor_gives_up().unwrap();
        scene.calls.clear();
        assert_eq!(scene.retry(), Ok(true));
        assert!(scene.is_calling(activity), "{activity}");
        assert_eq!(scene.retry(), Ok(false), "it is free already");
        assert_eq!(scene.ended().state(), "completed");
    }
}

#[test]
fn a_stuck_order_can_be_cancelled_with_what_stands_taken_back() {
    let mut early = Scene::placed();
    early.actor_gives_up().unwrap();
    assert_eq!(early.cancel(), Ok(true));
    assert_eq!((early.state(), early.ledger()), ("cancelled", (0, 0, 0)));

    let mut charging = Scene::placed().calling(CHARGE);
    let lost = charging.call(CHARGE);
    charging.world.perform(&lost, None).unwrap();
    charging.actor_gives_up().unwrap();
    charging.calls.clear();
    assert_eq!(charging.cancel(), Ok(true));
    assert_eq!(charging.state(), "compensating");
    let charging = charging.ended();
    assert_eq!((charging.state(), charging.ledger()), ("cancelled", (1, 1, 0)));

    let mut shipping = Scene::placed().calling(PREPARE);
    shipping.actor_gives_up().unwrap();
    shipping.calls.clear();
    assert_eq!(shipping.cancel(), Ok(true));
    let shipping = shipping.ended();
    assert_eq!((shipping.state(), shipping.ledger()), ("cancelled", (1, 1, 0)));
}

#[test]
fn a_stuck_order_whose_parcel_may_be_going_refuses_the_cancel_and_stays_stuck() {
    let mut scene = Scene::placed().calling(DISPATCH);
    scene.actor_gives_up().unwrap();
    scene.calls.clear();
    assert_eq!(scene.cancel(), Err("order_not_cancellable"));
    assert_eq!(scene.state(), "stuck");
}

#[test]
fn a_second_cancel_frees_an_order_that_got_stuck_on_its_way_back() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.cancel().unwrap();
    assert!(scene.is_calling(REFUND));
    scene.actor_gives_up().unwrap();
    scene.calls.clear();
    assert_eq!(scene.cancel(), Ok(true));
    assert_eq!(scene.state(), "compensating");
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("cancelled", (1, 1, 0)));
}

#[test]
fn signals_reach_a_stuck_order_and_are_kept() {
    let mut scene = Scene::new(manual).at_state("in_review");
    scene.actor_gives_up().unwrap();
    assert_eq!(scene.move_to("2 Second Street"), Ok(true));
    assert_eq!(scene.approve(), Ok(true));
    assert_eq!((scene.state(), scene.calls.len()), ("stuck", 0));
    scene.retry().unwrap();
    assert_eq!(scene.ended().account().parcels, ["2 Second Street"]);
}

#[test]
fn a_crash_gives_the_order_its_deadline_anew_when_it_is_freed() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.wait(12_000);
    scene.actor_gives_up().unwrap();
    scene.calls.clear();
    scene.wait(600_000);
    assert_eq!(scene.state(), "stuck");
    scene.retry().unwrap();
    scene.wait(14_000);
    assert_eq!(scene.state(), "charging");
}
