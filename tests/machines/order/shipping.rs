//! Shipping: three rounds with backoff, then the money goes back.

use ordain::model::FailureKind;

use crate::scene::{DISPATCH, PREPARE, Scene};

#[test]
fn a_dispatch_that_fails_three_times_is_refunded_and_the_order_has_failed() {
    let mut scene = Scene::placed();
    for round in 1..=3 {
        scene = scene.calling(DISPATCH);
        assert_eq!(scene.call(DISPATCH).workflow_id.as_str(), format!("o-1/shipping/{round}"));
        scene.refused(DISPATCH);
        assert_eq!(scene.count("DispatchFailed"), round);
        if round < 3 {
            let wait = scene.next_timer().unwrap() - scene.now;
            let middle = 100 << (round - 1);
            assert!((middle * 8 / 10..=middle * 12 / 10).contains(&wait), "round {round}: {wait}");
            assert_eq!(scene.waits_for(), [("timer", "shipping_retry".to_owned())]);
        }
    }
    assert_eq!((scene.state(), scene.is_calling("refund_payment")), ("compensating", true));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.payment(), scene.ledger()), ("failed", "refunded", (1, 1, 0)));
    assert_eq!(scene.count("ShippingStarted"), 3);
}

#[test]
fn a_package_that_cannot_be_prepared_counts_as_a_round_after_three_attempts() {
    let mut scene = Scene::placed().calling(PREPARE);
    for attempt in 1..=3 {
        assert_eq!(scene.count("DispatchFailed"), 0);
        scene.fails(PREPARE, FailureKind::Error);
        if attempt < 3 {
            scene.wait_for_timer();
        }
    }
    assert_eq!(scene.count("DispatchFailed"), 1);
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}

#[test]
fn a_carrier_that_cannot_be_reached_is_asked_until_the_deadline_in_the_same_round() {
    let mut scene = Scene::placed().calling(DISPATCH);
    let key = scene.call(DISPATCH).idempotency_key;
    for _ in 0..8 {
        scene.fails(DISPATCH, FailureKind::Unreachable);
        scene.wait_for_timer();
        assert_eq!(scene.call(DISPATCH).idempotency_key, key);
    }
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger(), scene.count("ShippingStarted")), ("completed", (1, 0, 1), 1));
}

#[test]
fn a_dispatch_of_unknown_outcome_is_never_followed_by_another_round() {
    let mut scene = Scene::placed().calling(DISPATCH);
    scene.happens_but(DISPATCH, FailureKind::UnknownOutcome);
    for _ in 0..4 {
        scene.wait_for_timer();
        scene.fails(DISPATCH, FailureKind::Error);
    }
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.ledger(), scene.count("ShippingStarted")), ("completed", (1, 0, 1), 1));
}

#[test]
fn the_shipment_has_its_own_history_and_asks_before_it_goes() {
    let scene = Scene::placed().ended();
    let id = scene.id.child("shipping", 1);
    let facts = scene.store.facts(&id).unwrap();
    let types: Vec<&str> = facts.iter().map(|(fact, _)| fact.kind.as_str()).collect();
    assert_eq!(
        types,
        [
            "ShipmentRequested",
            "ActivityScheduled",
            "ActivityCompleted",
            "PackagePrepared",
            "DispatchAuthorized",
            "ActivityScheduled",
            "ActivityCompleted",
            "ShipmentDispatched"
        ]
    );
}

#[test]
fn the_parcel_is_dispatched_once_although_the_carrier_answers_twice() {
    let mut scene = Scene::placed().calling(DISPATCH);
    let call = scene.call(DISPATCH);
    let reply = scene.world.perform(&call, None).unwrap();
    assert_eq!(scene.deliver(&call, reply.result.clone()), Ok(true));
    scene.calls.clear();
    assert_eq!(scene.deliver(&call, reply.result), Ok(false));
    assert_eq!((scene.state(), scene.ledger()), ("completed", (1, 0, 1)));
}
