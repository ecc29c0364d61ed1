//! The state of an import, as the fold of its facts. Its size does not grow with the number of invoices.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::{Batch, ImportEvent};
use super::month::Month;
use super::params::{ImportParams, Range};
use crate::model::{ErrorInfo, Timestamp};
use crate::workflows::task::{Stage, TaskStart};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvoiceImport {
    pub start: TaskStart<ImportParams>,
    pub stage: Stage,
    pub(super) range: Range,
    /// The first walk over the months counts, the second imports.
    pub(super) counting: bool,
    /// The page that is looked at next; `None`: all were.
    pub(super) at: Option<PageAt>,
    /// Invoices there are, by the count.
    pub(super) total: u64,
    /// Invoices of batches that are done.
    pub(super) done: u64,
    /// Batches so far.
    pub(super) batches: u32,
    /// Those under way.
    pub(super) open: BTreeSet<u32>,
    /// Those of the newest page: what they are started with.
    pub(super) newest: Vec<Batch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Box<ErrorInfo>>,
}

/// A place in the portal's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageAt {
    pub month: Month,
    pub page: u32,
}

impl InvoiceImport {
    /// `None` where its range is none.
    pub(super) fn new(start: TaskStart<ImportParams>) -> Option<Self> {
        let range = Range::of(&start.params)?;
        let at = Some(PageAt { month: range.first_month()?, page: 1 });
        Some(Self {
            start,
            stage: Stage::Running,
            range,
            counting: true,
            at,
            total: 0,
            done: 0,
            batches: 0,
            open: BTreeSet::new(),
            newest: Vec::new(),
            result: None,
            error: None,
        })
    }

    pub(super) fn fold(&mut self, event: &ImportEvent, _at: Timestamp) {
        match event {
            ImportEvent::TaskStarted(_) => {}
            ImportEvent::PageCounted { month, page, pages, listed, wanted } => {
                let (month, page, pages) = (*month, *page, *pages);
                if page == 1 && pages > 2 && *listed > 0 && self.range.holds_all_of(month) {
                    // All pages but the last are full; only that one is looked at.
                    self.total += u64::from(pages - 1) * u64::from(*listed);
                    self.at = Some(PageAt { month, page: pages });
                } else {
                    self.total += u64::from(*wanted);
                    self.at = self.behind(month, page, pages, *listed);
                }
                if self.at.is_none() {
                    self.counting = false;
                    self.at = self.range.first_month().map(|month| PageAt { month, page: 1 });
                }
            }
            ImportEvent::PageListed { month, page, pages, listed, batches } => {
                self.at = self.behind(*month, *page, *pages, *listed);
                self.batches += batches.len() as u32;
                self.open.extend(batches.iter().map(|batch| batch.number));
                self.newest.clone_from(batches);
            }
            ImportEvent::BatchImported { batch, invoices } => {
                if self.open.remove(batch) {
                    self.done += u64::from(*invoices);
                }
                self.newest.retain(|newest| newest.number != *batch);
            }
            ImportEvent::TaskCompleted { result } => {
                self.stage = Stage::Completed;
                self.result = Some(result.clone());
            }
            ImportEvent::TaskFailed { error } => {
                self.stage = Stage::Failed;
                self.error = Some(error.clone());
            }
            ImportEvent::TaskCancelled { .. } => self.stage = Stage::Cancelled,
        }
    }

    /// The place behind a page. An empty page is the last of its month, whatever the portal says.
    fn behind(&self, month: Month, page: u32, pages: u32, listed: u32) -> Option<PageAt> {
        if page < pages && listed > 0 {
            return Some(PageAt { month, page: page + 1 });
        }
        self.range.month_after(month).map(|month| PageAt { month, page: 1 })
    }

    /// What is told at its end.
    pub(super) fn summary(&self) -> Value {
        json!({ "invoices": self.done, "months": self.range.months() })
    }
}
