//! What decodes input from outside, as fuzzers call it: one function a target, which panics where a promise is broken.
//!
//! `fuzz/` calls them under libFuzzer, `tests/machines/fuzz_properties.rs` in the ordinary test command, on arbitrary bytes and on
//! valid inputs with a few changes. Nothing else may use them.
#![doc(hidden)]

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::config;
use crate::http::OrderDefaults;
use crate::http::json::{Json, JsonError, parse};
use crate::http::orders::{signals, start_request};
use crate::http::query::Query;
use crate::http::{jobs, tasks as task_requests};
use crate::kernel::{FactRecord, Machine, Registry};
use crate::model::{OrderId, RunId, Timestamp, WorkflowId};
use crate::tasks::{TaskTypes, builtin};
use crate::workflows::order::OrderStart;

static TYPES: LazyLock<TaskTypes> = LazyLock::new(builtin);
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| TYPES.registry());

/// The query and the body of a start, and the bodies of signals, jobs and tasks. The query is the first line.
pub fn start_body(data: &[u8]) {
    let (query, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (String::from_utf8_lossy(&data[..at]).into_owned(), &data[at + 1..]),
        None => (String::new(), data),
    };
    let Ok(order_id) = OrderId::parse("o-1") else { return };
    let json = if body.is_empty() { None } else { parse(body).ok() };
    let read = || start_request::read(&order_id, Query::read(&query), json.as_ref(), &OrderDefaults::default());
    match read() {
        Ok(start) => {
            // What is stored is read again after any crash, and means the same.
            let stored = serde_json::to_value(&start).expect("a start can be written");
            let again: OrderStart =
                serde_json::from_value(stored.clone()).expect("a start that was written can be read");
            assert_eq!(serde_json::to_value(&again).expect("and written"), stored);
            assert_eq!(read().expect("it was read before").fingerprint, start.fingerprint);
        }
        Err(faults) => assert!(!faults.is_empty(), "refused without a word"),
    }
    let _ = signals::nothing(json.as_ref());
    let _ = signals::cancel_payload(json.as_ref());
    let _ = signals::address_payload(json.as_ref());
    let _ = jobs::start_request::read(WorkflowId::new("job-1"), json.as_ref());
    let _ = task_requests::start_request::read(&TYPES, json.as_ref());
}

/// Strict JSON: what it takes is JSON, and what it refuses is either none or refused on purpose.
pub fn http_json(data: &[u8]) {
    let theirs = serde_json::from_slice::<Value>(data);
    match parse(data) {
        Ok(ours) => {
            let mut text = String::new();
            ours.write_canonical(&mut text);
            let again = parse(text.as_bytes()).expect("what was written canonically can be read");
            let mut rewritten = String::new();
            again.write_canonical(&mut rewritten);
            assert_eq!(text, rewritten);
            // They refuse numbers beyond a float; ours keep the digits.
            if let Ok(theirs) = theirs {
                assert!(same(&ours, &theirs), "{text} is not {theirs}");
            } else {
                assert!(has_large_number(&ours), "only we take {text}");
            }
        }
        Err(JsonError::DuplicateKey { .. } | JsonError::TooDeep(_)) => {}
        Err(error) => assert!(theirs.is_err(), "only they take it: {error}"),
    }
}

fn same(ours: &Json<'_>, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(a), Value::Bool(b)) => a == b,
        (Json::Number(a), Value::Number(_)) => serde_json::from_str::<Value>(a).is_ok_and(|a| a == *theirs),
        (Json::Text(a), Value::String(b)) => a == b,
        (Json::List(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key.as_ref()).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

fn has_large_number(json: &Json<'_>) -> bool {
    match json {
        Json::Number(number) => !number.parse::<f64>().is_ok_and(f64::is_finite),
        Json::List(list) => list.iter().any(has_large_number),
        Json::Object(entries) => entries.iter().any(|(_, item)| has_large_number(item)),
        _ => false,
    }
}

/// An instance as it is stored: a family of them is one input.
#[derive(Deserialize)]
struct Stored {
    kind: String,
    id: WorkflowId,
    run_id: RunId,
    parent: Option<WorkflowId>,
    facts: Vec<StoredFact>,
    snapshot: Value,
}

#[derive(Deserialize)]
struct StoredFact {
    at: Timestamp,
    #[serde(flatten)]
    fact: Value,
}

/// Stored histories and snapshots: read or refused, and what is read can be asked anything and written again.
pub fn history(data: &[u8]) {
    let Ok(family) = serde_json::from_slice::<Vec<Stored>>(data) else { return };
    for stored in &family {
        let read = |fact: &StoredFact| Some((serde_json::from_str(&fact.fact.to_string()).ok()?, fact.at));
        let Some(facts) = stored.facts.iter().map(read).collect::<Option<Vec<(FactRecord, Timestamp)>>>() else {
            return;
        };
        let facts = facts.iter().map(|(fact, at)| (fact, *at));
        if let Ok(machine) = REGISTRY.fold(&stored.kind, &stored.id, stored.run_id, stored.parent.clone(), facts) {
            ask(&stored.kind, machine.as_ref());
        }
        if let Ok(machine) = REGISTRY.restore(&stored.kind, &stored.snapshot.to_string()) {
            ask(&stored.kind, machine.as_ref());
        }
    }
}

fn ask(kind: &str, machine: &dyn Machine) {
    let _ = (machine.state_name(), machine.is_terminal(), machine.waiting_for(), machine.outstanding());
    let _ = (machine.next_timer(), machine.payment(), machine.trace());
    machine.document(&[], None).expect("what was read can be shown");
    let snapshot = machine.snapshot().expect("what was read can be written");
    let again = REGISTRY.restore(kind, &snapshot).expect("what was written can be read");
    assert_eq!(again.snapshot().expect("and written again"), snapshot);
}

/// A configuration file and an environment: used or refused with a sentence. They are kept apart by a line `---`.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (file, environment) = text.split_once("\n---\n").unwrap_or((&text, ""));
    if let Err(error) = config::decode(file, environment) {
        assert!(!error.to_string().is_empty(), "refused without a word");
    }
}
