//! Answers of the server as people read them.

use std::io::IsTerminal;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::model::Timestamp;

/// Whether to colour: on a terminal, unless NO_COLOR is set.
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !head.is_empty() {
        table.set_header(head.iter().map(|h| Cell::new(h.to_uppercase())));
    }
    table
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn state(value: &Value) -> Cell {
    let name = text(value);
    let colour = match name.as_str() {
        "completed" => Color::Green,
        "failed" | "timed_out" | "stuck" => Color::Red,
        "cancelled" | "compensating" => Color::Yellow,
        _ => Color::Cyan,
    };
    let cell = Cell::new(&name);
    if colours() { cell.fg(colour) } else { cell }
}

/// An instant as people say it: `3 s ago`, `in 2 min`.
fn relative(value: &Value) -> String {
    let Some(at) = value.as_str().and_then(Timestamp::parse) else { return text(value) };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let ms = now - at.0;
    let s = ms.unsigned_abs() / 1_000;
    let length = match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    };
    if ms < 0 { format!("in {length}") } else { format!("{length} ago") }
}

/// What an order waits for, in words.
fn waits(status: &Value) -> String {
    let one = |wait: &Value| {
        let name = text(&wait["name"]);
        let mut words = match wait["kind"].as_str() {
            Some("signal") => format!("the signal {name}"),
            Some("timer") => format!("the timer {name}"),
            _ => name,
        };
        if let Some(error) = wait["last_error"]["message"].as_str() {
            words.push_str(&format!(" ({error})"));
        }
        if let Some(attempt) = wait["attempt"].as_u64() {
            words.push_str(&format!(", attempt {attempt}"));
        }
        if !wait["until"].is_null() {
            words.push_str(&format!(", {}", relative(&wait["until"])));
        }
        words
    };
    let waits = status["live"]["waiting_for"].as_array().map(|w| w.iter().map(one).collect::<Vec<_>>());
    match waits {
        Some(waits) if !waits.is_empty() => waits.join("; "),
        _ => "-".to_owned(),
    }
}

fn address(value: &Value) -> String {
    match value {
        Value::Object(fields) => fields.values().map(text).collect::<Vec<_>>().join(", "),
        other => text(other),
    }
}

fn money(payment: &Value) -> String {
    format!("{} {} {}", text(&payment["amount"]), text(&payment["currency"]), text(&payment["status"]))
}

/// One order.
pub fn order(status: &Value) -> String {
    let mut table = table(&[]);
    let mut row = |name: &str, value: String| {
        table.add_row([Cell::new(name), Cell::new(value)]);
    };
    row("order", text(&status["order_id"]));
    row("run", text(&status["run_id"]));
    let paused = if status["paused"] == true { " (paused)" } else { "" };
    row("step", format!("{}{paused}", text(&status["step"])));
    row("payment", format!("{}  {}", text(&status["payment"]["payment_id"]), money(&status["payment"])));
    if !status["shipping"].is_null() {
        let shipping = &status["shipping"];
        let carrier = shipping["carrier_ref"].as_str().unwrap_or_default();
        row("shipping", format!("{} {} {carrier}", text(&shipping["shipment_id"]), text(&shipping["state"])));
    }
    row("address", address(&status["address"]));
    row("created", relative(&status["created_at"]));
    if !status["ended_at"].is_null() {
        row("ended", relative(&status["ended_at"]));
    } else if !status["deadline_at"].is_null() {
        row("deadline", relative(&status["deadline_at"]));
    }
    if !status["reason"].is_null() {
        row("reason", text(&status["reason"]));
    }
    if let Some(message) = status["last_error"]["message"].as_str() {
        row("last error", format!("{}: {message}", text(&status["last_error"]["activity"])));
    }
    if status["live"].is_object() {
        row("waits for", waits(status));
        row("actor", text(&status["live"]["actor"]));
    }
    row("facts", text(&status["seq"]));
    table.add_row([Cell::new("state"), state(&status["state"])]);
    table.to_string()
}

/// A page of orders.
pub fn list(page: &Value) -> String {
    let mut table = table(&["order", "state", "step", "amount", "waits for", "created"]);
    let orders = page["orders"].as_array().map(Vec::as_slice).unwrap_or_default();
    for order in orders {
        table.add_row([
            Cell::new(text(&order["order_id"])),
            state(&order["state"]),
            Cell::new(text(&order["step"])),
            Cell::new(money(&order["payment"])),
            Cell::new(waits(order)),
            Cell::new(relative(&order["created_at"])),
        ]);
    }
    let more = match page["next_cursor"].as_str() {
        Some(cursor) => format!("\nmore: --cursor {cursor}"),
        None => String::new(),
    };
    if orders.is_empty() { "no orders".to_owned() } else { format!("{table}{more}") }
}

/// A history.
pub fn history(page: &Value) -> String {
    let mut table = table(&["seq", "at", "fact", "data"]);
    let events = page["events"].as_array().or(page.as_array()).map(Vec::as_slice).unwrap_or_default();
    for event in events {
        let data = event["data"].to_string();
        let short: String = data.chars().take(100).collect();
        let data = if short.len() < data.len() { format!("{short}…") } else { short };
        let cells = [text(&event["seq"]), text(&event["at"]), text(&event["type"]), data];
        table.add_row(cells.map(Cell::new));
    }
    table.to_string()
}

/// All of an order: status, retry policy, the newest of its history.
pub fn describe(all: &Value) -> String {
    let events = all["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    let newest = &events[events.len().saturating_sub(10)..];
    let mut policies = table(&["activity", "timeout", "first wait", "cap", "attempts of kind error"]);
    for (name, policy) in all["retry"]["activities"].as_object().into_iter().flatten() {
        let ms = |field: &str| format!("{} ms", text(&policy[field]));
        let cells = [name.clone(), ms("timeout_ms"), ms("initial_ms"), ms("cap_ms"), text(&policy["max_attempts"])];
        policies.add_row(cells.map(Cell::new));
    }
    let newest = history(&Value::Array(newest.to_vec()));
    format!("{}\n\nretry policies\n{policies}\n\nnewest facts\n{newest}", order(&all["status"]))
}
