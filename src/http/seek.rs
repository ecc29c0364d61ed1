//! What jobs and tasks share: the id of a path, waiting for an end, pages of a list by kind, cursors.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::json::{At, Fault, Faults, write_text};
use super::orders::status::WAIT_SECONDS_MAX;
use super::problem::Problem;
use super::query::Query;
use crate::model::{Key, OrderId, WorkflowId};
use crate::runtime::Engine;
use crate::store::{KindFilter, KindPage};

/// Rows on a page of a list.
pub const LIMIT: usize = 50;
pub const LIMIT_MAX: usize = 500;

/// The id of a path, in the form of an order's.
pub fn path_id(req: &HttpRequest, name: &str, code: &'static str, what: &str) -> Result<WorkflowId, Problem> {
    let id = OrderId::parse(req.match_info().get(name).unwrap_or_default()).map_err(|why| {
        let mut faults = Faults::default();
        let root = At::ROOT;
        faults.add(&root.key("path").key(name), why.to_string());
        let errors = faults.or(()).err().unwrap_or_default();
        Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, format!("the {what} id {why}")) }
    })?;
    Ok(id.workflow())
}

/// How long an answer is to be held: `wait`, in seconds.
pub fn wait(query: &mut Query) -> Option<Duration> {
    let wait = query.take_as("wait", "must be a number of seconds from 0 to 60", |text| {
        text.parse::<f64>().ok().filter(|s| (0.0..=WAIT_SECONDS_MAX).contains(s)).map(Duration::from_secs_f64)
    });
    wait.filter(|wait| !wait.is_zero())
}

/// What a list of a group of kinds is narrowed by: `state` (or `status`, as the documents call it), `limit`, `cursor`.
///
/// # Errors
/// Every fault of the query.
pub fn filter(mut query: Query, kinds: Vec<&'static str>, states: &[&str]) -> Result<KindFilter, Vec<Fault>> {
    let mut named = Vec::new();
    for name in ["state", "status"] {
        let given = query.take_as(name, "must be states, separated by commas", |text| {
            let given: Vec<String> = text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
            given.iter().all(|s| states.contains(&s.as_str()) || s == "stuck").then_some(given)
        });
        named.extend(given.unwrap_or_default());
    }
    let limit = query.take_as("limit", "must be a whole number from 1 to 500", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    });
    let before = query.take_as("cursor", "is not a cursor of a list", read_cursor);
    query.finish().or(KindFilter { kinds, owner: None, states: named, before, limit: limit.unwrap_or(LIMIT) })
}

/// A page of documents under a name. Makes the documents: not for a thread that serves requests.
pub fn write(engine: &Engine, page: &KindPage, name: &str) -> Result<String, Problem> {
    let mut json = format!("{{\"{name}\":[");
    for (index, family) in page.families.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(engine.document(family)?.get());
    }
    json.push_str("],\"next_cursor\":");
    match page.next {
        Some(key) => write_text(&write_cursor(key), &mut json),
        None => json.push_str("null"),
    }
    json.push('}');
    Ok(json)
}

/// A cursor as a client carries it: hexadecimal digits, so that nobody is tempted to build one.
pub fn write_cursor(key: Key) -> String {
    format!("{:016x}", key.0)
}

fn read_cursor(text: &str) -> Option<Key> {
    let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    i64::from_str_radix(text, 16).ok().filter(|_| digits).map(Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_narrowed_strictly() {
        let states = ["running", "failed"];
        let read = |raw: &str| filter(Query::read(raw), vec!["job"], &states);
        let plain = read("").unwrap();
        assert_eq!((plain.limit, plain.before, plain.states.len()), (LIMIT, None, 0));
        let key = Key(42);
        let full = read(&format!("state=failed,stuck&limit=7&cursor={}", write_cursor(key))).unwrap();
        assert_eq!((full.limit, full.before, full.states), (7, Some(key), vec!["failed".into(), "stuck".into()]));
        for bad in ["state=odd", "limit=0", "limit=501", "cursor=zz", "cursor=-000000000000001", "x=1"] {
            assert_eq!(read(bad).unwrap_err().len(), 1, "{bad}");
        }
    }
}
