//! `ordain verify`: folds every stored history and compares it with what is stored beside it.

use serde::Serialize;
use serde_json::Value;

use crate::kernel::{Machine, Registry};
use crate::model::{Key, PaymentStatus};
use crate::store::{Queries, StoreError, StoredWorkflow};

/// Instances read at once.
const PAGE: usize = 500;
/// Differences that are listed; all are counted.
const LISTED_MAX: usize = 20;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub workflows: u64,
    pub facts: u64,
    pub differences: u64,
    /// The first of them, in words.
    pub listed: Vec<String>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.differences == 0
    }

    fn differs(&mut self, what: String) {
        self.differences += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(what);
        }
    }
}

/// Checks a whole database: every history without a gap, every state the fold of its facts, every row in agreement,
/// no charge unrefunded where it must not stand.
///
/// # Errors
/// [`StoreError`] where the database cannot be read. What is found wrong is in the report.
pub fn verify(queries: &dyn Queries, registry: &Registry) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut after = Some(Key(0));
    while let Some(key) = after {
        after = check_page(queries, registry, key, PAGE, &mut report)?;
    }
    Ok(report)
}

/// Checks at most `limit` instances behind `after`; with the key to go on from, unless that was all.
///
/// # Errors
/// As [`verify`].
pub fn page(
    queries: &dyn Queries,
    registry: &Registry,
    after: Key,
    limit: usize,
) -> Result<(Option<Key>, Report), StoreError> {
    let mut report = Report::default();
    let next = check_page(queries, registry, after, limit, &mut report)?;
    Ok((next, report))
}

fn check_page(
    queries: &dyn Queries,
    registry: &Registry,
    after: Key,
    limit: usize,
    report: &mut Report,
) -> Result<Option<Key>, StoreError> {
    let page = queries.scan(after, limit)?;
    for row in &page {
        check(queries, registry, row, report)?;
    }
    Ok(page.last().map(|row| row.key))
}

fn check(
    queries: &dyn Queries,
    registry: &Registry,
    row: &StoredWorkflow,
    report: &mut Report,
) -> Result<(), StoreError> {
    report.workflows += 1;
    let id = &row.id;
    // Up to the row's own seq: a running server may have gone on since the row was read.
    let limit = usize::try_from(row.seq).unwrap_or(usize::MAX);
    let facts = queries.history(id, 0, limit)?.unwrap_or_default();
    report.facts += facts.len() as u64;
    if let Some((gap, _)) = facts.iter().zip(1..).find(|(fact, seq)| fact.seq != *seq).map(|(f, seq)| (seq, f)) {
        report.differs(format!("{id}: its history lacks seq {gap}"));
        return Ok(());
    }
    if facts.len() as u64 != row.seq {
        report.differs(format!("{id}: its row is at seq {}, its history ends at {}", row.seq, facts.len()));
        return Ok(());
    }
    let folded =
        registry.fold(&row.kind, id, row.run_id, row.parent.clone(), facts.iter().map(|fact| (&fact.fact, fact.at)));
    let machine = match folded {
        Ok(machine) => machine,
        Err(error) => {
            report.differs(format!("{id}: its history cannot be folded: {error}"));
            return Ok(());
        }
    };
    let agrees = || {
        let folded: Value = serde_json::from_str(&machine.snapshot().ok()?).ok()?;
        Some(folded == serde_json::from_str::<Value>(&row.snapshot).ok()?)
    };
    if agrees() != Some(true) {
        report.differs(format!("{id}: its state is not the fold of its history"));
    }
    if machine.state_name() != row.state {
        report.differs(format!("{id}: its row says {:?}, its history {:?}", row.state, machine.state_name()));
    }
    if machine.is_terminal() != row.ended_at.is_some() {
        report.differs(format!("{id}: its row and its history disagree on whether it has ended"));
    }
    check_payment(queries, row, machine.as_ref(), report)
}

fn check_payment(
    queries: &dyn Queries,
    row: &StoredWorkflow,
    machine: &dyn Machine,
    report: &mut Report,
) -> Result<(), StoreError> {
    let Some(payment) = machine.payment() else { return Ok(()) };
    let id = &row.id;
    match queries.payment(id)? {
        None => report.differs(format!("{id}: its payment {} has no row", payment.payment_id)),
        Some(stored) if stored.order_id != id.as_str() => {
            report.differs(format!("{id}: its payment {} belongs to {}", payment.payment_id, stored.order_id));
        }
        // While the order runs, its payment may have gone on since its row was read.
        Some(stored) if row.ended_at.is_some() && stored.status != payment.status.as_str() => {
            let found = (stored.status, payment.status.as_str());
            report.differs(format!("{id}: its payment's row says {:?}, its history {:?}", found.0, found.1));
        }
        Some(_) => {}
    }
    let stands = matches!(payment.status, PaymentStatus::Charged | PaymentStatus::Unknown);
    if machine.is_terminal() && stands && row.state != "completed" {
        report.differs(format!("{id}: it ended {} and its charge stands", row.state));
    }
    Ok(())
}
