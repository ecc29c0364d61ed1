//! The review: a timer or a person ends it.

use crate::scene::{CHARGE, Scene, manual};

#[test]
fn an_automatic_review_ends_by_its_timer() {
    let mut scene = Scene::placed().at_state("in_review");
    assert_eq!(scene.waits_for(), [("timer", "review".to_owned()), ("signal", "approve".to_owned())]);
    scene.wait(1_999);
    assert_eq!(scene.state(), "in_review");
    scene.wait(1);
    assert_eq!(scene.state(), "charging");
    assert!(scene.is_calling(CHARGE));
}

#[test]
fn an_approve_ends_an_automatic_review_early() {
    let mut scene = Scene::placed().at_state("in_review");
    assert_eq!(scene.approve(), Ok(true));
    assert_eq!(scene.state(), "charging");
}

#[test]
fn a_review_of_no_time_is_over_at_once() {
    let mut scene = Scene::new(|start| start.review.auto_ms = 0);
    scene.done("receive_order");
    scene.done("validate_order");
    assert_eq!(scene.state(), "charging");
    assert!(scene.history().contains(&"ReviewOpened".to_owned()));
}

#[test]
fn a_manual_review_waits_for_a_person_and_for_nothing_else() {
    let mut scene = Scene::new(manual).at_state("in_review");
    assert_eq!(scene.waits_for(), [("signal", "approve".to_owned())]);
    assert_eq!((scene.next_timer(), scene.store.wake_at(&scene.id)), (None, None));
    scene.wait(30 * 24 * 3_600_000);
    assert_eq!(scene.approve(), Ok(true));
    assert_eq!(scene.ended().state(), "completed");
}

#[test]
fn a_manual_review_that_nobody_answers_in_time_ends_the_order_as_timed_out() {
    let edit = |start: &mut ordain::workflows::order::OrderStart| {
        manual(start);
        start.review.deadline_ms = Some(60_000);
    };
    let mut scene = Scene::new(edit).at_state("in_review");
    scene.wait(59_999);
    assert_eq!(scene.state(), "in_review");
    scene.wait(1);
    assert_eq!((scene.state(), scene.ledger()), ("timed_out", (0, 0, 0)));
    assert_eq!(scene.approve(), Err("review_not_open"));

    let mut answered = Scene::new(edit).at_state("in_review");
    answered.wait(59_999);
    answered.approve().unwrap();
    assert_eq!(answered.ended().state(), "completed");
}

#[test]
fn an_approve_before_the_review_opens_is_kept_and_used() {
    for edit in [manual, |_: &mut _| {}] {
        let mut scene = Scene::new(edit);
        assert_eq!(scene.approve(), Ok(true));
        assert_eq!(scene.approve(), Ok(false));
        scene.done("receive_order");
        scene.done("validate_order");
        assert_eq!(scene.state(), "charging");
        assert_eq!(scene.count("ReviewApproved"), 1);
    }
}

#[test]
fn an_approve_after_the_review_changes_nothing() {
    let mut scene = Scene::placed().calling(CHARGE);
    assert_eq!(scene.approve(), Ok(false));
    let mut scene = scene.ended();
    assert_eq!(scene.approve(), Ok(false));
}
