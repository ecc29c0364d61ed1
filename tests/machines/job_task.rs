//! Jobs and tasks as pure machines: any sequence of inputs keeps the invariants.

use ordain::kernel::Input;
use ordain::model::FailureKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::life::Life;

fn job(fail_first_attempt: bool) -> Life {
    let input = json!({
        "job_id": "job-1", "numbers": ["10", "20", "30"], "fail_first_attempt": fail_first_attempt, "fingerprint": "f",
    });
    Life::start("job", "job-1", &input)
}

fn task(parts: u32) -> Life {
    let input = json!({"task_id": "t-1", "params": {"text": "abc", "parts": parts}, "fingerprint": "f"});
    Life::start("checksum_text", "t-1", &input)
}

#[derive(Debug, Clone)]
enum Event {
    Done(Value),
    Fails(FailureKind),
    Wait,
    Cancel,
    Again(bool),
    Pause,
    Resume,
    Crash,
    Retry,
    Odd,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => Just(Event::Done(json!({"sum": "60", "sha256": "ab"}))),
        1 => Just(Event::Done(json!({"sum": "sixty"}))),
        1 => Just(Event::Done(Value::Null)),
        3 => Just(Event::Fails(FailureKind::Error)),
        1 => Just(Event::Fails(FailureKind::Timeout)),
        1 => Just(Event::Fails(FailureKind::Refused)),
        1 => Just(Event::Fails(FailureKind::SecretsUnreadable)),
        6 => Just(Event::Wait),
        1 => Just(Event::Cancel),
        1 => any::<bool>().prop_map(Event::Again),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => Just(Event::Crash),
        2 => Just(Event::Retry),
        1 => Just(Event::Odd),
    ];
    proptest::collection::vec(event, 0..40)
}

fn live(life: &mut Life, events: &[Event]) {
    for event in events {
        let (state, facts) = (life.state(), life.facts.len());
        let ended = life.family.root().machine.is_terminal();
        let outcome = match event {
            Event::Done(result) if !life.calls.is_empty() => Ok(life.done(result.clone())),
            Event::Fails(kind) if !life.calls.is_empty() => Ok(life.fails(*kind, "planned")),
            Event::Done(_) | Event::Fails(_) => Ok(false),
            Event::Wait => Ok(life.wait()),
            Event::Cancel => life.signal("cancel", json!({})),
            Event::Again(same) => life.signal("start", json!({"fingerprint": if *same { "f" } else { "g" }})),
            Event::Pause => life.feed(&Input::Pause),
            Event::Resume => life.feed(&Input::Resume),
            Event::Crash => life.feed(&Input::Crashed { reason: "planned".into() }),
            Event::Retry => life.feed(&Input::Retry),
            Event::Odd => life.signal("odd", Value::Null),
        };
        // What is refused changes nothing, and neither does anything after the end.
        if outcome.is_err() || ended {
            assert_eq!((life.state(), life.facts.len()), (state, facts), "{event:?}");
        }
    }
    life.check();
}

proptest! {
    #[test]
    fn a_job_keeps_its_invariants(fail: bool, events in events()) {
        let mut life = job(fail);
        live(&mut life, &events);
        let document: Value = serde_json::from_str(life.document().get()).unwrap();
        prop_assert_eq!(document["result"].is_object(), life.state() == "completed");
        prop_assert_eq!(document["error"].is_object(), life.state() == "failed");
    }

    #[test]
    fn a_task_keeps_its_invariants(parts in 1_u32..6, events in events()) {
        let mut life = task(parts);
        live(&mut life, &events);
        let document: Value = serde_json::from_str(life.document().get()).unwrap();
        prop_assert_eq!(!document["result"].is_null(), life.state() == "completed");
        prop_assert!(document["progress"]["done"].as_u64().unwrap() <= u64::from(parts));
        if life.state() == "completed" {
            prop_assert_eq!(document["progress"]["done"].as_u64(), Some(u64::from(parts)));
        }
    }
}

#[test]
fn every_step_of_a_task_has_a_key_of_its_own_that_its_attempts_share() {
    let mut life = task(2);
    let first = life.calls[0].idempotency_key.clone();
    assert_eq!(first, "t-1/checksum_part/1");
    life.fails(FailureKind::Error, "once");
    assert!(life.wait());
    assert_eq!((life.calls[0].idempotency_key.as_str(), life.calls[0].attempt), (first.as_str(), 2));
    life.done(json!({"sha256": "a"}));
    assert_eq!(life.calls[0].idempotency_key, "t-1/checksum_part/2");
}

#[test]
fn a_job_gives_up_after_three_attempts_and_says_why() {
    let mut life = job(false);
    for _ in 0..2 {
        life.fails(FailureKind::Error, "broken");
        assert!(life.wait());
    }
    life.fails(FailureKind::Error, "broken for good");
    let document: Value = serde_json::from_str(life.document().get()).unwrap();
    assert_eq!((life.state(), &document["attempts_taken"]), ("failed", &json!(3)));
    assert_eq!((&document["error"]["message"], &document["error"]["attempt"]), (&json!("broken for good"), &json!(3)));
    assert_eq!(life.signal("cancel", Value::Null), Err("job_not_cancellable".to_owned()));
}
