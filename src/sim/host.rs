//! The simulated host: feeds the real kernel, commits to the store, and only then lets effects out.

use std::cell::Cell;

use super::fate::Fate;
use super::people::Command;
use super::plan::Plan;
use super::queue::{Event, Life, Queue};
use super::rng::Rng;
use super::store::Store;
use super::world::World;
use super::{Outcome, Violation, checks};
use crate::kernel::{ActivityCall, Commit, Cx, Family, IdSource, Input, Policies, Registry, Stepped, mix};
use crate::model::{Address, Key, Name, RunId, Timestamp, WorkflowId};
use crate::workflows::order::{self, OrderStart, ReviewMode};

/// Where virtual time begins: some day in 2023.
const BEGIN: i64 = 1_700_000_000_000;
/// How often operators look after what waits before a story is given up.
const ROUNDS_MAX: u32 = 100;
const ROUND_MS: u64 = 5_000;
/// A client that got no answer asks again after this time.
const ASK_AGAIN_MS: u64 = 120;

pub(super) struct Host<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rng: Rng,
    seed: u64,
    registry: Registry,
    policies: Policies,
    ids: Ids,
    pub(super) store: Store,
    pub(super) world: World,
    pub(super) orders: Vec<Order>,
    pub(super) queue: Queue,
    pub(super) now: u64,
    /// What the wall clock is off from virtual time.
    pub(super) skew: i64,
    /// The number of the process; what belongs to an earlier one is lost.
    pub(super) epoch: u64,
    pub(super) down: bool,
    pub(super) calm: bool,
    pub(super) rounds: u32,
    pub(super) outcome: Outcome,
    story: Option<Vec<String>>,
}

/// An order of the story: what the process has of it in memory, and what people know of it.
pub(super) struct Order {
    pub id: WorkflowId,
    pub start: OrderStart,
    pub valid: bool,
    pub started: bool,
    /// In memory only: gone with the process.
    pub family: Option<Family>,
    in_flight: Vec<(WorkflowId, Name, u32)>,
    tick_round: u64,
    /// The address that is on disk.
    pub address: Option<Address>,
    pub updates: usize,
    pub cancelled: bool,
    /// Something happened that its deadline cannot be held against.
    pub disturbed: bool,
    turned_at: Option<Timestamp>,
}

/// What became of an input.
pub(super) enum Fed {
    Changed,
    Unchanged,
    Refused(crate::model::Name),
    /// Nobody knows: the commit failed, or the process died.
    Lost,
}

#[derive(Default)]
struct Ids(Cell<u64>);

impl IdSource for Ids {
    fn key(&self) -> Key {
        self.0.set(self.0.get() + 1);
        Key(self.0.get() as i64)
    }

    fn run_id(&self) -> RunId {
        self.0.set(self.0.get() + 1);
        RunId(uuid::Uuid::from_u64_pair(1, self.0.get()))
    }
}

impl<'a> Host<'a> {
    pub fn new(seed: u64, plan: &'a Plan, tell: bool) -> Self {
        let mut rng = Rng::new(seed);
        let order = |n| {
            let start = plan.order(&mut rng, n)?;
            let valid = OrderStart::check_rules(&start.money, &start.items, start.address.as_ref()).is_ok();
            Some(Order {
                id: start.order_id.workflow(),
                valid,
                started: false,
                family: None,
                in_flight: Vec::new(),
                tick_round: 0,
                address: start.address.clone(),
                updates: 0,
                cancelled: false,
                disturbed: start.review.mode == ReviewMode::Manual,
                turned_at: None,
                start,
            })
        };
        let orders = (1..=plan.orders).filter_map(order).collect();
        Self {
            plan,
            rng,
            seed,
            registry: crate::workflows::registry(),
            policies: Policies::default(),
            ids: Ids::default(),
            store: Store::default(),
            world: World::default(),
            orders,
            queue: Queue::default(),
            now: 0,
            skew: 0,
            epoch: 0,
            down: false,
            calm: false,
            rounds: 0,
            outcome: Outcome::default(),
            story: tell.then(Vec::new),
        }
    }

    pub fn run(mut self) -> Result<Outcome, Box<Violation>> {
        match self.live() {
            Ok(()) => Ok(self.outcome),
            Err(what) => Err(Box::new(Violation {
                seed: self.seed,
                step: self.outcome.steps,
                what,
                story: self.story.unwrap_or_default(),
            })),
        }
    }

    fn live(&mut self) -> Result<(), String> {
        self.foresee();
        while let Some((at, event)) = self.queue.pop() {
            self.now = self.now.max(at);
            self.tell(|| format!("{event:?}"));
            self.happen(event)?;
            if self.rounds > ROUNDS_MAX {
                return Err("some order does not come to its end".to_owned());
            }
        }
        self.settle_up()
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>7} ms  {}", self.now, line()));
        }
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp(BEGIN + self.now as i64 + self.skew)
    }

    pub(super) fn ask_again(&mut self, event: Event) {
        self.queue.push(self.now + ASK_AGAIN_MS, event);
    }

    pub(super) fn next_round(&mut self) {
        self.rounds += 1;
        self.queue.push(self.now + ROUND_MS, Event::Rounds);
    }

    fn cx(&self) -> Cx<'_> {
        Cx { now: self.wall(), policies: &self.policies, registry: &self.registry, ids: &self.ids }
    }

    pub(super) fn start(&mut self, life: Life) -> Result<Fed, String> {
        let order = &self.orders[life];
        let input = serde_json::to_value(&order.start).map_err(|e| e.to_string())?;
        let (family, commit) =
            Family::start(order::KIND, order.id.clone(), &input, &self.cx()).map_err(|e| e.to_string())?;
        self.commit(life, family, &commit)
    }

    /// The family of an order that was started, brought back from the store where it is not in memory.
    pub(super) fn activate(&mut self, life: Life) -> Result<(), String> {
        if self.orders[life].family.is_some() {
            return Ok(());
        }
        let family = self.store.restore(&self.registry, &self.orders[life].id)?;
        let calls = family.outstanding();
        self.orders[life].family = Some(family);
        for call in calls {
            self.release(life, call);
        }
        self.arm(life);
        Ok(())
    }

    pub(super) fn feed(&mut self, life: Life, to: &WorkflowId, input: &Input) -> Result<Fed, String> {
        self.activate(life)?;
        self.outcome.steps += 1;
        let Some(family) = &self.orders[life].family else { return Ok(Fed::Lost) };
        match family.step(to, input, &self.cx()) {
            Err(rejection) => Ok(Fed::Refused(rejection.code)),
            Ok(Stepped::Unchanged) => Ok(Fed::Unchanged),
            Ok(Stepped::Changed { next, commit }) => self.commit(life, next, &commit),
        }
    }

    fn commit(&mut self, life: Life, next: Family, commit: &Commit) -> Result<Fed, String> {
        if !self.calm && self.rng.chance(self.plan.lost_commits) {
            self.orders[life].disturbed = true;
            return Ok(Fed::Lost);
        }
        let dies = !self.calm && self.rng.chance(self.plan.crashes_at_commit);
        if dies && self.rng.chance(500) {
            self.crash()?;
            return Ok(Fed::Lost);
        }
        self.store.apply(commit)?;
        self.remember(commit);
        self.orders[life].started = true;
        checks::step(&self.store, &next, commit)?;
        checks::money(&next, &self.world.account(self.orders[life].id.as_str()))?;
        self.check_deadline(life, &next)?;
        if self.plan.fold_every_step {
            self.check_fold(life)?;
        }
        self.orders[life].family = Some(next);
        if dies {
            self.crash()?;
            return Ok(Fed::Lost);
        }
        for call in &commit.calls {
            self.release(life, call.clone());
        }
        self.arm(life);
        self.check_wakes(life)?;
        Ok(Fed::Changed)
    }

    fn remember(&mut self, commit: &Commit) {
        for t in &commit.transitions {
            self.outcome.facts += u64::from(t.facts);
            let bytes = t.facts_json.as_bytes().chunks(8);
            let hash = bytes.fold(self.outcome.trace_hash ^ t.at.0 as u64, |hash, chunk| {
                let word = chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
                mix(hash ^ word)
            });
            self.outcome.trace_hash = hash;
            self.tell(|| format!("  {} {} -> {}: {}", t.id, t.seq, t.state, t.facts_json));
        }
    }

    /// Makes a call that is on disk.
    pub(super) fn release(&mut self, life: Life, call: ActivityCall) {
        let mut fate = if self.calm { Fate::kind(&mut self.rng) } else { Fate::draw(self.plan, &mut self.rng, &call) };
        if call.activity == order::activity::VALIDATE && !self.orders[life].valid {
            fate.refuse = Some(crate::model::Failure::new(crate::model::FailureKind::Validation, "not valid"));
        }
        let (to, activity, attempt) = (call.workflow_id.clone(), call.activity.clone(), call.attempt);
        self.orders[life].in_flight.push((to.clone(), activity.clone(), attempt));
        let epoch = self.epoch;
        if let Some((after, failure)) = fate.failure {
            let result = Err(failure);
            self.queue.push(self.now + after, Event::Reply { life, epoch, to, activity, attempt, result });
        }
        if let Some(after) = fate.effect {
            let answers = fate.answer.into_iter().chain(fate.again).map(|ms| self.now + ms).collect();
            let call = Box::new(call);
            self.queue.push(self.now + after, Event::Effect { life, epoch, call, refuse: fate.refuse, answers });
        }
    }

    pub(super) fn landed(&mut self, life: Life, to: &WorkflowId, activity: &str, attempt: u32) {
        let in_flight = &mut self.orders[life].in_flight;
        if let Some(at) = in_flight.iter().position(|(id, name, n)| (id, name.as_ref(), *n) == (to, activity, attempt))
        {
            in_flight.swap_remove(at);
        }
    }

    /// Its answer could not be stored; the host keeps it and tries again.
    pub(super) fn fly_on(&mut self, life: Life, to: &WorkflowId, activity: &Name, attempt: u32) {
        self.orders[life].in_flight.push((to.clone(), activity.clone(), attempt));
    }

    /// Sets the alarm for what a family next does by itself.
    pub(super) fn arm(&mut self, life: Life) {
        let due = self.orders[life].family.as_ref().and_then(Family::next_timer);
        let due = due.map(|due| self.now + due.ms_since(self.wall()));
        self.arm_at(life, due);
    }

    pub(super) fn arm_at(&mut self, life: Life, due: Option<u64>) {
        self.orders[life].tick_round += 1;
        let (epoch, round) = (self.epoch, self.orders[life].tick_round);
        if let Some(due) = due {
            self.queue.push(due, Event::Tick { life, epoch, round });
        }
    }

    pub(super) fn is_armed(&self, life: Life, round: u64) -> bool {
        self.orders[life].tick_round == round
    }

    /// The process dies: all that is not in the store is gone, but for requests that have left.
    pub(super) fn crash(&mut self) -> Result<(), String> {
        self.tell(|| "the process dies".to_owned());
        self.epoch += 1;
        self.down = true;
        self.outcome.crashes += 1;
        for life in 0..self.orders.len() {
            let order = &mut self.orders[life];
            order.family = None;
            order.in_flight.clear();
            order.disturbed = true;
            let id = &order.id;
            if self.store.row(id).is_some_and(|row| !row.terminal) {
                self.check_fold(life)?;
            }
        }
        let down_ms = self.rng.between(1, 4_000);
        self.queue.push(self.now + down_ms, Event::Restart);
        Ok(())
    }

    pub(super) fn command(&mut self, life: Life, command: &Command) -> Result<Fed, String> {
        let id = self.orders[life].id.clone();
        self.feed(life, &id, &command.input())
    }

    fn check_wakes(&self, life: Life) -> Result<(), String> {
        let order = &self.orders[life];
        let flies = |to: &WorkflowId, activity: &str, attempt| {
            order.in_flight.iter().any(|(id, name, n)| (id, name.as_ref(), *n) == (to, activity, attempt))
        };
        order.family.as_ref().map_or(Ok(()), |family| checks::wakes(family, flies))
    }

    pub(super) fn check_fold(&self, life: Life) -> Result<(), String> {
        checks::fold(&self.store, &self.registry, &self.orders[life].id)
    }

    /// By its deadline an undisturbed order has ended, or is on its way back.
    fn check_deadline(&mut self, life: Life, next: &Family) -> Result<(), String> {
        let root = next.root().machine.as_ref();
        let (now, order) = (self.wall(), &mut self.orders[life]);
        let turned = root.is_terminal() || root.state_name() == "compensating";
        if turned && order.turned_at.is_none() {
            order.turned_at = Some(now);
        }
        let at = order.turned_at.unwrap_or(now);
        match order.start.deadline_ms {
            Some(ms) if !order.disturbed && at > root.core().created_at.plus_ms(ms) => {
                Err(format!("{} is {} past its deadline", order.id, root.state_name()))
            }
            _ => Ok(()),
        }
    }
}
