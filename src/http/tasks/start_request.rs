//! Reading a start of a task: strictly, every fault told, no secret repeated.

use actix_web::http::StatusCode;
use serde_json::Value;

use crate::http::json::{At, Fault, Faults, Json, object, text, value};
use crate::http::problem::Problem;
use crate::model::{ID_BYTES_MAX, OrderId};
use crate::secrets;
use crate::tasks::{self, TaskTypes, TypeEntry};

/// A task as it was sent. Its secrets are not sealed yet: nothing of it may be stored or logged.
pub struct Sent<'a> {
    pub entry: &'a TypeEntry,
    pub params: Value,
    pub task_id: Option<OrderId>,
    /// What was asked for, in a form that does not depend on how it was written.
    pub canonical: String,
}

const TYPE_BYTES_MAX: usize = 64;
/// Ids that would be other resources.
const RESERVED: [&str; 2] = ["types", "start"];

/// Reads a start.
///
/// # Errors
/// 422 with every fault; `unknown_task_type` where there is no such type.
pub fn read<'a>(types: &'a TaskTypes, body: Option<&Json<'_>>) -> Result<Sent<'a>, Problem> {
    let mut faults = Faults::default();
    let root = At::ROOT;
    let (mut task_type, mut params, mut task_id) = (None, None, None);
    let entries = match body {
        Some(body) => object(body, &root, &mut faults).unwrap_or_default(),
        None => &[],
    };
    for (key, json) in entries {
        let at = root.key(key);
        match (key.as_ref(), json) {
            ("task_type", json) => task_type = Some(text(json, &at, TYPE_BYTES_MAX, &mut faults)),
            ("task_params", json) => params = Some(value(json, &at, &mut faults)),
            ("task_id", Json::Null) => {}
            ("task_id", json) => task_id = id(json, &at, &mut faults),
            _ => faults.add(&at, "is not a field of a task"),
        }
    }
    if task_type.is_none() && faults.is_empty() {
        faults.add(&root.key("task_type"), "is missing");
    }
    faults.or(())?;
    let name = task_type.flatten().unwrap_or_default();
    let entry = types.get(name).ok_or_else(|| unknown(types, name))?;
    // A type whose parameters are all optional may be started without any.
    let params = params.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    check(entry, &params)?;
    let mut canonical = format!("{name}\0");
    if let Some((_, json)) = entries.iter().find(|(key, _)| key == "task_params") {
        json.write_canonical(&mut canonical);
    }
    Ok(Sent { entry, params, task_id, canonical })
}

fn unknown(types: &TaskTypes, name: &str) -> Problem {
    let known: Vec<&str> = types.iter().map(|entry| entry.name).collect();
    let detail = format!("there is no task type {name:?}; known are {}", known.join(", "));
    let errors = vec![Fault { pointer: "/task_type".to_owned(), message: "is not a task type".to_owned() }];
    Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_task_type", detail) }
}

fn id(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<OrderId> {
    let id =
        OrderId::parse(text(json, at, ID_BYTES_MAX, faults)?).map_err(|why| faults.add(at, why.to_string())).ok()?;
    if RESERVED.contains(&id.as_str()) {
        faults.add(at, "is reserved");
    }
    Some(id)
}

/// The parameters against the type's schema.
fn check(entry: &TypeEntry, params: &Value) -> Result<(), Problem> {
    let place = |pointer: &str| format!("/task_params{pointer}");
    let mut errors: Vec<Fault> = tasks::faults(&entry.schema, params)
        .into_iter()
        .map(|fault| Fault { pointer: place(&fault.pointer), message: fault.message })
        .collect();
    for (pointer, message) in secrets::faults(params) {
        errors.push(Fault { pointer: place(&pointer), message: message.to_owned() });
    }
    if errors.is_empty() {
        match entry.faults(params) {
            Ok(faults) => {
                errors.extend(faults.into_iter().map(|(at, message)| Fault { pointer: place(at), message }));
            }
            // The words of the reader may repeat a value.
            Err(_) => errors.push(Fault {
                pointer: place(""),
                message: "is not what the type takes, though its schema does".to_owned(),
            }),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::parse;

    fn of(text: &str) -> Result<String, (String, Vec<String>)> {
        let types = tasks::builtin();
        let body = parse(text.as_bytes()).unwrap();
        let sent = read(&types, Some(&body));
        let faults = |problem: Problem| {
            (problem.code.into_owned(), problem.errors.into_iter().map(|f| f.pointer).collect::<Vec<_>>())
        };
        sent.map(|sent| sent.canonical).map_err(faults)
    }

    #[test]
    fn a_task_is_read_by_the_schema_of_its_type() {
        let one = of(r#"{"task_type":"checksum_text","task_params":{"text":"a","parts":2}}"#).unwrap();
        let other = of(r#"{"task_params":{"parts":2,"text":"\u0061"},"task_type":"checksum_text"}"#).unwrap();
        assert_eq!(one, other);
        let invalid = |pointers: &[&str]| {
            Err(("invalid_request".to_owned(), pointers.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()))
        };
        assert_eq!(of("{}"), invalid(&["/task_type"]));
        assert_eq!(of(r#"{"task_type":"checksum_text"}"#), invalid(&["/task_params/text"]));
        assert_eq!(of(r#"{"task_type":"checksum_text","task_params":[]}"#), invalid(&["/task_params"]));
        assert_eq!(
            of(r#"{"task_type":"checksum_text","task_params":{"text":1,"parts":0,"more":1}}"#),
            invalid(&["/task_params/more", "/task_params/parts", "/task_params/text"])
        );
        assert_eq!(of(r#"{"task_type":"checksum_text","x":1,"task_id":"types"}"#), invalid(&["/x", "/task_id"]));
        assert_eq!(of(r#"{"task_type":"odd"}"#), Err(("unknown_task_type".to_owned(), vec!["/task_type".to_owned()])));
    }
}
