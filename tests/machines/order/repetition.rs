//! Whatever is sent again when it is already true changes nothing and adds no fact.

use serde_json::json;

use crate::scene::{Answer, Scene, manual};

/// Sends it twice: the second time nothing may change.
#[track_caller]
fn twice(scene: &mut Scene, send: impl Fn(&mut Scene) -> Answer) {
    assert_eq!(send(scene), Ok(true));
    let (seq, stored) = (scene.seq(), scene.stored());
    assert_eq!(send(scene), Ok(false));
    assert_eq!((scene.seq(), scene.stored()), (seq, stored));
}

#[test]
fn each_signal_sent_again_is_unchanged() {
    let mut scene = Scene::new(manual).at_state("in_review");
    twice(&mut scene, |s| s.move_to("2 Second Street"));
    twice(&mut scene, Scene::pause);
    twice(&mut scene, Scene::resume);
    twice(&mut scene, Scene::approve);
    twice(&mut scene, Scene::cancel);

    let mut stuck = Scene::new(manual).at_state("in_review");
    twice(&mut stuck, Scene::actor_gives_up);
    twice(&mut stuck, Scene::retry);
}

#[test]
fn the_same_start_again_is_unchanged_and_another_one_is_refused() {
    let same = |s: &mut Scene| s.signal("start", json!({ "fingerprint": "f-1" }));
    let other = |s: &mut Scene| s.signal("start", json!({ "fingerprint": "f-2" }));
    let mut scene = Scene::placed();
    assert_eq!((same(&mut scene), other(&mut scene)), (Ok(false), Err("order_exists")));
    let mut scene = scene.ended();
    assert_eq!((same(&mut scene), other(&mut scene)), (Ok(false), Err("order_exists")));
}

#[test]
fn a_signal_nobody_knows_is_refused() {
    assert_eq!(Scene::placed().signal("teleport", json!(null)), Err("unknown_signal"));
}

#[test]
fn a_tick_before_anything_is_due_changes_nothing() {
    let mut scene = Scene::placed();
    assert_eq!(scene.root(&ordain::kernel::Input::Tick), Ok(false));
}
