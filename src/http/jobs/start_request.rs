//! Reading a job: strictly, every fault told, numbers as they were written.

use std::sync::Arc;

use crate::http::fingerprint::hash;
use crate::http::json::{At, Fault, Faults, Json, object};
use crate::model::WorkflowId;
use crate::workflows::job::{JobStart, NUMBERS_MAX, check};

/// Reads a job.
///
/// # Errors
/// Every fault of the body.
pub fn read(job_id: WorkflowId, body: Option<&Json<'_>>) -> Result<JobStart, Vec<Fault>> {
    let mut faults = Faults::default();
    let root = At::ROOT;
    let (mut numbers, mut fail_first_attempt) = (None, false);
    let mut saw_input = false;
    let entries = match body {
        Some(body) => object(body, &root, &mut faults).unwrap_or_default(),
        None => &[],
    };
    for (key, json) in entries {
        let at = root.key(key);
        match key.as_ref() {
            "input" => {
                saw_input = true;
                numbers = input(json, &at, &mut faults);
            }
            "options" if *json == Json::Null => {}
            "options" => fail_first_attempt = options(json, &at, &mut faults),
            _ => faults.add(&at, "is not a field of a job"),
        }
    }
    if !saw_input && faults.is_empty() {
        faults.add(&root.key("input"), "is missing");
    }
    let mut canonical = String::new();
    if let Some(body) = body {
        body.write_canonical(&mut canonical);
    }
    let numbers = Arc::new(numbers.unwrap_or_default());
    faults.or(JobStart { job_id, numbers, fail_first_attempt, fingerprint: hash(&[&canonical]) })
}

fn input(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let (mut numbers, mut saw) = (None, false);
    for (key, json) in object(json, at, faults)? {
        let at = at.key(key);
        match key.as_ref() {
            "numbers" => {
                saw = true;
                numbers = list(json, &at, faults);
            }
            _ => faults.add(&at, "is not a field of a job's input"),
        }
    }
    if !saw {
        faults.add(&at.key("numbers"), "is missing");
    }
    numbers
}

fn list(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let Json::List(list) = json else {
        faults.add(at, format!("must be a list of numbers, is {}", json.kind()));
        return None;
    };
    if list.len() > NUMBERS_MAX {
        faults.add(at, format!("must have at most {NUMBERS_MAX} numbers, has {}", list.len()));
        return None;
    }
    let mut numbers = Vec::with_capacity(list.len());
    for (index, json) in list.iter().enumerate() {
        match json {
            Json::Number(number) => match check(number) {
                Ok(()) => numbers.push((*number).to_owned()),
                Err(why) => faults.add(&at.index(index), why.to_string()),
            },
            other => faults.add(&at.index(index), format!("must be a number, is {}", other.kind())),
        }
    }
    Some(numbers)
}

fn options(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> bool {
    let mut fail_first_attempt = false;
    for (key, json) in object(json, at, faults).unwrap_or_default() {
        let at = at.key(key);
        match (key.as_ref(), json) {
            ("fail_first_attempt", Json::Bool(yes)) => fail_first_attempt = *yes,
            ("fail_first_attempt", other) => faults.add(&at, format!("must be true or false, is {}", other.kind())),
            _ => faults.add(&at, "is not an option of a job"),
        }
    }
    fail_first_attempt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::parse;

    fn of(text: &str) -> Result<JobStart, Vec<String>> {
        let body = parse(text.as_bytes()).unwrap();
        read(WorkflowId::new("job-1"), Some(&body)).map_err(|f| f.into_iter().map(|f| f.pointer).collect())
    }

    #[test]
    fn a_job_is_read_with_its_numbers_as_they_were_written() {
        let job = of(r#"{"input":{"numbers":[1, 2.50, 99999999999999999999]},"options":{"fail_first_attempt":true}}"#);
        let job = job.unwrap();
        assert_eq!(*job.numbers, ["1", "2.50", "99999999999999999999"]);
        assert!(job.fail_first_attempt);
        assert!(!of(r#"{"input":{"numbers":[]},"options":{}}"#).unwrap().fail_first_attempt);
        assert!(of(r#"{"options":null,"input":{"numbers":[]}}"#).is_ok());
    }

    #[test]
    fn every_fault_is_told() {
        for (text, pointers) in [
            ("{}", vec!["/input"]),
            ("[]", vec![""]),
            (r#"{"input":{}}"#, vec!["/input/numbers"]),
            (r#"{"input":{"numbers":"1,2"}}"#, vec!["/input/numbers"]),
            (
                r#"{"input":{"numbers":[1,"2",null,1e999]}}"#,
                vec!["/input/numbers/1", "/input/numbers/2", "/input/numbers/3"],
            ),
            (r#"{"input":{"numbers":[],"x":1},"y":2}"#, vec!["/input/x", "/y"]),
            (
                r#"{"input":{"numbers":[]},"options":{"fail_first_attempt":1,"fail_twice":true}}"#,
                vec!["/options/fail_first_attempt", "/options/fail_twice"],
            ),
        ] {
            assert_eq!(of(text).unwrap_err(), pointers, "{text}");
        }
        let many = format!(r#"{{"input":{{"numbers":[{}1]}}}}"#, "1,".repeat(NUMBERS_MAX));
        assert_eq!(of(&many).unwrap_err(), ["/input/numbers"]);
    }
}
