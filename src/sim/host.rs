//! The simulated host: feeds the real kernel one input an order at a time, and lets nothing out that is not stored.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};

use super::fate::Fate;
use super::journal::{Journal, Unit};
use super::people::Command;
use super::plan::Plan;
use super::planted::Bug;
use super::queue::{Event, Life, Queue, Request};
use super::rng::Rng;
use super::store::Store;
use super::world::World;
use super::{Outcome, Violation, checks};
use crate::kernel::{ActivityCall, Cx, Family, IdSource, Input, Policies, Registry, Stepped};
use crate::model::{Address, Failure, FailureKind, Key, Name, RunId, Timestamp, WorkflowId};
use crate::workflows::order::{self, OrderStart, ReviewMode};

/// Where virtual time begins: some day in 2023.
const BEGIN: i64 = 1_700_000_000_000;
/// How often operators look after what waits before a story is given up.
const ROUNDS_MAX: u32 = 100;
const ROUND_MS: u64 = 5_000;
/// A client that got no answer asks again after this time.
const ASK_AGAIN_MS: u64 = 120;
/// Inputs of people that wait for one order, at most; beyond it they are turned away.
const MAILBOX: usize = 8;

pub(super) struct Host<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rng: Rng,
    seed: u64,
    pub(super) bug: Option<Bug>,
    pub(super) registry: Registry,
    policies: Policies,
    ids: Ids,
    pub(super) store: Store,
    pub(super) journal: Journal,
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
    rounds: u32,
    pub(super) outcome: Outcome,
    /// What was seen of each history: how many batches of facts, and their hash.
    pub(super) seen: HashMap<WorkflowId, (usize, u64)>,
    pub(super) folded: HashMap<WorkflowId, checks::Folded>,
    story: Option<Vec<String>>,
}

/// An order of the story: what the process has of it in memory, and what people know of it.
pub(super) struct Order {
    pub id: WorkflowId,
    pub start: OrderStart,
    pub valid: bool,
    /// In memory only: gone with the process.
    pub family: Option<Family>,
    /// A commit of it is on its way; other inputs wait.
    pub pending: bool,
    pub mailbox: VecDeque<Origin>,
    in_flight: Vec<(WorkflowId, Name, u32)>,
    tick_round: u64,
    /// When its alarm rings.
    armed: Option<u64>,
    /// The address that is on disk.
    pub address: Option<Address>,
    /// The newest fact somebody was told of.
    pub told_seq: u64,
    pub cancelled: bool,
    /// Something happened that its deadline cannot be held against.
    pub disturbed: bool,
    pub turned_at: Option<Timestamp>,
}

/// Whose input it is, and who is told what became of it.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Start,
    Person(Command),
    Tick,
    Reply(Box<Answer>),
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub to: WorkflowId,
    pub activity: Name,
    pub attempt: u32,
    pub result: Result<serde_json::Value, Failure>,
}

/// What became of an input.
pub(super) enum Fed {
    Changed,
    Unchanged,
    Refused(Name),
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
    pub fn new(seed: u64, plan: &'a Plan, bug: Option<Bug>, tell: bool) -> Self {
        let mut rng = Rng::new(seed);
        let order = |n| {
            let start = plan.order(&mut rng, n)?;
            let valid = OrderStart::check_rules(&start.money, &start.items, start.address.as_ref()).is_ok();
            Some(Order {
                id: start.order_id.workflow(),
                valid,
                family: None,
                pending: false,
                mailbox: VecDeque::new(),
                in_flight: Vec::new(),
                tick_round: 0,
                armed: None,
                address: start.address.clone(),
                told_seq: 0,
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
            bug,
            registry: crate::workflows::registry(),
            policies: Policies::default(),
            ids: Ids::default(),
            store: Store::default(),
            journal: Journal::default(),
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
            seen: HashMap::new(),
            folded: HashMap::new(),
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
            self.outcome.steps += 1;
            self.tell(|| event.to_string());
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

    /// Whether it is known to the store.
    pub(super) fn is_stored(&self, life: Life) -> bool {
        self.store.row(&self.orders[life].id).is_some()
    }

    /// An input arrives. While a commit of its order is on its way it waits.
    pub(super) fn hand(&mut self, life: Life, origin: Origin) -> Result<(), String> {
        let order = &mut self.orders[life];
        if !order.pending {
            return self.take(life, origin);
        }
        if order.mailbox.len() >= MAILBOX && matches!(origin, Origin::Person(_)) {
            return self.told(life, origin, Fed::Lost);
        }
        order.mailbox.push_back(origin);
        Ok(())
    }

    /// Takes what waits, until the next commit is on its way.
    pub(super) fn take_next(&mut self, life: Life) -> Result<(), String> {
        while !self.down && !self.orders[life].pending {
            let Some(origin) = self.orders[life].mailbox.pop_front() else { break };
            self.take(life, origin)?;
        }
        Ok(())
    }

    fn take(&mut self, life: Life, origin: Origin) -> Result<(), String> {
        let id = self.orders[life].id.clone();
        let (to, input) = match &origin {
            Origin::Start => return self.begin(life),
            Origin::Person(command) => (id, command.input()),
            Origin::Tick => (id, Input::Tick),
            Origin::Reply(answer) => (answer.to.clone(), answer.input()),
        };
        self.activate(life)?;
        if let Origin::Reply(answer) = &origin {
            // It has landed before the step is checked: only a call that flies can wake a family.
            self.landed(life, answer);
        }
        let Some(family) = &self.orders[life].family else { return self.told(life, origin, Fed::Lost) };
        match family.step(&to, &input, &self.cx()) {
            Err(rejection) => self.told(life, origin, Fed::Refused(rejection.code)),
            Ok(Stepped::Unchanged) => {
                if matches!(origin, Origin::Tick) && family.next_timer().is_some_and(|next| next <= self.wall()) {
                    return Err(format!("{to}: a timer that was due did not fire"));
                }
                self.note_told(life);
                self.told(life, origin, Fed::Unchanged)
            }
            Ok(Stepped::Changed { next, commit }) => {
                let stepped_at = self.wall();
                self.submit(Unit { life, origin: Some(origin), next, commit, stepped_at })
            }
        }
    }

    /// A start is written without a look whether the order exists; the store finds that out.
    fn begin(&mut self, life: Life) -> Result<(), String> {
        let order = &self.orders[life];
        if order.family.is_some() {
            let again = Command::StartAgain(order.start.fingerprint.clone());
            return self.take(life, Origin::Person(again));
        }
        let input = serde_json::to_value(&order.start).map_err(|e| e.to_string())?;
        let (next, commit) =
            Family::start(order::KIND, order.id.clone(), &input, &self.cx()).map_err(|e| e.to_string())?;
        let stepped_at = self.wall();
        self.submit(Unit { life, origin: Some(Origin::Start), next, commit, stepped_at })
    }

    /// Somebody knows now what is in memory of an order; it must never be less.
    pub(super) fn note_told(&mut self, life: Life) {
        let order = &mut self.orders[life];
        let seq = order.family.as_ref().map_or(0, |family| family.root().machine.core().seq);
        order.told_seq = order.told_seq.max(seq);
    }

    /// The family of an order that was started, brought back from the store where it is not in memory.
    pub(super) fn activate(&mut self, life: Life) -> Result<(), String> {
        if self.orders[life].family.is_some() {
            return Ok(());
        }
        let family = self.store.restore(&self.registry, &self.orders[life].id)?;
        let calls = family.outstanding();
        self.orders[life].family = Some(family);
        if self.bug != Some(Bug::ForgottenCalls) {
            for call in calls {
                self.release(life, call);
            }
        }
        self.arm(life);
        self.check_wakes(life)
    }

    /// Makes a call that is on disk.
    pub(super) fn release(&mut self, life: Life, mut call: ActivityCall) {
        if let Some(bug) = self.bug {
            bug.spoil_call(&mut call, &self.orders[life].start);
        }
        let mut fate = if self.calm { Fate::kind(&mut self.rng) } else { Fate::draw(self.plan, &mut self.rng, &call) };
        if call.activity == order::activity::VALIDATE && !self.orders[life].valid {
            fate.refuse = Some(Failure::new(FailureKind::Validation, "not valid"));
        }
        let (to, activity, attempt) = (call.workflow_id.clone(), call.activity.clone(), call.attempt);
        self.orders[life].in_flight.push((to.clone(), activity.clone(), attempt));
        let epoch = self.epoch;
        if let Some((after, failure)) = fate.failure {
            let answer = Box::new(Answer { to, activity, attempt, result: Err(failure) });
            self.queue.push(self.now + after, Event::Reply { life, epoch, answer });
        }
        if let Some(after) = fate.effect {
            let answers = fate.answer.into_iter().chain(fate.again).map(|ms| self.now + ms).collect();
            let request = Box::new(Request { call, refuse: fate.refuse, answers });
            self.queue.push(self.now + after, Event::Effect { life, epoch, request });
        }
    }

    fn landed(&mut self, life: Life, answer: &Answer) {
        let in_flight = &mut self.orders[life].in_flight;
        let is_it =
            |(id, name, n): &(WorkflowId, Name, u32)| (id, name, *n) == (&answer.to, &answer.activity, answer.attempt);
        if let Some(at) = in_flight.iter().position(is_it) {
            in_flight.swap_remove(at);
        }
    }

    /// Its answer could not be stored; the host keeps it and tries again.
    pub(super) fn fly_on(&mut self, life: Life, answer: &Answer) {
        let flight = (answer.to.clone(), answer.activity.clone(), answer.attempt);
        self.orders[life].in_flight.push(flight);
    }

    /// Sets the alarm for what a family next does by itself.
    pub(super) fn arm(&mut self, life: Life) {
        let due = self.due(life);
        let forgets = self.bug == Some(Bug::LostWakeUp) && self.rng.chance(125);
        self.arm_at(life, due.filter(|_| !forgets));
    }

    fn due(&self, life: Life) -> Option<u64> {
        let due = self.orders[life].family.as_ref().and_then(Family::next_timer);
        due.map(|due| self.now + due.ms_since(self.wall()))
    }

    pub(super) fn arm_at(&mut self, life: Life, due: Option<u64>) {
        let order = &mut self.orders[life];
        order.tick_round += 1;
        order.armed = due;
        let (epoch, round) = (self.epoch, order.tick_round);
        if let Some(due) = due {
            self.queue.push(due, Event::Tick { life, epoch, round });
        }
    }

    pub(super) fn is_armed(&self, life: Life, round: u64) -> bool {
        self.orders[life].tick_round == round
    }

    /// All that is in memory of the orders is gone; who waited for an answer will ask again.
    pub(super) fn forget_all(&mut self) {
        for life in 0..self.orders.len() {
            let order = &mut self.orders[life];
            order.family = None;
            order.pending = false;
            order.in_flight.clear();
            order.armed = None;
            order.disturbed = true;
            for origin in std::mem::take(&mut order.mailbox) {
                self.hangs_up(life, Some(origin));
            }
        }
    }

    /// The connection of whoever sent it breaks.
    pub(super) fn hangs_up(&mut self, life: Life, origin: Option<Origin>) {
        match origin {
            Some(Origin::Start) => self.ask_again(Event::Start(life)),
            Some(Origin::Person(command)) => self.ask_again(Event::Command(life, command)),
            Some(Origin::Tick | Origin::Reply(_)) | None => {}
        }
    }

    /// Something will wake the order: a call that flies, an alarm that is set, or a signal it names.
    pub(super) fn check_wakes(&self, life: Life) -> Result<(), String> {
        let order = &self.orders[life];
        let flies = |to: &WorkflowId, activity: &str, attempt| {
            order.in_flight.iter().any(|(id, name, n)| (id, name.as_ref(), *n) == (to, activity, attempt))
        };
        if self.due(life).is_some_and(|due| order.armed.is_none_or(|armed| armed > due)) {
            return Err(format!("{}: no alarm is set for its next timer", order.id));
        }
        order.family.as_ref().map_or(Ok(()), |family| checks::wakes(family, flies))
    }
}

impl Answer {
    fn input(&self) -> Input {
        let (activity, attempt) = (self.activity.clone(), self.attempt);
        match self.result.clone() {
            Ok(result) => Input::ActivityCompleted { activity, attempt, result },
            Err(failure) => Input::ActivityFailed { activity, attempt, failure },
        }
    }
}
