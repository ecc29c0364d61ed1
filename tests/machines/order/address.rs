//! The address: changed until the parcel may go, and never after.

use ordain::model::FailureKind;
use serde_json::json;

use crate::scene::{CHARGE, DISPATCH, PREPARE, Scene};

#[test]
fn the_parcel_goes_to_the_newest_address() {
    for stage in ["receive_order", "validate_order", CHARGE, PREPARE] {
        let mut scene = Scene::placed().calling(stage);
        assert_eq!(scene.move_to("2 Second Street"), Ok(true), "{stage}");
        assert_eq!(scene.move_to("3 Third Street"), Ok(true), "{stage}");
        assert_eq!(scene.ended().account().parcels, ["3 Third Street"], "{stage}");
    }
}

#[test]
fn an_address_of_fields_is_taken_and_one_that_breaks_the_rules_is_not() {
    let mut scene = Scene::placed().at_state("in_review");
    let address = json!({ "street": "Main", "zip_code": "12345" });
    assert_eq!(scene.signal("update_address", json!({ "address": address })), Ok(true));
    let broken = json!({ "address": { "zip_code": "!" } });
    assert_eq!(scene.signal("update_address", broken), Err("invalid_address"));
    assert_eq!(scene.signal("update_address", json!({ "address": 7 })), Err("invalid_address"));
    assert_eq!(scene.ended().account().parcels, [address]);
}

#[test]
fn from_the_dispatch_on_it_is_locked() {
    let mut scene = Scene::placed().calling(DISPATCH);
    assert_eq!(scene.move_to("2 Second Street"), Err("address_locked"));
    scene.fails(DISPATCH, FailureKind::Unreachable);
    assert_eq!(scene.move_to("2 Second Street"), Err("address_locked"));
    let mut scene = scene.ended();
    assert_eq!(scene.move_to("2 Second Street"), Err("address_locked"));
    assert_eq!(scene.account().parcels, ["1 First Street"]);
}

#[test]
fn the_address_it_has_already_changes_nothing_at_any_time() {
    let mut scene = Scene::placed();
    assert_eq!(scene.move_to("1 First Street"), Ok(false));
    let mut scene = scene.calling(DISPATCH);
    assert_eq!(scene.move_to("1 First Street"), Ok(false));
    let mut scene = scene.ended();
    assert_eq!(scene.move_to("1 First Street"), Ok(false));
}

#[test]
fn between_two_rounds_of_shipping_it_can_be_changed() {
    let mut scene = Scene::placed().calling(DISPATCH);
    scene.refused(DISPATCH);
    assert_eq!(scene.move_to("2 Second Street"), Ok(true));
    let scene = scene.ended();
    assert_eq!((scene.state(), scene.account().parcels), ("completed", vec![json!("2 Second Street")]));
}

#[test]
fn on_the_way_back_it_is_locked() {
    let mut scene = Scene::placed().calling(PREPARE);
    scene.cancel().unwrap();
    assert_eq!((scene.state(), scene.move_to("2 Second Street")), ("compensating", Err("address_locked")));
    assert_eq!(scene.ended().move_to("2 Second Street"), Err("address_locked"));
}
