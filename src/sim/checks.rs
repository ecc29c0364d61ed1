//! What must hold after every step, whatever happened before. Each check names what it found in a sentence.

use std::collections::HashMap;

use super::store::{Row, Store};
use super::world::Account;
use crate::kernel::{Commit, Family, Machine, Phase, Registry};
use crate::model::{PaymentStatus, WorkflowId};

/// A commit that is stored, and the family it led to.
///
/// # Errors
/// A sentence that names what does not hold.
pub fn step(store: &Store, next: &Family, commit: &Commit) -> Result<(), String> {
    for call in &commit.calls {
        if !store.has_intent(call) {
            return Err(format!("{}: {} is called without its intent on disk", call.workflow_id, call.activity));
        }
    }
    for member in next.members() {
        let machine = member.machine.as_ref();
        let id = &machine.core().id;
        let row = store.row(id).ok_or_else(|| format!("{id} is alive and not stored"))?;
        if (row.seq, row.state, row.wake_at) != (machine.core().seq, machine.state_name(), machine.wake_at()) {
            return Err(format!("{id}: memory and store differ"));
        }
        if !machine.is_terminal() && machine.waiting_for().is_empty() {
            return Err(format!("{id}: {} waits for nothing", machine.state_name()));
        }
    }
    Ok(())
}

/// A family that something must wake again: a call under way, a timer, or a signal it names.
///
/// # Errors
/// A sentence that names what does not hold.
pub fn wakes(family: &Family, in_flight: impl Fn(&WorkflowId, &str, u32) -> bool) -> Result<(), String> {
    let mut alive = family.root().machine.is_terminal() || family.next_timer().is_some();
    // By the state itself: `outstanding` is what a recovery goes by, and on trial here.
    for core in family.members().iter().map(|member| member.machine.core()).filter(|core| core.stuck.is_none()) {
        for (activity, run) in core.activities.iter().filter(|(_, run)| run.phase == Phase::Running) {
            if !in_flight(&core.id, activity, run.attempt) {
                return Err(format!("{}: nobody makes {activity} {}", core.id, run.attempt));
            }
            alive = true;
        }
    }
    let signals = || family.members().iter().any(|m| m.machine.waiting_for().iter().any(|w| w.kind == "signal"));
    if alive || signals() { Ok(()) } else { Err(format!("{}: nothing will wake it", family.root().machine.core().id)) }
}

/// Money and parcel agree with the state of an order, ended or not.
///
/// # Errors
/// A sentence that names what does not hold.
pub fn money(family: &Family, account: &Account) -> Result<(), String> {
    let root = family.root().machine.as_ref();
    let state = root.state_name();
    let wrong = |what: &str| Err(format!("{} is {state}: {what}: {account:?}", root.core().id));
    if !root.is_terminal() {
        return Ok(());
    }
    let (paid, shipped) = (account.holds_money(), account.parcels.len());
    let status = root.payment().map(|p| p.status);
    if family.members().len() > 1 || !family.outstanding().is_empty() || family.next_timer().is_some() {
        return wrong("it has ended with work left");
    }
    if state == "completed" {
        let right = paid && shipped == 1 && status == Some(PaymentStatus::Charged);
        return if right { Ok(()) } else { wrong("money or parcel is missing") };
    }
    if paid || shipped > 0 || matches!(status, Some(PaymentStatus::Charged | PaymentStatus::Unknown)) {
        return wrong("a charge stands, or a parcel went");
    }
    Ok(())
}

/// An instance as the fold of the facts it had when it was last looked at.
pub struct Folded {
    batches: usize,
    facts: u64,
    machine: Box<dyn Machine>,
}

/// The state of each of the family is the fold of its facts. `known` is what earlier calls have folded and found right;
/// their facts must not have changed since.
///
/// # Errors
/// A sentence that names what does not hold.
pub fn fold(
    store: &Store,
    registry: &Registry,
    root: &WorkflowId,
    known: &mut HashMap<WorkflowId, Folded>,
) -> Result<(), String> {
    for (_, row) in store.family_rows(root) {
        let id = &row.id;
        if known.get(id).is_some_and(|known| known.batches == row.facts.len()) {
            continue;
        }
        let folded = fold_on(row, registry, known.remove(id)).map_err(|e| format!("{id}: {e}"))?;
        if folded.facts != row.seq {
            return Err(format!("{id}: {} facts, but seq {}", folded.facts, row.seq));
        }
        let state = folded.machine.snapshot().map_err(|e| format!("{id}: {e}"))?;
        if state != row.snapshot {
            return Err(format!("{id}: the fold of its facts\n  {state}\ndiffers from its state\n  {}", row.snapshot));
        }
        known.insert(id.clone(), folded);
    }
    Ok(())
}

/// The snapshot of each of the family reads back as itself.
///
/// # Errors
/// A sentence that names what does not hold.
pub fn read_back(store: &Store, registry: &Registry, root: &WorkflowId) -> Result<(), String> {
    for (_, row) in store.family_rows(root) {
        let again = registry.restore(row.kind, &row.snapshot).and_then(|m| Ok(m.snapshot()?));
        if again.map_err(|e| format!("{}: {e}", row.id))? != row.snapshot {
            return Err(format!("{}: its snapshot does not read back as itself: {}", row.id, row.snapshot));
        }
    }
    Ok(())
}

/// Folds the facts that have come since.
fn fold_on(row: &Row, registry: &Registry, known: Option<Folded>) -> Result<Folded, String> {
    let facts = row.facts_from(known.as_ref().map_or(0, |known| known.batches))?;
    let new = facts.len() as u64;
    let (before, machine) = match known {
        Some(Folded { facts: before, mut machine, .. }) => {
            facts.iter().try_for_each(|(fact, at)| machine.replay(fact, *at)).map_err(|e| e.to_string())?;
            (before, machine)
        }
        None => {
            let facts = facts.iter().map(|(fact, at)| (fact, *at));
            let folded = registry.fold(row.kind, &row.id, row.run_id, row.parent.clone(), facts);
            (0, folded.map_err(|e| e.to_string())?)
        }
    };
    Ok(Folded { batches: row.facts.len(), facts: before + new, machine })
}
