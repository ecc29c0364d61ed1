//! Answers of the server as people read them.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::args::{Output, Server};
use super::terminal::{clean, colours, cut, relative as told};
use super::{CliError, out};
use crate::model::Timestamp;

/// The longest data of a fact in a table, in characters.
const DATA_MAX: usize = 100;

/// Reads a part of an answer.
///
/// # Errors
/// [`CliError::Refused`] where it is not what it should be.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, CliError> {
    serde_json::from_str(text).map_err(|e| CliError::Refused(format!("the server's answer cannot be read: {e}")))
}

/// Elements of a page, each as a value.
pub fn parsed(page: &[Box<RawValue>]) -> Vec<Value> {
    page.iter().map(|raw| serde_json::from_str(raw.get()).unwrap_or_default()).collect()
}

/// Prints an answer: as it came, or for people.
///
/// # Errors
/// Where it cannot be read or printed.
pub fn print(server: &Server, text: &str, for_people: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
    if server.output == Output::Json { out::line(text) } else { out::line(for_people(&read(text)?)) }
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
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
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

fn relative(value: &Value) -> String {
    value.as_str().and_then(Timestamp::parse).map_or_else(|| text(value), told)
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
            words.push_str(&format!(" ({})", clean(error)));
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
        let carrier = shipping["carrier_ref"].as_str().map(clean).unwrap_or_default();
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
        row("last error", format!("{}: {}", text(&status["last_error"]["activity"]), clean(message)));
    }
    if status["live"].is_object() {
        row("waits for", waits(status));
        row("actor", text(&status["live"]["actor"]));
    }
    row("facts", text(&status["seq"]));
    table.add_row([Cell::new("state"), state(&status["state"])]);
    table.to_string()
}

/// A page of orders, and how to get at the next one.
pub fn list(page: &Value) -> String {
    let orders = orders(page["orders"].as_array().map(Vec::as_slice).unwrap_or_default(), true);
    match page["next_cursor"].as_str() {
        Some(cursor) => format!("{orders}\nmore: --cursor {}, or --all", clean(cursor)),
        None => orders,
    }
}

/// Orders, a line each; `head`: with the names of the columns.
pub fn orders(orders: &[Value], head: bool) -> String {
    let columns: &[&str] = &["order", "state", "step", "amount", "waits for", "created"];
    let mut table = table(if head { columns } else { &[] });
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
    if orders.is_empty() { "no orders".to_owned() } else { table.to_string() }
}

/// Facts, a line each; `head`: with the names of the columns.
pub fn history(facts: &[Value], head: bool) -> String {
    let columns: &[&str] = &["seq", "at", "fact", "data"];
    let mut table = table(if head { columns } else { &[] });
    for fact in facts {
        let data = cut(&clean(&fact["data"].to_string()), DATA_MAX);
        table.add_row([text(&fact["seq"]), text(&fact["at"]), text(&fact["type"]), data].map(Cell::new));
    }
    table.to_string()
}

/// All of an order: status, retry policies, the newest of its history.
pub fn describe(status: &Value, retry: &Value, newest: &[Value]) -> String {
    let mut policies = table(&["activity", "timeout", "first wait", "cap", "attempts of kind error"]);
    for (name, policy) in retry["activities"].as_object().into_iter().flatten() {
        let ms = |field: &str| format!("{} ms", text(&policy[field]));
        let cells = [clean(name), ms("timeout_ms"), ms("initial_ms"), ms("cap_ms"), text(&policy["max_attempts"])];
        policies.add_row(cells.map(Cell::new));
    }
    let newest = history(newest, true);
    format!("{}\n\nretry policies\n{policies}\n\nnewest facts\n{newest}", order(status))
}
