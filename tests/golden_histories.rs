//! Histories as they were once stored, folded again: they must give the stored state for as long as there is ordain.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden_histories` writes those that are missing. A file that is there is never
//! written again: what is stored out in the world cannot be changed either.

#[path = "scene/mod.rs"]
mod scene;

use std::path::PathBuf;

use ordain::kernel::FactRecord;
use ordain::model::{FailureKind, RunId, Timestamp, WorkflowId};
use scene::{CHARGE, DISPATCH, PREPARE, REFUND, Scene, manual};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// One instance: an order or one of its shipments.
#[derive(Serialize, Deserialize)]
struct Golden {
    kind: String,
    id: WorkflowId,
    run_id: RunId,
    parent: Option<WorkflowId>,
    state: String,
    facts: Vec<StoredFact>,
    snapshot: Value,
}

#[derive(Serialize, Deserialize)]
struct StoredFact {
    seq: u64,
    at: Timestamp,
    #[serde(rename = "type")]
    kind: String,
    data: Box<RawValue>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/histories")
}

fn written(scene: &Scene) -> String {
    let instances: Vec<Golden> = scene
        .store
        .family_rows(&scene.id)
        .map(|(_, row)| Golden {
            kind: row.kind.to_owned(),
            id: row.id.clone(),
            run_id: row.run_id,
            parent: row.parent.clone(),
            state: row.state.to_owned(),
            facts: (1..)
                .zip(scene.store.facts(&row.id).unwrap())
                .map(|(seq, (fact, at))| StoredFact { seq, at, kind: fact.kind, data: fact.data })
                .collect(),
            snapshot: serde_json::from_str(&row.snapshot).unwrap(),
        })
        .collect();
    serde_json::to_string_pretty(&instances).unwrap() + "\n"
}

type Story = (&'static str, fn() -> Scene);

fn stories() -> Vec<Story> {
    vec![
        ("completed", || Scene::placed().ended()),
        ("completed_after_manual_review_and_new_address", || {
            let mut scene = Scene::new(manual).at_state("in_review");
            scene.wait(86_400_000);
            scene.signal("update_address", serde_json::json!({ "address": { "street": "2 Second Street", "zip_code": "12345", "country": "SE" } })).unwrap();
            scene.approve().unwrap();
            scene.ended()
        }),
        ("completed_after_lost_answers", || {
            let mut scene = Scene::placed().calling(CHARGE);
            scene.happens_but(CHARGE, FailureKind::Timeout);
            scene.wait_for_timer();
            scene.fails(CHARGE, FailureKind::Unreachable);
            scene = scene.calling(PREPARE);
            scene.fails(PREPARE, FailureKind::Error);
            scene = scene.calling(DISPATCH);
            scene.happens_but(DISPATCH, FailureKind::UnknownOutcome);
            scene.ended()
        }),
        ("completed_in_the_second_round_of_shipping", || {
            let mut scene = Scene::placed().calling(DISPATCH);
            scene.refused(DISPATCH);
            scene.move_to("2 Second Street").unwrap();
            scene.ended()
        }),
        ("completed_after_a_pause", || {
            let mut scene = Scene::placed().at_state("in_review");
            scene.wait(300);
            scene.pause().unwrap();
            scene.wait(60_000);
            scene.resume().unwrap();
            scene.ended()
        }),
        ("completed_after_being_stuck_and_a_crash", || {
            let mut scene = Scene::placed().calling(CHARGE);
            scene.actor_gives_up().unwrap();
            scene.crash();
            scene.wait(5_000);
            scene.retry().unwrap();
            scene.fails(CHARGE, FailureKind::Unreachable);
            scene.ended()
        }),
        ("completed_after_a_decline_and_a_retry", || {
            let mut scene = Scene::placed().calling(CHARGE);
            scene.refused(CHARGE);
            scene.wait(10_000);
            scene.retry().unwrap();
            scene.ended()
        }),
        ("completed_past_the_deadline_with_the_parcel_gone", || {
            let mut scene = Scene::placed().calling(DISPATCH);
            scene.happens_but(DISPATCH, FailureKind::Timeout);
            while scene.state() == "shipping" {
                scene.wait_for_timer();
                if scene.is_calling(DISPATCH) {
                    scene.fails(DISPATCH, FailureKind::Timeout);
                }
            }
            scene.ended()
        }),
        ("cancelled_before_the_charge", || {
            let mut scene = Scene::placed().at_state("in_review");
            scene.cancel().unwrap();
            scene
        }),
        ("cancelled_while_charging_and_refunded_with_patience", || {
            let mut scene = Scene::placed().calling(CHARGE);
            scene.cancel().unwrap();
            scene.done(CHARGE);
            for kind in [FailureKind::Refused, FailureKind::Error, FailureKind::Panic, FailureKind::RateLimited] {
                scene.fails(REFUND, kind);
                scene.wait_for_timer();
            }
            scene.ended()
        }),
        ("cancelled_while_the_package_was_prepared", || {
            let mut scene = Scene::placed().calling(PREPARE);
            scene.cancel().unwrap();
            scene.ended()
        }),
        ("failed_validation", || {
            let mut scene = Scene::placed().calling("validate_order");
            scene.fails("validate_order", FailureKind::Validation);
            scene
        }),
        ("failed_after_three_rounds_of_shipping", || {
            let mut scene = Scene::placed();
            for _ in 0..3 {
                scene = scene.calling(DISPATCH);
                scene.refused(DISPATCH);
            }
            scene.ended()
        }),
        ("timed_out_and_refunded", || {
            let mut scene = Scene::placed().calling(PREPARE);
            scene.wait(15_000);
            scene.ended()
        }),
        ("timed_out_in_review", || {
            let mut scene = Scene::new(|start| {
                manual(start);
                start.review.deadline_ms = Some(3_600_000);
            })
            .at_state("in_review");
            scene.wait(3_600_000);
            scene
        }),
    ]
}

#[test]
fn every_stored_history_folds_to_its_stored_state() {
    let registry = ordain::workflows::registry();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        for (name, story) in stories() {
            let path = folder().join(format!("{name}.json"));
            if !path.exists() {
                std::fs::write(path, written(&story())).unwrap();
            }
        }
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15, "the golden histories are missing");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let instances: Vec<Golden> = serde_json::from_str(&text).unwrap();
        for golden in instances {
            let at = format!("{}: {}", path.display(), golden.id);
            let numbered = (1..).zip(&golden.facts).all(|(n, stored)| stored.seq == n);
            assert!(numbered, "{at}: seq has a gap");
            let facts = golden.facts.into_iter();
            let facts: Vec<_> = facts.map(|f| (FactRecord { kind: f.kind, data: f.data }, f.at)).collect();
            let facts = facts.iter().map(|(fact, at)| (fact, *at));
            let machine = registry.fold(&golden.kind, &golden.id, golden.run_id, golden.parent, facts).unwrap();
            let folded: Value = serde_json::from_str(&machine.snapshot().unwrap()).unwrap();
            assert_eq!(folded, golden.snapshot, "{at}");
            assert_eq!(machine.state_name(), golden.state, "{at}");
            let restored = registry.restore(&golden.kind, &golden.snapshot.to_string()).unwrap();
            assert_eq!(restored.state_name(), golden.state, "{at}: its snapshot reads otherwise");
        }
    }
}

#[test]
fn each_story_ends_as_its_name_says() {
    for (name, story) in stories() {
        let scene = story();
        assert!(scene.family.root().machine.is_terminal(), "{name}");
        assert!(name.starts_with(scene.state()), "{name} is {}", scene.state());
    }
}
