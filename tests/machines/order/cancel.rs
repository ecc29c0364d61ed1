//! Cancel at every state: money and parcel agree in the end.

use ordain::model::FailureKind;

use crate::scene::{CHARGE, DISPATCH, PREPARE, REFUND, Scene, manual};

const REFUSED: Result<bool, &str> = Err("order_not_cancellable");

/// Cancels, lets a kind world go on, and tells what is on the ledger.
#[track_caller]
fn cancelled(mut scene: Scene) -> (u32, u32, usize) {
    assert_eq!(scene.cancel(), Ok(true));
    assert_eq!(scene.cancel(), Ok(false), "a second cancel changes nothing");
    let mut scene = scene.ended();
    assert_eq!(scene.state(), "cancelled");
    assert_eq!(scene.cancel(), Ok(false));
    assert_eq!(scene.stored()["ending"]["reason"], "no longer wanted");
    scene.ledger()
}

#[test]
fn before_the_charge_nothing_needs_to_be_taken_back() {
    assert_eq!(cancelled(Scene::placed()), (0, 0, 0));
    assert_eq!(cancelled(Scene::placed().calling("validate_order")), (0, 0, 0));
    assert_eq!(cancelled(Scene::placed().at_state("in_review")), (0, 0, 0));
    assert_eq!(cancelled(Scene::new(manual).at_state("in_review")), (0, 0, 0));
}

#[test]
fn while_the_charge_is_under_way_its_answer_is_awaited_and_the_money_goes_back() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.cancel().unwrap();
    assert_eq!(scene.state(), "compensating");
    scene.done(CHARGE);
    assert!(scene.is_calling(REFUND));
    assert_eq!(cancelled(Scene::placed().calling(CHARGE)), (1, 1, 0));
}

#[test]
fn while_the_charge_is_under_way_and_fails_without_an_effect_nothing_is_refunded() {
    for kind in [FailureKind::Unreachable, FailureKind::RateLimited, FailureKind::Error] {
        let mut scene = Scene::placed().calling(CHARGE);
        scene.cancel().unwrap();
        scene.fails(CHARGE, kind);
        assert_eq!((scene.state(), scene.payment(), scene.ledger()), ("cancelled", "failed", (0, 0, 0)));
    }
    let mut declined = Scene::placed().calling(CHARGE);
    declined.cancel().unwrap();
    declined.refused(CHARGE);
    assert_eq!((declined.state(), declined.ledger()), ("cancelled", (0, 0, 0)));
}

#[test]
fn while_the_charge_waits_to_be_tried_again_the_order_ends_at_once() {
    let mut scene = Scene::placed().calling(CHARGE);
    scene.fails(CHARGE, FailureKind::Unreachable);
    scene.cancel().unwrap();
    assert_eq!((scene.state(), scene.ledger()), ("cancelled", (0, 0, 0)));
}

#[test]
fn while_the_charge_is_in_doubt_it_is_found_out_and_then_refunded() {
    let mut happened = Scene::placed().calling(CHARGE);
    happened.happens_but(CHARGE, FailureKind::Timeout);
    assert_eq!(happened.payment(), "unknown");
    assert_eq!(cancelled(happened), (1, 1, 0));

    let mut not = Scene::placed().calling(CHARGE);
    not.fails(CHARGE, FailureKind::UnknownOutcome);
    not.cancel().unwrap();
    assert_eq!(not.state(), "compensating");
    not.wait_for_timer();
    not.fails(CHARGE, FailureKind::Unreachable);
    assert_eq!(not.state(), "compensating", "that this attempt had no effect says nothing of the first");
    not.wait_for_timer();
    not.refused(CHARGE);
    assert_eq!((not.state(), not.ledger()), ("cancelled", (0, 0, 0)));
}

#[test]
fn while_the_package_is_prepared_it_stays_here_and_the_money_goes_back() {
    let mut scene = Scene::placed().calling(PREPARE);
    let late = scene.call(PREPARE);
    scene.cancel().unwrap();
    assert_eq!(scene.history().last().map(String::as_str), Some("ActivityScheduled"));
    assert!(scene.history().contains(&"ShipmentCancelled".to_owned()));
    assert_eq!(scene.deliver(&late, Ok(serde_json::json!({}))), Ok(false), "the shipment is no more");
    assert_eq!(cancelled(Scene::placed().calling(PREPARE)), (1, 1, 0));
}

#[test]
fn while_the_parcel_is_dispatched_it_is_too_late() {
    let mut scene = Scene::placed().calling(DISPATCH);
    assert_eq!(scene.cancel(), REFUSED);
    scene.fails(DISPATCH, FailureKind::Unreachable);
    assert_eq!(scene.cancel(), REFUSED, "it goes again in a moment");
    scene.wait_for_timer();
    scene.happens_but(DISPATCH, FailureKind::Timeout);
    assert_eq!(scene.cancel(), REFUSED, "it may have gone");
    let mut scene = scene.ended();
    assert_eq!((scene.cancel(), scene.state(), scene.ledger()), (REFUSED, "completed", (1, 0, 1)));
}

#[test]
fn between_two_rounds_of_shipping_the_money_goes_back() {
    let mut scene = Scene::placed().calling(DISPATCH);
    scene.refused(DISPATCH);
    assert_eq!(scene.state(), "shipping");
    assert_eq!(cancelled(scene), (1, 1, 0));
}

#[test]
fn on_the_way_back_for_another_reason_it_is_refused() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.wait(15_000);
    assert_eq!((scene.state(), scene.cancel()), ("compensating", REFUSED));
    assert_eq!(scene.ended().state(), "timed_out");
}

#[test]
fn after_the_end_it_is_refused_unless_it_was_the_end() {
    let mut completed = Scene::placed().ended();
    assert_eq!((completed.state(), completed.cancel()), ("completed", REFUSED));
    let mut failed = Scene::placed().calling(CHARGE);
    failed.refused(CHARGE);
    assert_eq!((failed.state(), failed.cancel()), ("failed", REFUSED));
    let mut timed_out = Scene::placed();
    timed_out.wait(15_000);
    assert_eq!((timed_out.state(), timed_out.cancel()), ("timed_out", REFUSED));
}

#[test]
fn a_paused_order_is_cancelled_at_once_where_nothing_is_to_be_taken_back() {
    let mut scene = Scene::placed().at_state("in_review");
    scene.pause().unwrap();
    assert_eq!(scene.cancel(), Ok(true));
    assert_eq!((scene.state(), scene.ledger()), ("cancelled", (0, 0, 0)));
}

#[test]
fn a_paused_order_that_was_charged_is_refunded_once_it_is_resumed() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.pause().unwrap();
    assert_eq!(scene.cancel(), Ok(true));
    assert_eq!((scene.state(), scene.is_calling(REFUND)), ("compensating", false));
    scene.wait(60_000);
    scene.resume().unwrap();
    assert!(scene.is_calling(REFUND));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("cancelled", (1, 1, 0)));
}
