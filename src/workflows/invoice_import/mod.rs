//! The task type `gdt_invoice_import`: counts the invoices of a company month by month, then walks the months again and
//! has each page's invoices fetched by children, a bounded number at once.
//!
//! Pure. Nothing here grows with the number of invoices: the import keeps a place in the list and the numbers of its open
//! children, a child the ids of its few invoices. The invoices themselves are rows of the results.

mod batch;
mod event;
mod month;
mod params;
mod state;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

pub use batch::{BatchEvent, BatchStart, InvoiceBatch, KIND as BATCH};
pub use event::{Batch, ImportEvent};
pub use month::Month;
pub use params::{Credentials, ImportParams};
pub use state::{InvoiceImport, PageAt};

use crate::kernel::{
    Core, Document, Live, Machine, Message, Persistence, Recipient, Rejection, START_AGAIN, Stimulus, View, Wish,
    Workflow,
};
use crate::model::{ErrorInfo, FailureKind, Timestamp, WorkflowId};
use crate::workflows::task::{self, Progress, Stage, TaskFlow, TaskStart, TaskView};

pub const KIND: &str = "gdt_invoice_import";
pub const QUEUE: &str = "invoices";
/// One page of the list of a month.
pub const LIST: &str = "list_invoices";
/// One invoice.
pub const FETCH: &str = "fetch_invoice";

/// Invoices of a batch; more only where a page is so long that it would be too many batches.
const BATCH_SIZE: usize = 5;
const BATCHES_A_PAGE_MAX: usize = 16;
/// While so many batches are open no further page is listed. With those of one more page it is the most there can be:
/// what one input brings about in a family is bounded by the kernel.
const OPEN_ENOUGH: usize = 13;

/// Names of signals, but for those of people.
mod signal {
    /// To the import: a batch has ended.
    pub const IMPORTED: &str = "batch_imported";
    pub const FAILED: &str = "batch_failed";
    /// To a batch.
    pub const CANCEL: &str = "cancel";
}

/// What the activity that lists a page gives.
#[derive(Deserialize)]
struct Page {
    invoices: Vec<Listed>,
    pages: u32,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    /// A day; one without it is taken to be of the month it is listed in.
    issued_on: Option<String>,
}

#[derive(Deserialize)]
struct Imported {
    batch: u32,
    invoices: u32,
}

type Decision = Result<Vec<ImportEvent>, Rejection>;

impl InvoiceImport {
    fn signal(&self, name: &str, payload: &Value) -> Decision {
        match (name, self.stage) {
            (START_AGAIN, _) => self.start.again(payload).map(|()| Vec::new()),
            (task::signal::CANCEL, Stage::Running) => {
                let reason = payload.get("reason").and_then(Value::as_str).map(str::to_owned);
                Ok(vec![ImportEvent::TaskCancelled { reason }])
            }
            (task::signal::CANCEL, Stage::Cancelled) => Ok(Vec::new()),
            (task::signal::CANCEL, ended) => {
                Err(Rejection::new("task_not_cancellable", format!("the task is {}", ended.as_str())))
            }
            (signal::IMPORTED, Stage::Running) => {
                let imported = Imported::deserialize(payload).ok().filter(|told| self.open.contains(&told.batch));
                let event = |Imported { batch, invoices }| ImportEvent::BatchImported { batch, invoices };
                Ok(imported.map(event).into_iter().collect())
            }
            (signal::FAILED, Stage::Running) => {
                let error = payload.get("error").and_then(|error| ErrorInfo::deserialize(error).ok());
                Ok(error.map(|error| ImportEvent::TaskFailed { error: Box::new(error) }).into_iter().collect())
            }
            (signal::IMPORTED | signal::FAILED, _) => Ok(Vec::new()),
            (other, _) => Err(Rejection::new("unknown_signal", format!("a task does not know the signal {other:?}"))),
        }
    }

    /// A page has come.
    fn paged(&self, result: &Value, now: Timestamp) -> Vec<ImportEvent> {
        let Some(PageAt { month, page }) = self.at else { return Vec::new() };
        let Ok(Page { invoices, pages }) = Page::deserialize(result) else {
            let message = "the portal's list cannot be read".to_owned();
            let error = ErrorInfo { kind: FailureKind::Error, message, activity: LIST.into(), attempt: 0, at: now };
            return vec![ImportEvent::TaskFailed { error: Box::new(error) }];
        };
        let listed = u32::try_from(invoices.len()).unwrap_or(u32::MAX);
        let mut seen = BTreeSet::new();
        let wanted = invoices.into_iter().filter(|invoice| {
            invoice.issued_on.as_deref().is_none_or(|day| self.range.holds(day)) && seen.insert(invoice.id.clone())
        });
        let ids: Vec<String> = wanted.map(|invoice| invoice.id).collect();
        if self.counting {
            let wanted = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            return vec![ImportEvent::PageCounted { month, page, pages, listed, wanted }];
        }
        let size = ids.len().div_ceil(BATCHES_A_PAGE_MAX).max(BATCH_SIZE);
        let numbers = self.batches + 1..;
        let batches = ids.chunks(size).zip(numbers).map(|(ids, number)| Batch { number, ids: ids.to_vec() }).collect();
        vec![ImportEvent::PageListed { month, page, pages, listed, batches }]
    }

    fn batch_id(&self, number: u32) -> WorkflowId {
        self.start.task_id.child(BATCH, number)
    }

    /// `children`: batches that are open.
    fn progress(&self, core: &Core, children: &[&dyn Machine]) -> Progress {
        #[derive(Deserialize)]
        struct Done {
            done: u64,
        }
        let of = |child: &&dyn Machine| serde_json::from_str::<Done>(child.document(&[], None).ok()?.get()).ok();
        let within: u64 = children.iter().filter_map(of).map(|Done { done }| done).sum();
        let done = self.done + within;
        let waits = |core: &Core| core.last_error().filter(|_| core.is_retrying()).map(|error| error.kind.as_str());
        let held = waits(core).or_else(|| children.iter().find_map(|child| waits(child.core())));
        let mut message = match (self.stage, self.at) {
            (Stage::Running, Some(PageAt { month, .. })) if self.counting => format!("counting {month}"),
            (Stage::Running, Some(PageAt { month, .. })) => format!("importing {month}"),
            (Stage::Running, None) => "importing the last ones".to_owned(),
            (ended, _) => ended.as_str().to_owned(),
        };
        if let (Stage::Running, Some(kind)) = (self.stage, held) {
            message.push_str(&format!("; tried again after: {kind}"));
        }
        let total = match self.stage {
            Stage::Completed => Some(done),
            _ => (!self.counting).then_some(self.total.max(done)),
        };
        Progress { done, total, message }
    }
}

impl Workflow for InvoiceImport {
    const KIND: &'static str = KIND;
    const GROUP: &'static str = task::GROUP;
    type Event = ImportEvent;

    fn start(id: &WorkflowId, input: &Value, _now: Timestamp) -> Result<ImportEvent, Rejection> {
        TaskStart::read(id, input).map(ImportEvent::TaskStarted)
    }

    fn born(event: &ImportEvent, _at: Timestamp) -> Option<Self> {
        let ImportEvent::TaskStarted(start) = event else { return None };
        Self::new(start.clone())
    }

    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Decision {
        if let Stimulus::Signal { name, payload } = stimulus {
            return self.signal(name, payload);
        }
        if self.stage != Stage::Running {
            return Ok(Vec::new());
        }
        Ok(match stimulus {
            Stimulus::ActivityCompleted { result, .. } => self.paged(result, view.now),
            Stimulus::AttemptFailed { gave_up: true, .. } => {
                // The kernel has noted this failure a moment ago.
                let error = view.core.last_error().cloned();
                error.map(|error| ImportEvent::TaskFailed { error: Box::new(error) }).into_iter().collect()
            }
            _ => Vec::new(),
        })
    }

    fn advance(&self, _view: &View<'_>) -> Option<ImportEvent> {
        let all = self.stage == Stage::Running && self.at.is_none() && self.open.is_empty();
        all.then(|| ImportEvent::TaskCompleted { result: self.summary() })
    }

    fn evolve(&mut self, event: &ImportEvent, at: Timestamp) {
        self.fold(event, at);
    }

    fn wishes(&self) -> Vec<Wish> {
        if self.stage != Stage::Running {
            return Vec::new();
        }
        let child = |number: &u32| Wish::Child { kind: BATCH, id: self.batch_id(*number) };
        let mut wishes: Vec<Wish> = self.open.iter().map(child).collect();
        if self.at.is_some() && self.open.len() < OPEN_ENOUGH {
            wishes.push(Wish::Activity { name: LIST, queue: QUEUE, persistence: Persistence::Policy });
        }
        wishes
    }

    fn idempotency_key(&self, activity: &str) -> String {
        let walk = if self.counting { "count" } else { "import" };
        let page = self.at.map(|PageAt { month, page }| format!("{month}/{page}")).unwrap_or_default();
        format!("{}/{activity}/{walk}/{page}", self.start.task_id)
    }

    fn activity_input(&self, _activity: &str) -> Value {
        let ImportParams { company_id, credentials, .. } = &self.start.params;
        let (month, page) = self.at.map(|at| (at.month, at.page)).unzip();
        json!({ "company_id": company_id, "month": month, "page": page, "credentials": credentials })
    }

    /// Needed only when a child is new, and it is of the newest page then.
    fn child_input(&self, child: &WorkflowId) -> Value {
        let of = |batch: &&Batch| self.batch_id(batch.number) == *child;
        let start = |batch: &Batch| BatchStart {
            task_id: self.start.task_id.clone(),
            number: batch.number,
            ids: batch.ids.clone(),
            credentials: self.start.params.credentials.clone(),
        };
        json!(self.newest.iter().find(of).map(start))
    }

    fn messages(&self, event: &ImportEvent) -> Vec<Message> {
        let stop = |number: &u32| {
            let to = Recipient::Child(self.batch_id(*number));
            Message { to, signal: signal::CANCEL, payload: Value::Null }
        };
        match event {
            ImportEvent::TaskCancelled { .. } | ImportEvent::TaskFailed { .. } => self.open.iter().map(stop).collect(),
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        self.stage.as_str()
    }

    fn is_terminal(&self) -> bool {
        self.stage != Stage::Running
    }

    fn document(&self, core: &Core, children: &[&dyn Machine], _live: Option<&Live>) -> serde_json::Result<Document> {
        let view = TaskView {
            task_type: KIND,
            status: self.stage.as_str(),
            params: &self.start.params,
            progress: self.progress(core, children),
            result: self.result.as_ref(),
            error: self.error.as_deref(),
        };
        view.document(core)
    }

    fn frees_when_stuck(&self, signal: &str) -> bool {
        signal == task::signal::CANCEL
    }
}

impl TaskFlow for InvoiceImport {
    type Params = ImportParams;
    const DESCRIPTION: &'static str =
        "Imports a company's invoices from a portal: logs in, finds them month by month, fetches each once.";
    const QUEUE: &'static str = QUEUE;

    fn faults(params: &ImportParams) -> Vec<(&'static str, String)> {
        params::faults(params)
    }
}
