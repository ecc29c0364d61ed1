//! The facts of an import.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::month::Month;
use super::params::ImportParams;
use crate::model::ErrorInfo;
use crate::workflows::task::TaskStart;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ImportEvent {
    TaskStarted(TaskStart<ImportParams>),
    /// A page was looked at to know how many invoices there are: `listed` on it, `wanted` of them.
    PageCounted {
        month: Month,
        page: u32,
        pages: u32,
        listed: u32,
        wanted: u32,
    },
    /// The invoices of a page are being fetched from now on, those of each batch by a child.
    PageListed {
        month: Month,
        page: u32,
        pages: u32,
        listed: u32,
        batches: Vec<Batch>,
    },
    /// All invoices of a batch are rows of the results.
    BatchImported {
        batch: u32,
        invoices: u32,
    },
    TaskCompleted {
        result: Value,
    },
    TaskFailed {
        error: Box<ErrorInfo>,
    },
    TaskCancelled {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// A batch and its invoices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub number: u32,
    pub ids: Vec<String>,
}
