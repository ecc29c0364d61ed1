//! Every crash there is: after each commit before its effects are let out, after each effect before its result is
//! stored, before each commit; over a whole life, in several worlds, with a cancel after each transition or none.

use ordain::kernel::{ActivityCall, Input};
use ordain::model::{Failure, FailureKind};
use serde_json::json;

use super::scene::{CHARGE, DISPATCH, REFUND, Scene};

#[derive(Debug, Clone, Copy, PartialEq)]
enum World {
    Kind,
    Declines,
    CarrierRefuses,
    /// The first charge, dispatch and refund have their effect, and the answer is lost.
    LosesFirstAnswers,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Crash {
    /// The step was taken and not stored.
    BeforeCommit,
    /// It is stored, and nothing of it got out.
    AfterCommit,
    /// A call was carried out, and the process died before its answer came in.
    AfterEffect,
    /// The same, and what is asked again after the restart cannot be reached at first.
    AfterEffectThenAway,
}

#[derive(Debug, Clone, Copy)]
struct Variant {
    world: World,
    cancel_after: Option<usize>,
    crash: Option<(usize, Crash)>,
}

struct Run {
    scene: Scene,
    variant: Variant,
    steps: usize,
    /// A cancel is on disk.
    cancelled: bool,
    cancel_sent: bool,
    away: bool,
}

impl Run {
    fn crashes_here(&self, kind: Crash) -> bool {
        self.variant.crash == Some((self.steps, kind))
    }

    fn answer(&mut self, call: &ActivityCall) -> Result<serde_json::Value, Failure> {
        if self.away && matches!(call.activity.as_ref(), CHARGE | DISPATCH | REFUND) {
            self.away = false;
            return Err(Failure::new(FailureKind::Unreachable, "away"));
        }
        let no = match (self.variant.world, call.activity.as_ref()) {
            (World::Declines, CHARGE) | (World::CarrierRefuses, DISPATCH) => {
                Some(Failure::new(FailureKind::Refused, "no"))
            }
            _ => None,
        };
        let reply = self.scene.world.perform(call, no).unwrap();
        let lost = self.variant.world == World::LosesFirstAnswers
            && call.attempt == 1
            && matches!(call.activity.as_ref(), CHARGE | DISPATCH | REFUND);
        if lost { Err(Failure::new(FailureKind::Timeout, "lost")) } else { reply.result }
    }

    /// The next thing that happens: a cancel, an answer, or time.
    fn next(&mut self) -> (ordain::model::WorkflowId, Input) {
        let root = self.scene.id.clone();
        if self.variant.cancel_after.is_some_and(|after| after <= self.steps) && !self.cancel_sent {
            return (root, Input::Signal { name: "cancel".into(), payload: json!({}) });
        }
        if let Some(call) = self.scene.calls.first().cloned() {
            let (activity, attempt) = (call.activity.clone(), call.attempt);
            let input = match self.answer(&call) {
                Ok(result) => Input::ActivityCompleted { activity, attempt, result },
                Err(failure) => Input::ActivityFailed { activity, attempt, failure },
            };
            return (call.workflow_id, input);
        }
        self.scene.now = self.scene.now.max(self.scene.next_timer().expect("something wakes it"));
        (root, Input::Tick)
    }

    fn step(&mut self) {
        let (to, input) = self.next();
        let is_result = matches!(input, Input::ActivityCompleted { .. } | Input::ActivityFailed { .. });
        let is_cancel = matches!(input, Input::Signal { .. });
        if is_result && (self.crashes_here(Crash::AfterEffect) || self.crashes_here(Crash::AfterEffectThenAway)) {
            self.away = self.crashes_here(Crash::AfterEffectThenAway);
            self.steps += 1;
            return self.scene.crash();
        }
        let outcome = self.scene.dry(&to, &input);
        let crash = |kind| self.crashes_here(kind);
        if crash(Crash::BeforeCommit) {
            self.steps += 1;
            return self.scene.crash();
        }
        match outcome {
            Err(code) => assert_eq!((is_cancel, code), (true, "order_not_cancellable")),
            // It is so already, the commit was before the crash; or nobody waits for this result any more.
            Ok(None) => {
                self.cancelled |= is_cancel;
                if is_result {
                    self.scene.calls.remove(0);
                }
            }
            Ok(Some((_, commit))) if crash(Crash::AfterCommit) => {
                self.scene.store_only(&commit);
                self.scene.crash();
                self.cancelled |= is_cancel;
                self.steps += 1;
                return; // A cancel was not answered, and is sent again.
            }
            Ok(Some((next, commit))) => {
                if is_result {
                    self.scene.calls.remove(0);
                }
                self.scene.adopt(next, &commit);
                self.cancelled |= is_cancel;
            }
        }
        self.cancel_sent |= is_cancel;
        self.steps += 1;
    }
}

/// Lives through a variant and checks its end; returns how many steps it took.
fn live(variant: Variant) -> usize {
    let mut scene = Scene::placed();
    scene.hasty = true;
    let mut run = Run { scene, variant, steps: 0, cancelled: false, cancel_sent: false, away: false };
    while !run.scene.family.root().machine.is_terminal() {
        assert!(run.steps < 100, "{variant:?} does not end: {:?}", run.scene.history());
        run.step();
    }
    run.scene.check_fold();
    let (state, ledger) = (run.scene.state(), run.scene.ledger());
    let expected = match variant.world {
        _ if run.cancelled => ("cancelled", (ledger.0, ledger.0, 0)),
        World::Declines => ("failed", (0, 0, 0)),
        World::CarrierRefuses => ("failed", (1, 1, 0)),
        World::Kind | World::LosesFirstAnswers => ("completed", (1, 0, 1)),
    };
    assert_eq!((state, ledger), expected, "{variant:?}: {:?}", run.scene.history());
    assert!(ledger.0 <= 1, "{variant:?}");
    run.steps
}

fn every_crash(world: World) {
    let plain = live(Variant { world, cancel_after: None, crash: None });
    let mut lives = 0;
    for cancel_after in (0..plain).map(Some).chain([None]) {
        let steps = live(Variant { world, cancel_after, crash: None });
        for at in 0..steps {
            for kind in [Crash::BeforeCommit, Crash::AfterCommit, Crash::AfterEffect, Crash::AfterEffectThenAway] {
                live(Variant { world, cancel_after, crash: Some((at, kind)) });
                lives += 1;
            }
        }
    }
    println!("{world:?}: {lives} lives, {plain} steps without a crash");
    assert!(lives > 50);
}

#[test]
fn in_a_kind_world_every_crash_is_survived() {
    every_crash(World::Kind);
}

#[test]
fn with_a_declined_card_every_crash_is_survived() {
    every_crash(World::Declines);
}

#[test]
fn with_a_carrier_that_refuses_every_crash_is_survived() {
    every_crash(World::CarrierRefuses);
}

#[test]
fn when_the_first_answers_are_lost_every_crash_is_survived() {
    every_crash(World::LosesFirstAnswers);
}
