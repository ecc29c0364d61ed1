//! The simulated journal: what waits is written in batches, takes its time, fails, and is cut off by the death of the
//! process before or after it took place. Only then is anybody told.

use std::borrow::Cow;

use serde::Deserialize;

use super::checks;
use super::host::{Fed, Host, Origin};
use super::people::Command;
use super::planted::Bug;
use super::queue::{Event, Life};
use super::store::ADDRESS_UPDATED;
use crate::kernel::{Commit, Family, mix};
use crate::model::{Address, Timestamp};

/// Units in one commit, at most.
const BATCH_MAX: usize = 4;
/// By how many commits an order may be late that had to wait for others.
const LATE_COMMITS: u64 = 8;

/// One step of one order on its way to the store.
pub(super) struct Unit {
    pub life: Life,
    /// Who is told; `None`: they were already.
    pub origin: Option<Origin>,
    pub next: Family,
    pub commit: Commit,
    pub stepped_at: Timestamp,
}

#[derive(Default)]
pub(super) struct Journal {
    waiting: Vec<Unit>,
    writing: Vec<Unit>,
    /// Of a process that is gone, with a store that does not ask whose commit it is.
    orphans: Vec<Unit>,
}

impl Host<'_> {
    /// A step is to be stored.
    pub(super) fn submit(&mut self, mut unit: Unit) -> Result<(), String> {
        let life = unit.life;
        if let Some(bug) = self.bug {
            bug.spoil_commit(&mut unit.commit);
            match bug {
                Bug::EffectFirst => unit.commit.calls.clone().into_iter().for_each(|call| self.release(life, call)),
                Bug::AcknowledgeFirst => {
                    let seq = unit.next.root().machine.core().seq;
                    self.orders[life].told_seq = seq;
                    unit.origin = unit.origin.filter(|origin| matches!(origin, Origin::Start | Origin::Tick));
                }
                Bug::VolatileCancel if matches!(unit.origin, Some(Origin::Person(Command::Cancel))) => {
                    self.orders[life].family = Some(unit.next);
                    self.note_told(life);
                    return self.told(life, Origin::Person(Command::Cancel), Fed::Changed);
                }
                _ => {}
            }
        }
        self.orders[life].pending = true;
        self.journal.waiting.push(unit);
        self.write();
        Ok(())
    }

    /// Begins a commit of what waits, unless one is under way.
    fn write(&mut self) {
        if !self.journal.writing.is_empty() || self.journal.waiting.is_empty() {
            return;
        }
        let n = self.journal.waiting.len().min(BATCH_MAX);
        self.journal.writing = self.journal.waiting.drain(..n).collect();
        let takes = if self.calm { 1 } else { self.rng.between(0, self.plan.commit_ms) };
        self.queue.push(self.now + takes, Event::Committed { epoch: self.epoch });
    }

    /// A commit has come to its end, one way or another.
    pub(super) fn committed(&mut self, epoch: u64) -> Result<(), String> {
        if epoch != self.epoch {
            let late = std::mem::take(&mut self.journal.orphans);
            return late.iter().try_for_each(|unit| self.store.apply(&unit.commit));
        }
        if !self.calm && self.rng.chance(self.plan.crashes_at_commit) {
            return self.crash();
        }
        let batch = std::mem::take(&mut self.journal.writing);
        let fails = !self.calm && self.rng.chance(self.plan.lost_commits);
        let mut stored = Vec::new();
        for unit in &batch {
            stored.push(!fails && self.apply(unit)?);
        }
        for (unit, stored) in batch.into_iter().zip(stored) {
            let life = unit.life;
            self.orders[life].pending = false;
            match unit.origin {
                _ if stored => self.granted(unit)?,
                Some(Origin::Start) if !fails => {
                    // It exists: the start is a repetition.
                    let again = Command::StartAgain(self.orders[life].start.fingerprint.clone());
                    self.hand(life, Origin::Person(again))?;
                }
                origin => {
                    self.orders[life].disturbed = true;
                    if let Some(origin) = origin {
                        self.told(life, origin, Fed::Lost)?;
                    }
                }
            }
            self.take_next(life)?;
        }
        self.write();
        Ok(())
    }

    /// Stores a unit. `false`: it would start what exists.
    fn apply(&mut self, unit: &Unit) -> Result<bool, String> {
        let id = self.orders[unit.life].id.clone();
        let exists = unit.commit.transitions.iter().any(|t| t.is_new && t.id == id) && self.is_stored(unit.life);
        if exists && self.bug != Some(Bug::NoDedupe) {
            return Ok(false);
        }
        if exists {
            self.store.forget(&id);
        }
        let mut commit = Cow::Borrowed(&unit.commit);
        match self.bug {
            Some(Bug::TornCommit) => commit.to_mut().transitions.truncate(1),
            Some(Bug::VolatileTimer) => commit.to_mut().transitions.iter_mut().for_each(|t| t.wake_at = None),
            _ => {}
        }
        self.store.apply(&commit)?;
        if self.bug == Some(Bug::RewrittenHistory) {
            self.store.rewrite(&id);
        }
        self.remember(&unit.commit);
        checks::step(&self.store, &unit.next, &unit.commit)?;
        checks::money(&unit.next, &self.world.account(id.as_str()))?;
        self.check_deadline(unit)?;
        if unit.commit.transitions.iter().any(|t| ADDRESS_UPDATED.find(t.facts_json.as_bytes()).is_some()) {
            self.address_updated(unit.life)?;
        }
        if self.plan.fold_every_step {
            self.check_history(unit.life)?;
            checks::read_back(&self.store, &self.registry, &id)?;
        }
        Ok(true)
    }

    /// It is on disk: memory, effects and answers follow.
    fn granted(&mut self, unit: Unit) -> Result<(), String> {
        let life = unit.life;
        let late = unit.next.next_timer().is_some_and(|next| next <= unit.stepped_at);
        if late && matches!(unit.origin, Some(Origin::Tick)) {
            return Err(format!("{}: a timer that was due did not fire", self.orders[life].id));
        }
        self.orders[life].family = Some(unit.next);
        if self.bug != Some(Bug::EffectFirst) {
            for call in unit.commit.calls {
                self.release(life, call);
            }
        }
        self.arm(life);
        self.check_wakes(life)?;
        self.note_told(life);
        unit.origin.map_or(Ok(()), |origin| self.told(life, origin, Fed::Changed))
    }

    /// The process dies: all that is not in the store is gone, but for requests that have left. A commit that was under
    /// way took place or it did not.
    pub(super) fn crash(&mut self) -> Result<(), String> {
        self.tell(|| "the process dies".to_owned());
        let writing = std::mem::take(&mut self.journal.writing);
        let waiting = std::mem::take(&mut self.journal.waiting);
        let unfenced = self.bug == Some(Bug::TwoOwners);
        if !unfenced && self.rng.chance(500) {
            for unit in &writing {
                self.apply(unit)?;
            }
        }
        self.epoch += 1;
        self.down = true;
        self.outcome.crashes += 1;
        for unit in writing.iter().chain(&waiting) {
            self.hangs_up(unit.life, unit.origin.clone());
        }
        if unfenced {
            self.journal.orphans = writing;
        }
        self.forget_all();
        for life in 0..self.orders.len() {
            self.check_told(life)?;
            if self.store.row(&self.orders[life].id).is_some_and(|row| !row.terminal) {
                self.check_history(life)?;
            }
        }
        let down_ms = self.rng.between(1, 4_000);
        self.queue.push(self.now + down_ms, Event::Restart);
        Ok(())
    }

    /// What somebody was told is on disk.
    pub(super) fn check_told(&self, life: Life) -> Result<(), String> {
        let order = &self.orders[life];
        let stored = self.store.row(&order.id).map_or(0, |row| row.seq);
        if stored < order.told_seq {
            return Err(format!(
                "{}: fact {} was answered, but {stored} is the last one stored",
                order.id, order.told_seq
            ));
        }
        Ok(())
    }

    /// No fact that was seen has changed, and the state is the fold of all of them.
    pub(super) fn check_history(&mut self, life: Life) -> Result<(), String> {
        let id = &self.orders[life].id;
        for (_, row) in self.store.family_rows(id) {
            let Some((batches, hash)) = self.seen.get(&row.id) else { continue };
            let now = row.facts.iter().take(*batches).fold(0, |hash, batch| hashed(hash, batch.at, &batch.json));
            if now != *hash || row.facts.len() < *batches {
                return Err(format!("{}: its history is not what it was", row.id));
            }
        }
        // These change facts and not what is made of them; what is to be found is the harm that they do.
        if matches!(self.bug, Some(Bug::FreshKey | Bug::DoubleDispatch)) {
            return Ok(());
        }
        checks::fold(&self.store, &self.registry, id, &mut self.folded)
    }

    fn remember(&mut self, commit: &Commit) {
        for t in &commit.transitions {
            self.outcome.facts += u64::from(t.facts);
            self.outcome.trace_hash = hashed(self.outcome.trace_hash, t.at, &t.facts_json);
            let seen = self.seen.entry(t.id.clone()).or_default();
            *seen = (seen.0 + 1, hashed(seen.1, t.at, &t.facts_json));
            self.tell(|| format!("  {} {} -> {}: {}", t.id, t.seq, t.state, t.facts_json));
        }
    }

    /// The newest address is where the parcel must go. The same twice in a row is one that was not recognised.
    fn address_updated(&mut self, life: Life) -> Result<(), String> {
        let id = &self.orders[life].id;
        let facts = self.store.facts(id)?;
        let newest = facts.iter().rev().filter(|(fact, _)| fact.kind == "AddressUpdated");
        let newest: Result<Vec<Updated>, _> =
            newest.take(2).map(|(fact, _)| serde_json::from_str(fact.data.get())).collect();
        let newest = newest.map_err(|e| format!("{id}: {e}"))?;
        if matches!(newest.as_slice(), [one, other] if one == other) {
            return Err(format!("{id}: an address update was stored twice"));
        }
        self.orders[life].address = newest.into_iter().next().map(|updated| updated.address);
        Ok(())
    }

    /// By its deadline an undisturbed order has ended, or is on its way back.
    fn check_deadline(&mut self, unit: &Unit) -> Result<(), String> {
        let root = unit.next.root().machine.as_ref();
        let (at, order) = (unit.stepped_at, &mut self.orders[unit.life]);
        if root.is_terminal() || root.state_name() == "compensating" {
            order.turned_at.get_or_insert(at);
        }
        let at = order.turned_at.unwrap_or(at);
        let late_ms = self.plan.commit_ms * LATE_COMMITS;
        match order.start.deadline_ms {
            Some(ms) if !order.disturbed && at > root.core().created_at.plus_ms(ms + late_ms) => {
                Err(format!("{} is {} past its deadline", order.id, root.state_name()))
            }
            _ => Ok(()),
        }
    }
}

#[derive(PartialEq, Deserialize)]
struct Updated {
    address: Address,
}

fn hashed(hash: u64, at: Timestamp, json: &str) -> u64 {
    let (words, rest) = json.as_bytes().as_chunks::<8>();
    let rest = rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    let hash = words.iter().fold(hash ^ at.0 as u64, |hash, word| mix(hash ^ u64::from_be_bytes(*word)));
    mix(hash ^ rest)
}
