//! Histories as they were once stored, folded again: they must give the stored state for as long as there is ordain.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden_histories` writes those that are missing. A file that is there is never
//! written again: what is stored out in the world cannot be changed either.

use std::path::PathBuf;

use ordain::kernel::FactRecord;
use ordain::model::{FailureKind, RunId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::life::Life;
use super::scene::{CHARGE, DISPATCH, PREPARE, REFUND, Scene, manual};

/// One instance: an order, one of its shipments, a job, a task.
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

fn written_life(life: &Life) -> String {
    let core = life.family.root().machine.core();
    let facts = (1..).zip(&life.facts).map(|(seq, (fact, at))| StoredFact {
        seq,
        at: *at,
        kind: fact.kind.clone(),
        data: fact.data.clone(),
    });
    let golden = Golden {
        kind: life.kind.to_owned(),
        id: core.id.clone(),
        run_id: core.run_id,
        parent: None,
        state: life.state().to_owned(),
        facts: facts.collect(),
        snapshot: serde_json::from_str(&life.snapshot).unwrap(),
    };
    serde_json::to_string_pretty(&[golden]).unwrap() + "\n"
}

fn job(fail_first_attempt: bool) -> Life {
    let input = json!({
        "job_id": "job-1", "numbers": ["10", "20", "30"], "fail_first_attempt": fail_first_attempt, "fingerprint": "f",
    });
    Life::start("job", "job-1", &input)
}

fn task(text: &str) -> Life {
    let input = json!({"task_id": "t-1", "params": {"text": text, "parts": 2}, "fingerprint": "f"});
    Life::start("checksum_text", "t-1", &input)
}

type Tale = (&'static str, fn() -> Life);

/// The lives of jobs and tasks.
fn tales() -> Vec<Tale> {
    vec![
        ("job_completed_at_the_second_attempt", || {
            let mut life = job(true);
            life.fails(FailureKind::Error, "simulated failure");
            life.wait();
            life.done(json!({ "sum": "60" }));
            life
        }),
        ("job_failed", || {
            let mut life = job(false);
            life.fails(FailureKind::Validation, "the sum is too large");
            life
        }),
        ("job_cancelled", || {
            let mut life = job(false);
            life.signal("cancel", json!({ "reason": "no need" })).unwrap();
            life
        }),
        ("task_completed", || {
            let mut life = task("abc");
            life.done(json!({ "sha256": "aa" }));
            life.fails(FailureKind::Timeout, "no answer");
            life.wait();
            life.done(json!({ "sha256": "bb" }));
            life
        }),
        ("task_failed_for_its_secrets", || {
            let mut life = task("abc");
            life.fails(FailureKind::SecretsUnreadable, "the key file is missing");
            life
        }),
        ("task_cancelled", || {
            let mut life = task("abc");
            life.done(json!({ "sha256": "aa" }));
            life.signal("cancel", json!({})).unwrap();
            life
        }),
    ]
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
    let registry = ordain::tasks::builtin().registry();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        for (name, story) in stories() {
            let path = folder().join(format!("{name}.json"));
            if !path.exists() {
                std::fs::write(path, written(&story())).unwrap();
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (name, tale) in tales() {
            let path = folder().join(format!("{name}.json"));
            if !path.exists() {
                std::fs::write(path, written_life(&tale())).unwrap();
            }
        }
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 21, "the golden histories are missing");
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
    for (name, tale) in tales() {
        let life = tale();
        assert!(name.contains(life.state()), "{name} is {}", life.state());
    }
}
