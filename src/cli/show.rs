//! Answers of the server as people read them.

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::args::{Output, Server};
use super::terminal::{clean, colours, cut, relative as told, width};
use super::{CliError, out};
use crate::model::Timestamp;

#[path = "show_work.rs"]
mod work;
pub use work::{job, jobs, task, task_types, tasks};

/// The longest data of a fact in a table, in characters, where there is no terminal to say it.
const DATA_MAX: usize = 100;
/// What the other columns of a history take of a terminal.
const BESIDE_DATA: usize = 56;

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

pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    // A terminal that does not know its width must not squeeze everything into one column.
    let fit = if width().is_some() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table.load_style(presets::NOTHING).set_content_arrangement(fit);
    if !head.is_empty() {
        table.set_header(head.iter().map(|h| Cell::new(h.to_uppercase())));
    }
    table
}

/// A table that is printed page by page: the head with the first page only, and no column narrower than it was.
pub struct Pages {
    columns: &'static [&'static str],
    /// Empty until the first page.
    widths: Vec<u16>,
}

impl Pages {
    pub fn of_orders() -> Self {
        Self { columns: &["order", "state", "step", "amount", "waits for", "created"], widths: Vec::new() }
    }

    pub fn of_facts() -> Self {
        Self { columns: &["seq", "at", "fact", "data"], widths: Vec::new() }
    }

    fn page(&mut self, rows: impl Iterator<Item = Vec<Cell>>) -> String {
        let mut table = table(if self.widths.is_empty() { self.columns } else { &[] });
        table.add_rows(rows);
        let known = self.widths.iter().copied().chain(std::iter::repeat(0));
        self.widths = table.column_max_content_widths().into_iter().zip(known).map(|(now, old)| now.max(old)).collect();
        let fitted = fitted(self.widths.clone(), width());
        for (column, width) in table.column_iter_mut().zip(fitted) {
            // A blank on either side is part of a column's width.
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(2))));
        }
        table.to_string()
    }
}

/// Takes from the widest column until all of them fit, with a blank on either side of each.
fn fitted(mut widths: Vec<u16>, columns: Option<usize>) -> Vec<u16> {
    let room = columns.unwrap_or(usize::MAX).saturating_sub(2 * widths.len());
    while widths.iter().map(|width| usize::from(*width)).sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 1 => *widest -= 1,
            _ => break,
        }
    }
    widths
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
    table.add_row([Cell::new("order"), Cell::new(text(&status["order_id"]))]);
    table.add_row([Cell::new("state"), state(&status["state"])]);
    let mut row = |name: &str, value: String| {
        table.add_row([Cell::new(name), Cell::new(value)]);
    };
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
    table.to_string()
}

/// A page of orders, and how to get at the next one.
pub fn list(page: &Value) -> String {
    let orders = orders(page["orders"].as_array().map(Vec::as_slice).unwrap_or_default(), &mut Pages::of_orders());
    match page["next_cursor"].as_str() {
        Some(cursor) => format!("{orders}\nmore: --cursor {}, or --all", clean(cursor)),
        None => orders,
    }
}

/// Orders, a line each.
pub fn orders(orders: &[Value], pages: &mut Pages) -> String {
    let row = |order: &Value| {
        vec![
            Cell::new(text(&order["order_id"])),
            state(&order["state"]),
            Cell::new(text(&order["step"])),
            Cell::new(money(&order["payment"])),
            Cell::new(waits(order)),
            Cell::new(relative(&order["created_at"])),
        ]
    };
    if orders.is_empty() { "no orders".to_owned() } else { pages.page(orders.iter().map(row)) }
}

/// The task queues, a line each.
pub fn queues(queues: &[Value]) -> String {
    let mut table =
        table(&["queue", "slots", "running", "backlog", "oldest wait", "rate limit", "backoff", "workers", "state"]);
    for queue in queues {
        let seconds = queue["oldest_wait_ms"].as_u64().unwrap_or(0) as f64 / 1e3;
        let rate = &queue["rate_limit"];
        let rate = if rate.is_null() {
            "-".to_owned()
        } else {
            format!("{}/s, {} at once", text(&rate["per_second"]), text(&rate["burst"]))
        };
        let paused = queue["paused"] == true;
        let told = Cell::new(if paused { "paused" } else { "open" });
        let cells = [
            text(&queue["name"]),
            format!("{} of {}", text(&queue["slots"]), text(&queue["concurrency"])),
            text(&queue["running"]),
            text(&queue["backlog"]),
            if seconds > 0.0 { format!("{seconds:.1} s") } else { "-".to_owned() },
            rate,
            relative(&queue["backoff_until"]),
            text(&queue["workers"]),
        ];
        let told = if paused && colours() { told.fg(Color::Yellow) } else { told };
        table.add_row(cells.map(Cell::new).into_iter().chain([told]));
    }
    table.to_string()
}

/// Facts, a line each.
pub fn history(facts: &[Value], pages: &mut Pages) -> String {
    let data_max = width().map_or(DATA_MAX, |columns| columns.saturating_sub(BESIDE_DATA).max(20));
    let row = |fact: &Value| {
        let data = cut(&short(&fact["data"]), data_max);
        [text(&fact["seq"]), text(&fact["at"]), text(&fact["type"]), data].map(Cell::new).to_vec()
    };
    pages.page(facts.iter().map(row))
}

/// A fact's data as `name=value`, without what is empty.
pub fn short(data: &Value) -> String {
    let fields = data.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let field = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) if !text.contains([' ', '"']) => format!("{}={}", clean(name), clean(text)),
        _ => format!("{}={}", clean(name), clean(&value.to_string())),
    };
    fields.map(field).collect::<Vec<_>>().join(" ")
}

/// All of an order: status, retry policies, the newest of its history.
pub fn describe(status: &Value, retry: &Value, newest: &[Value]) -> String {
    let mut policies = table(&["activity", "timeout", "first wait", "cap", "attempts of kind error"]);
    for (name, policy) in retry["activities"].as_object().into_iter().flatten() {
        let ms = |field: &str| format!("{} ms", text(&policy[field]));
        let cells = [clean(name), ms("timeout_ms"), ms("initial_ms"), ms("cap_ms"), text(&policy["max_attempts"])];
        policies.add_row(cells.map(Cell::new));
    }
    let newest = history(newest, &mut Pages::of_facts());
    format!("{}\n\nretry policies\n{policies}\n\nnewest facts\n{newest}", order(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_columns_give_way_where_a_terminal_is_narrow() {
        assert_eq!(fitted(vec![5, 20, 18], None), [5, 20, 18]);
        assert_eq!(fitted(vec![5, 20, 18], Some(39)), [5, 14, 14]);
        assert_eq!(fitted(vec![5, 20], Some(3)), [1, 1]);
    }

    #[test]
    fn the_pages_of_a_table_have_one_head_and_one_width() {
        let mut pages = Pages::of_orders();
        let order = |id: &str| serde_json::json!({"order_id": id, "state": "completed", "step": "done"});
        let (first, second) = (orders(&[order("a-long-name")], &mut pages), orders(&[order("b")], &mut pages));
        assert!(first.contains("ORDER") && !second.contains("ORDER"));
        assert_eq!(first.lines().last().unwrap().find("completed"), second.find("completed"));
    }

    #[test]
    fn data_is_told_in_short_and_cannot_steer_a_terminal() {
        let data = serde_json::json!({"b": "x y", "a": 1, "c": null, "d": "\u{1b}[2J"});
        assert_eq!(short(&data), "a=1 b=\"x y\" d=\\u{1b}[2J");
    }
}
