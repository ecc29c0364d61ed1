//! Answers that come page by page, followed to their end. What is in them stays as the server wrote it, and one page
//! is in memory at a time.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, encode};
use super::{CliError, out};

/// Facts that are asked for at once.
const FACTS: usize = 1_000;

/// The history of a workflow.
pub struct History<'a> {
    client: &'a Client,
    path: String,
    after: Option<u64>,
}

#[derive(Deserialize)]
struct HistoryPage {
    events: Vec<Box<RawValue>>,
    next_after: Option<u64>,
}

impl<'a> History<'a> {
    /// Of an order (`o-1`) or its shipment (`o-1/shipping/1`), from the fact after `after`.
    pub fn new(client: &'a Client, id: &str, after: u64) -> Self {
        let path = if id.contains('/') {
            format!("/workflows/{}/history", id.split('/').map(encode).collect::<Vec<_>>().join("/"))
        } else {
            format!("/orders/{}/history", encode(id))
        };
        Self { client, path, after: Some(after) }
    }

    /// At a path of its own, from the first fact.
    pub fn at(client: &'a Client, path: String) -> Self {
        Self { client, path, after: Some(0) }
    }

    /// The next facts; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Box<RawValue>>>, CliError> {
        let Some(after) = self.after else { return Ok(None) };
        let page: HistoryPage = self.client.read(&format!("{}?after={after}&limit={FACTS}", self.path)).await?;
        self.after = page.next_after.filter(|next| *next > after);
        Ok(Some(page.events))
    }
}

/// A list of orders.
pub struct List<'a> {
    client: &'a Client,
    query: String,
    cursor: Cursor,
}

enum Cursor {
    First,
    At(String),
    End,
}

#[derive(Deserialize)]
struct ListPage {
    orders: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl<'a> List<'a> {
    /// `query`: `limit=…` and filters, without a cursor.
    pub fn new(client: &'a Client, query: String, cursor: Option<String>) -> Self {
        Self { client, query, cursor: cursor.map_or(Cursor::First, Cursor::At) }
    }

    /// The next orders; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Box<RawValue>>>, CliError> {
        let cursor = match &self.cursor {
            Cursor::First => String::new(),
            Cursor::At(cursor) => format!("&cursor={}", encode(cursor)),
            Cursor::End => return Ok(None),
        };
        let page: ListPage = self.client.read(&format!("/orders?{}{cursor}", self.query)).await?;
        self.cursor = page.next_cursor.map_or(Cursor::End, Cursor::At);
        Ok(Some(page.orders))
    }
}

/// Prints the elements of a JSON array as they come, so that none of them waits in memory for the last.
#[derive(Default)]
pub struct JsonArray {
    begun: bool,
}

impl JsonArray {
    /// # Errors
    /// As [`out::line`].
    pub fn add(&mut self, elements: &[Box<RawValue>]) -> Result<(), CliError> {
        let mut text = String::new();
        for element in elements {
            if std::mem::replace(&mut self.begun, true) {
                text.push(',');
            }
            text.push_str(element.get());
        }
        out::bytes(text.as_bytes())
    }
}
