//! Jobs and tasks as people read them. Part of `show`.

use comfy_table::Cell;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{relative, state, table, text};
use crate::cli::terminal::clean;

fn rows(pairs: Vec<(&str, Cell)>) -> String {
    let mut table = table(&[]);
    for (name, value) in pairs {
        table.add_row([Cell::new(name), value]);
    }
    table.to_string()
}

fn told<'a>(pairs: &mut Vec<(&'a str, Cell)>, name: &'a str, value: &Value, words: impl Fn(&Value) -> String) {
    if !value.is_null() {
        pairs.push((name, Cell::new(words(value))));
    }
}

fn error(value: &Value) -> String {
    format!("{}: {}", text(&value["kind"]), text(&value["message"]))
}

/// What a job's document says of its sum, digit by digit: as a number of the JSON library it would be rounded.
#[derive(Deserialize)]
struct Summed {
    result: Option<Sum>,
}

#[derive(Deserialize)]
struct Sum {
    sum: Box<RawValue>,
}

fn exact(raw: &RawValue) -> Value {
    let mut job: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    if let Ok(Summed { result: Some(Sum { sum }) }) = serde_json::from_str(raw.get()) {
        job["result"]["sum"] = json!(sum.get());
    }
    job
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// One job.
pub fn job(text_of: &str) -> String {
    let job = &serde_json::from_str::<&RawValue>(text_of).map(exact).unwrap_or_default();
    let mut pairs = vec![("job", Cell::new(text(&job["job_id"]))), ("status", state(&job["status"]))];
    told(&mut pairs, "sum", &job["result"]["sum"], text);
    told(&mut pairs, "attempts", &job["attempts_taken"], text);
    told(&mut pairs, "error", &job["error"], error);
    told(&mut pairs, "created", &job["created_at"], relative);
    told(&mut pairs, "ended", &job["completed_at"], relative);
    rows(pairs)
}

/// One task.
pub fn task(text_of: &str) -> String {
    let task = &parsed(text_of);
    let mut pairs = vec![
        ("task", Cell::new(text(&task["task_id"]))),
        ("type", Cell::new(text(&task["task_type"]))),
        ("status", state(&task["status"])),
    ];
    told(&mut pairs, "progress", &task["progress"], progress);
    told(&mut pairs, "result", &task["result"], text);
    told(&mut pairs, "error", &task["error"], error);
    told(&mut pairs, "parameters", &task["task_params"], text);
    told(&mut pairs, "created", &task["created_at"], relative);
    told(&mut pairs, "ended", &task["completed_at"], relative);
    rows(pairs)
}

fn progress(value: &Value) -> String {
    let total = if value["total"].is_null() { String::new() } else { format!(" of {}", text(&value["total"])) };
    format!("{}{total}, {}", text(&value["done"]), text(&value["message"]))
}

fn page(page: &Value, name: &str, head: &[&str], row: impl Fn(&Value) -> Vec<Cell>) -> String {
    let all = page[name].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return format!("no {name}");
    }
    let mut table = table(head);
    table.add_rows(all.iter().map(row));
    match page["next_cursor"].as_str() {
        Some(cursor) => format!("{table}\nmore: --cursor {}", clean(cursor)),
        None => table.to_string(),
    }
}

/// A page of jobs.
pub fn jobs(text_of: &str) -> String {
    let value = match serde_json::from_str::<Jobs>(text_of) {
        Ok(Jobs { jobs, next_cursor }) => {
            json!({ "jobs": jobs.iter().map(|job| exact(job)).collect::<Vec<_>>(), "next_cursor": next_cursor })
        }
        Err(_) => Value::Null,
    };
    page(&value, "jobs", &["job", "status", "sum", "attempts", "created"], |job| {
        vec![
            Cell::new(text(&job["job_id"])),
            state(&job["status"]),
            Cell::new(text(&job["result"]["sum"])),
            Cell::new(text(&job["attempts_taken"])),
            Cell::new(relative(&job["created_at"])),
        ]
    })
}

/// A page of tasks.
pub fn tasks(text_of: &str) -> String {
    page(&parsed(text_of), "tasks", &["task", "type", "status", "progress", "created"], |task| {
        vec![
            Cell::new(text(&task["task_id"])),
            Cell::new(text(&task["task_type"])),
            state(&task["status"]),
            Cell::new(progress(&task["progress"])),
            Cell::new(relative(&task["created_at"])),
        ]
    })
}

/// The types of task.
pub fn task_types(text_of: &str) -> String {
    page(&parsed(text_of), "types", &["type", "queue", "parameters", "description"], |entry| {
        let schema = &entry["params_schema"];
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys());
        // What must be given, and in brackets what may.
        let names = names
            .map(|name| if required.iter().any(|r| r == name) { clean(name) } else { format!("[{}]", clean(name)) });
        vec![
            Cell::new(text(&entry["name"])),
            Cell::new(text(&entry["queue"])),
            Cell::new(names.collect::<Vec<_>>().join(" ")),
            Cell::new(text(&entry["description"])),
        ]
    })
}
