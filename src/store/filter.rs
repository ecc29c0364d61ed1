//! What a list of orders is filtered and sorted by, and its pages.

use serde::{Deserialize, Serialize};

use super::StoredWorkflow;
use crate::access::Owner;
use crate::model::{Key, Timestamp};

/// Which orders to list. Empty: all, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OrderFilter {
    /// States to show; empty: all.
    pub states: Vec<String>,
    /// A part of the order id.
    pub q: Option<String>,
    /// Only those with an activity that is being tried again, their shipments' included.
    pub retrying: Option<bool>,
    /// At least this many attempts of some activity, their shipments' included.
    pub attempts_min: Option<u32>,
    /// The kind of the last error, their shipments' included.
    pub error: Option<String>,
    /// Only this owner's.
    pub owner: Option<Owner>,
    /// Metadata values that must be equal, by key; compared as text.
    pub metadata: Vec<(String, String)>,
    /// Created at or after this instant.
    pub created_after: Option<Timestamp>,
    /// Created before this instant.
    pub created_before: Option<Timestamp>,
    pub sort: Sort,
    /// Rather sort the newest [`SORTED_MAX`] that fit than look at all, where no index helps the sort.
    pub bounded: bool,
    /// Rows on a page, from 1.
    pub limit: usize,
    pub cursor: Option<Cursor>,
}

/// So many orders, the newest that fit, are sorted where no index helps.
pub const SORTED_MAX: usize = 5_000;

impl OrderFilter {
    /// The same of one owner's orders; of all with `None`.
    pub fn of(self, owner: Option<&Owner>) -> Self {
        Self { owner: owner.cloned(), ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    pub field: SortField,
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { field: SortField::CreatedAt, descending: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortField {
    CreatedAt,
    UpdatedAt,
    OrderId,
    State,
    /// Whatever the currency.
    Amount,
    /// When the running time is used up; only orders whose clock runs are listed.
    Deadline,
    /// The most attempts of an activity, an open shipment's included.
    Attempts,
    /// The street, or the line.
    Address,
}

/// The last row of the page before: its sort value and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub sort: Sort,
    /// The sort value: the instant in ms, or the text; the store's to read.
    pub value: String,
    pub key: Key,
}

/// Which workflows of some kinds to list, newest first; children are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindFilter {
    pub kinds: Vec<&'static str>,
    /// Only this owner's; `None`: everybody's.
    pub owner: Option<Owner>,
    /// States to show; empty: all.
    pub states: Vec<String>,
    /// Only those older than this one: the last of the page before.
    pub before: Option<Key>,
    /// Rows on a page, from 1.
    pub limit: usize,
}

/// A page of workflows, each with its open children behind it.
#[derive(Debug, Clone, Default)]
pub struct KindPage {
    pub families: Vec<Vec<StoredWorkflow>>,
    /// What the next page is before; `None`: this was the last.
    pub next: Option<Key>,
}

/// A page of orders; each with its open children behind it.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub orders: Vec<Vec<StoredWorkflow>>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
    /// Only so many orders were sorted; there are more that fit.
    pub sorted_within: Option<usize>,
}
