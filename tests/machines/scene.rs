//! A stage for scripted stories: the real kernel and workflows, the simulator's store and world, and a clock that
//! moves only when told to. After every step all of the simulator's checks are made.

use std::borrow::Cow;
use std::collections::HashMap;

use ordain::kernel::{ActivityCall, Commit, Cx, Family, Input, Policies, Registry, Stepped};
use ordain::model::{Failure, FailureKind, OrderId, PaymentId, Timestamp, WorkflowId};
use ordain::sim::{Account, Store, World, checks};
use ordain::workflows::order::{self, OrderStart, ReviewMode, ReviewPlan};
use serde_json::{Value, json};

use super::ids::Ids;

pub const BEGIN: i64 = 1_700_000_000_000;
pub const CHARGE: &str = "charge_payment";
pub const REFUND: &str = "refund_payment";
pub const PREPARE: &str = "prepare_package";
pub const DISPATCH: &str = "dispatch_carrier";

/// Whether an input changed something, or the code of its refusal.
pub type Answer = Result<bool, &'static str>;

pub struct Scene {
    /// Virtual ms since the order was placed.
    pub now: u64,
    pub policies: Policies,
    pub store: Store,
    pub world: World,
    pub family: Family,
    /// Calls that are under way.
    pub calls: Vec<ActivityCall>,
    pub id: WorkflowId,
    /// Fold the facts only at crashes and when asked; otherwise after every step.
    pub hasty: bool,
    registry: Registry,
    ids: Ids,
}

pub fn content() -> OrderStart {
    let order_id = OrderId::parse("o-1").unwrap();
    serde_json::from_value(json!({
        "order_id": order_id, "payment_id": PaymentId::of_order(&order_id), "amount": "49.90", "currency": "USD",
        "address": "1 First Street", "items": [{"sku": "a", "quantity": 2, "unit_price": "24.95"}],
        "review": ReviewPlan { mode: ReviewMode::Auto, auto_ms: 2_000, deadline_ms: None },
        "deadline_ms": 15_000, "fingerprint": "f-1",
    }))
    .unwrap()
}

pub fn manual(start: &mut OrderStart) {
    start.review.mode = ReviewMode::Manual;
}

impl Scene {
    /// An order that was just placed: `receive_order` is under way.
    pub fn new(edit: impl FnOnce(&mut OrderStart)) -> Self {
        let mut start = content();
        edit(&mut start);
        let (registry, ids, policies) = (ordain::workflows::registry(), Ids::default(), Policies::default());
        let input = serde_json::to_value(&start).unwrap();
        let id = start.order_id.workflow();
        let cx = Cx { now: Timestamp(BEGIN), policies: &policies, registry: &registry, ids: &ids };
        let (family, commit) = Family::start(order::KIND, id.clone(), &input, &cx).unwrap();
        let mut store = Store::default();
        store.apply(&commit).unwrap();
        let calls = commit.calls.clone();
        let world = World::default();
        let scene = Self { now: 0, policies, store, world, family, calls, id, hasty: false, registry, ids };
        scene.check(&commit);
        scene
    }

    pub fn placed() -> Self {
        Self::new(|_| {})
    }

    fn check(&self, commit: &Commit) {
        checks::step(&self.store, &self.family, commit).unwrap();
        checks::money(&self.family, &self.account()).unwrap();
        if !self.hasty {
            self.check_fold();
        }
        let flies = |to: &WorkflowId, name: &str, n| {
            self.calls.iter().any(|c| c.workflow_id == *to && c.activity == name && c.attempt == n)
        };
        checks::wakes(&self.family, flies).unwrap();
    }

    pub fn check_fold(&self) {
        checks::fold(&self.store, &self.registry, &self.id, &mut HashMap::new()).unwrap();
        checks::read_back(&self.store, &self.registry, &self.id).unwrap();
    }

    /// A step of the kernel, not stored and not adopted.
    pub fn dry(&self, to: &WorkflowId, input: &Input) -> Result<Option<(Family, Commit)>, &'static str> {
        let now = Timestamp(BEGIN + self.now as i64);
        let cx = Cx { now, policies: &self.policies, registry: &self.registry, ids: &self.ids };
        match self.family.step(to, input, &cx) {
            Err(rejection) => Err(rejection.code.into_owned().leak()),
            Ok(Stepped::Unchanged) => Ok(None),
            Ok(Stepped::Changed { next, commit }) => Ok(Some((next, commit))),
        }
    }

    pub fn feed(&mut self, to: &WorkflowId, input: &Input) -> Answer {
        let Some((next, commit)) = self.dry(to, input)? else { return Ok(false) };
        self.adopt(next, &commit);
        Ok(true)
    }

    pub fn adopt(&mut self, next: Family, commit: &Commit) {
        self.store.apply(commit).unwrap();
        self.family = next;
        self.calls.extend(commit.calls.iter().cloned());
        self.check(commit);
    }

    /// Stores a commit whose effects are never released: the process died.
    pub fn store_only(&mut self, commit: &Commit) {
        self.store.apply(commit).unwrap();
    }

    /// The process dies and comes back: memory is gone, calls on disk are made again.
    pub fn crash(&mut self) {
        self.family = self.store.restore(&self.registry, &self.id).unwrap();
        self.calls = self.family.outstanding();
        self.check_fold();
        self.check(&Commit::default());
    }

    pub fn root(&mut self, input: &Input) -> Answer {
        let id = self.id.clone();
        self.feed(&id, input)
    }

    pub fn signal(&mut self, name: &'static str, payload: Value) -> Answer {
        self.root(&Input::Signal { name: Cow::Borrowed(name), payload })
    }

    pub fn approve(&mut self) -> Answer {
        self.signal("approve", Value::Null)
    }
    pub fn cancel(&mut self) -> Answer {
        self.signal("cancel", json!({ "reason": "no longer wanted" }))
    }
    pub fn move_to(&mut self, line: &str) -> Answer {
        self.signal("update_address", json!({ "address": line }))
    }
    pub fn pause(&mut self) -> Answer {
        self.root(&Input::Pause)
    }
    pub fn resume(&mut self) -> Answer {
        self.root(&Input::Resume)
    }
    pub fn retry(&mut self) -> Answer {
        self.root(&Input::Retry)
    }
    pub fn actor_gives_up(&mut self) -> Answer {
        self.root(&Input::Crashed { reason: "it panicked".to_owned() })
    }

    pub fn is_calling(&self, activity: &str) -> bool {
        self.calls.iter().any(|call| call.activity == activity)
    }

    /// The call of an activity that is under way.
    pub fn call(&self, activity: &str) -> ActivityCall {
        let call = self.calls.iter().find(|call| call.activity == activity);
        call.cloned().unwrap_or_else(|| panic!("{activity} is not under way in {}: {:?}", self.state(), self.calls))
    }

    fn land(&mut self, call: &ActivityCall, result: Result<Value, Failure>) {
        self.calls
            .retain(|c| (&c.workflow_id, &c.activity, c.attempt) != (&call.workflow_id, &call.activity, call.attempt));
        self.deliver(call, result).unwrap();
    }

    /// Delivers a result as it is, timely or not.
    pub fn deliver(&mut self, call: &ActivityCall, result: Result<Value, Failure>) -> Answer {
        let (activity, attempt) = (call.activity.clone(), call.attempt);
        let input = match result {
            Ok(result) => Input::ActivityCompleted { activity, attempt, result },
            Err(failure) => Input::ActivityFailed { activity, attempt, failure },
        };
        self.feed(&call.workflow_id, &input)
    }

    /// The call is carried out and answered.
    pub fn done(&mut self, activity: &str) {
        let call = self.call(activity);
        let reply = self.world.perform(&call, None).unwrap();
        self.land(&call, reply.result);
    }

    /// The other side turns it down, now and whenever it is asked with this key.
    pub fn refused(&mut self, activity: &str) {
        let call = self.call(activity);
        let no = Failure::new(FailureKind::Refused, "declined");
        let reply = self.world.perform(&call, Some(no)).unwrap();
        self.land(&call, reply.result);
    }

    /// The attempt fails, and has had no effect.
    pub fn fails(&mut self, activity: &str, kind: FailureKind) {
        let call = self.call(activity);
        self.land(&call, Err(Failure::new(kind, "it failed")));
    }

    /// The attempt has its effect, and its answer is lost.
    pub fn happens_but(&mut self, activity: &str, kind: FailureKind) {
        let call = self.call(activity);
        self.world.perform(&call, None).unwrap();
        self.land(&call, Err(Failure::new(kind, "the answer was lost")));
    }

    /// Time passes, and everything that falls due in it happens.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.next_timer().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.root(&Input::Tick).unwrap();
            assert!(self.next_timer().is_none_or(|next| next > self.now), "a timer that was due did not fire");
        }
        self.now = until;
    }

    /// When something next happens by itself.
    pub fn next_timer(&self) -> Option<u64> {
        self.family.next_timer().map(|due| due.ms_since(Timestamp(BEGIN)))
    }

    pub fn wait_for_timer(&mut self) {
        let due = self.next_timer().expect("a timer is set");
        self.wait(due.saturating_sub(self.now));
    }

    /// A kind world: every call is carried out at once and every timer awaited, until `enough`.
    pub fn go_until(mut self, enough: impl Fn(&Self) -> bool) -> Self {
        for _ in 0..200 {
            if enough(&self) {
                return self;
            }
            self.go_on();
        }
        panic!("it came to rest in {}: {:?}", self.state(), self.history());
    }

    pub fn go_on(&mut self) {
        if let Some(call) = self.calls.first().cloned() {
            let reply = self.world.perform(&call, None).unwrap();
            self.land(&call, reply.result);
        } else if self.next_timer().is_some() {
            self.wait_for_timer();
        }
    }

    pub fn at_state(self, state: &str) -> Self {
        self.go_until(|scene| scene.state() == state)
    }

    /// Until an activity is under way.
    pub fn calling(self, activity: &str) -> Self {
        self.go_until(|scene| scene.is_calling(activity))
    }

    pub fn ended(self) -> Self {
        self.go_until(|scene| scene.family.root().machine.is_terminal())
    }

    pub fn state(&self) -> &'static str {
        self.family.root().machine.state_name()
    }

    pub fn account(&self) -> Account {
        self.world.account(self.id.as_str())
    }

    /// What is on the ledger: charges, refunds, parcels.
    pub fn ledger(&self) -> (u32, u32, usize) {
        let account = self.account();
        (account.charges, account.refunds, account.parcels.len())
    }

    /// Its own state as it is stored.
    pub fn stored(&self) -> Value {
        let row = self.store.row(&self.id).unwrap();
        serde_json::from_str::<Value>(&row.snapshot).unwrap()["state"].clone()
    }

    pub fn payment(&self) -> &'static str {
        self.store.row(&self.id).unwrap().payment.as_ref().unwrap().status.as_str()
    }

    /// The types of its facts.
    pub fn history(&self) -> Vec<String> {
        self.store.facts(&self.id).unwrap().into_iter().map(|(fact, _)| fact.kind).collect()
    }

    pub fn count(&self, fact: &str) -> usize {
        self.store.count(&self.id, fact)
    }

    pub fn waits_for(&self) -> Vec<(&'static str, String)> {
        self.family.root().machine.waiting_for().into_iter().map(|w| (w.kind, w.name)).collect()
    }

    pub fn seq(&self) -> u64 {
        self.family.root().machine.core().seq
    }
}
