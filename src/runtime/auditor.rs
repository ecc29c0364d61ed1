//! The online auditor: folds stored histories in the background and compares them with their rows, a few a second.
//!
//! Only reads, and only while there is something it has not looked at since the last event: a database at rest is left
//! alone. What it finds is counted and named; it repairs nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::counter;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::shared::SharedRef;
use crate::model::Key;
use crate::verify::{self, Report};

/// Differences that are remembered, so that each is counted once.
const KNOWN_MAX: usize = 1_000;

/// Runs until the engine drains; `last_event`: the newest fact on disk.
pub(super) async fn run(shared: SharedRef, mut last_event: watch::Receiver<u64>) {
    let a_second = shared.options.audit_per_second;
    if a_second == 0 {
        return;
    }
    let mut known = BTreeSet::new();
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut after = Key(0);
    let mut began_at = *last_event.borrow_and_update();
    while !shared.is_draining() {
        tick.tick().await;
        let reader = shared.clone();
        let page = shared.readers.read(move |queries| verify::page(queries, &reader.registry, after, a_second)).await;
        // A database that does not answer is told of elsewhere.
        let Ok((next, report)) = page else { continue };
        tell(&report, &mut known);
        if let Some(next) = next {
            after = next;
            continue;
        }
        // The end: from the beginning again, once something has happened since this round began.
        after = Key(0);
        let stopped = last_event.wait_for(|last| *last != began_at).await.is_err();
        if stopped {
            return;
        }
        began_at = *last_event.borrow_and_update();
    }
}

fn tell(report: &Report, known: &mut BTreeSet<String>) {
    counter!("ordain_audited_total").increment(report.workflows);
    for what in &report.listed {
        if known.len() < KNOWN_MAX && known.insert(what.clone()) {
            counter!("ordain_invariant_violations_total").increment(1);
            tracing::error!(what, "the auditor found a difference");
        }
    }
}
