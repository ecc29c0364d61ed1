//! Whatever inputs come in whatever order, an order keeps its invariants. All of them are checked after every step
//! by the stage itself; here the inputs are drawn at random, and a failing sequence is shrunk to its core.

use ordain::kernel::{ActivityCall, Input};
use ordain::model::{Failure, FailureKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scene::{Answer, Scene, manual};

/// One thing that happens. Indices pick among what there is, round and round.
#[derive(Debug, Clone)]
enum Act {
    /// A call under way is carried out and answered.
    Done(usize),
    /// A call fails; its effect may have happened where the kind leaves that open.
    Fails {
        call: usize,
        kind: FailureKind,
        happened: bool,
    },
    /// The other side turns it down.
    Refused(usize),
    /// A result for any attempt there ever was, or never was.
    Stray {
        call: usize,
        attempt: u32,
        good: bool,
    },
    Wait(u64),
    /// A tick without anything due.
    Tick,
    Approve,
    Cancel,
    Move(u8),
    Pause,
    Resume,
    Retry,
    ActorGivesUp,
    Crash,
}

/// Taken, unchanged or refused: all are fine here.
fn whatever(_answer: Answer) {}

fn kind() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        Just(FailureKind::Unreachable),
        Just(FailureKind::RateLimited),
        Just(FailureKind::Timeout),
        Just(FailureKind::UnknownOutcome),
        Just(FailureKind::Panic),
        Just(FailureKind::Error),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_usize..4).prop_map(Act::Done),
        4 => (0_usize..4, kind(), any::<bool>()).prop_map(|(call, kind, happened)| Act::Fails { call, kind, happened }),
        1 => (0_usize..4).prop_map(Act::Refused),
        1 => (0_usize..40, 0_u32..5, any::<bool>()).prop_map(|(call, attempt, good)| Act::Stray { call, attempt, good }),
        4 => prop_oneof![0_u64..300, 1_000_u64..4_000, 10_000_u64..40_000].prop_map(Act::Wait),
        1 => Just(Act::Tick),
        2 => Just(Act::Approve),
        1 => Just(Act::Cancel),
        2 => (0_u8..4).prop_map(Act::Move),
        1 => Just(Act::Pause),
        2 => Just(Act::Resume),
        2 => Just(Act::Retry),
        1 => Just(Act::ActorGivesUp),
        3 => Just(Act::Crash),
    ]
}

/// What the story knows besides the stage: all calls ever made, and the address on disk.
struct Story {
    scene: Scene,
    ever: Vec<ActivityCall>,
    address: Value,
}

impl Story {
    fn pick(&self, n: usize) -> Option<ActivityCall> {
        let calls = &self.scene.calls;
        (!calls.is_empty()).then(|| calls[n % calls.len()].clone())
    }

    /// Carries out a call in the world; a parcel must go to the address that is on disk.
    fn perform(&mut self, call: &ActivityCall, no: Option<Failure>) -> Result<Value, Failure> {
        let reply = self.scene.world.perform(call, no).unwrap();
        if reply.fresh && reply.result.is_ok() && call.activity == "dispatch_carrier" {
            assert_eq!(call.input["address"], self.address);
        }
        reply.result
    }

    fn land(&mut self, call: &ActivityCall, result: Result<Value, Failure>) {
        let same = |c: &ActivityCall| {
            (&c.workflow_id, &c.activity, c.attempt) == (&call.workflow_id, &call.activity, call.attempt)
        };
        self.scene.calls.retain(|c| !same(c));
        self.scene.deliver(call, result).unwrap();
    }

    fn happen(&mut self, act: &Act) {
        let ended = self.scene.family.root().machine.is_terminal();
        match act {
            Act::Done(n) => {
                // A call of an order that has ended is of no consequence; the ledger would not know the key.
                if let Some(call) = self.pick(*n).filter(|_| !ended) {
                    let result = self.perform(&call, None);
                    self.land(&call, result);
                }
            }
            Act::Fails { call, kind, happened } => {
                if let Some(call) = self.pick(*call).filter(|_| !ended) {
                    if *happened && kind.in_doubt() {
                        let _lost = self.perform(&call, None);
                    }
                    self.land(&call, Err(Failure::new(*kind, "it failed")));
                }
            }
            Act::Refused(n) => {
                if let Some(call) = self.pick(*n).filter(|_| !ended) {
                    let result = self.perform(&call, Some(Failure::new(FailureKind::Refused, "no")));
                    self.land(&call, result);
                }
            }
            Act::Stray { call, attempt, good } => self.stray(*call, *attempt, *good),
            Act::Wait(ms) => self.scene.wait(*ms),
            Act::Tick => whatever(self.scene.root(&Input::Tick)),
            Act::Approve => whatever(self.scene.approve()),
            Act::Cancel => whatever(self.scene.cancel()),
            Act::Move(n) => {
                let line = format!("{n} New Street");
                if self.scene.move_to(&line) == Ok(true) {
                    self.address = json!(line);
                }
            }
            Act::Pause => whatever(self.scene.pause()),
            Act::Resume => whatever(self.scene.resume()),
            Act::Retry => whatever(self.scene.retry()),
            Act::ActorGivesUp => whatever(self.scene.actor_gives_up()),
            Act::Crash => self.scene.crash(),
        }
        if self.scene.state() == "stuck" {
            self.scene.calls.clear();
        }
        for call in &self.scene.calls {
            if !self.ever.contains(call) {
                self.ever.push(call.clone());
            }
        }
    }

    /// A result that no call under way is waiting for must change nothing.
    fn stray(&mut self, n: usize, attempt: u32, good: bool) {
        let Some(mut call) = (!self.ever.is_empty()).then(|| self.ever[n % self.ever.len()].clone()) else { return };
        call.attempt = attempt;
        let awaited = self
            .scene
            .calls
            .iter()
            .any(|c| (&c.workflow_id, &c.activity, c.attempt) == (&call.workflow_id, &call.activity, call.attempt));
        if awaited {
            return;
        }
        let before = self.scene.seq();
        let result = if good { Ok(json!({})) } else { Err(Failure::new(FailureKind::Refused, "stray")) };
        assert_eq!(self.scene.deliver(&call, result), Ok(false), "{} {attempt} was taken", call.activity);
        assert_eq!(self.scene.seq(), before);
    }

    /// The world turns kind and operators help: the order must end.
    fn end(mut self) -> Scene {
        whatever(self.scene.resume());
        whatever(self.scene.retry());
        if !self.scene.family.root().machine.is_terminal() {
            whatever(self.scene.approve());
        }
        self.scene.ended()
    }
}

fn story(is_manual: bool, deadline_ms: Option<u64>) -> Story {
    let scene = Scene::new(|start| {
        start.deadline_ms = deadline_ms;
        if is_manual {
            manual(start);
        }
    });
    let ever = scene.calls.clone();
    Story { scene, ever, address: json!("1 First Street") }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// The stage checks after each step: seq without gaps, intents on disk, state = fold of the facts, snapshots that
    /// read back as themselves, something that wakes it, money and parcel in agreement.
    #[test]
    fn any_sequence_of_inputs_keeps_the_invariants_and_can_be_brought_to_an_end(
        is_manual: bool,
        deadline_ms in prop_oneof![Just(None), Just(Some(3_000_u64)), Just(Some(15_000))],
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut story = story(is_manual, deadline_ms);
        for act in &acts {
            story.happen(act);
        }
        let scene = story.end();
        let (charges, refunds, parcels) = scene.ledger();
        prop_assert_eq!((scene.state() == "completed", charges - refunds, parcels as u32),
            if parcels == 1 { (true, 1, 1) } else { (false, 0, 0) });
    }

    /// The family is not touched by a step: only the next one, which is adopted once it is durable, has changed.
    #[test]
    fn a_step_leaves_the_family_as_it_was(acts in prop::collection::vec(act(), 1..30)) {
        let mut story = story(false, Some(15_000));
        for act in &acts {
            story.happen(act);
        }
        let scene = &story.scene;
        let snapshots = || scene.family.members().iter().map(|m| m.machine.snapshot().unwrap()).collect::<Vec<_>>();
        let before = snapshots();
        for input in [Input::Tick, Input::Pause, Input::Retry, Input::Crashed { reason: "r".to_owned() },
            Input::Signal { name: "cancel".into(), payload: Value::Null }] {
            let _not_adopted = scene.dry(&scene.id, &input);
        }
        prop_assert_eq!(snapshots(), before);
    }
}

/// `ORDAIN_PROPERTY_CASES=20000` for a long run.
fn cases() -> u32 {
    std::env::var("ORDAIN_PROPERTY_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}
