//! What happens in a story, event by event.

use super::checks;
use super::host::{Answer, Fed, Host, Origin};
use super::people::Command;
use super::planted::Bug;
use super::queue::{Event, Life, Request};
use super::world::Reply;
use crate::workflows::order::activity;
use crate::workflows::shipping;

impl Host<'_> {
    /// Decides what is going to happen: when orders are placed, what people send, when the process dies.
    pub(super) fn foresee(&mut self) {
        let storm = self.plan.storm_ms;
        for life in 0..self.orders.len() {
            let placed = self.rng.below(storm / 4);
            self.queue.push(placed, Event::Start(life));
            for _ in 0..self.rng.below(self.plan.signals + 1) {
                let command = Command::draw(&mut self.rng, &self.orders[life].start.fingerprint);
                // Early in a life more happens: most signals come then.
                let span = if self.rng.chance(600) { 4_000 } else { storm };
                let at = placed + self.rng.below(span);
                self.queue.push(at, Event::Command(life, command));
            }
            if self.rng.chance(self.plan.stuck) {
                let at = placed + self.rng.below(8_000);
                self.queue.push(at, Event::Command(life, Command::Crashed));
            }
        }
        for _ in 0..self.rng.below(self.plan.crashes + 1) {
            let at = self.rng.below(storm);
            self.queue.push(at, Event::Crash);
        }
        for _ in 0..self.rng.below(self.plan.clock_jumps + 1) {
            let at = self.rng.below(storm);
            self.queue.push(at, Event::ClockJump);
        }
        self.queue.push(storm, Event::Rounds);
    }

    pub(super) fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Start(life) if self.down => self.ask_again(Event::Start(life)),
            Event::Start(life) => self.hand(life, Origin::Start)?,
            Event::Command(life, command) if self.down || !self.is_stored(life) => {
                self.ask_again(Event::Command(life, command));
            }
            Event::Command(life, command) => self.person(life, command)?,
            Event::Tick { life, epoch, round } => {
                if epoch == self.epoch && !self.down && self.is_armed(life, round) {
                    self.hand(life, Origin::Tick)?;
                }
            }
            Event::Effect { life, epoch, request } => self.effect(life, epoch, *request)?,
            Event::Reply { life, epoch, answer } => self.reply(life, epoch, answer)?,
            // A process that woke up late still holds its commit.
            Event::Committed { epoch } if self.down => self.ask_again(Event::Committed { epoch }),
            Event::Committed { epoch } => self.committed(epoch)?,
            Event::Crash if self.down || self.calm => {}
            Event::Crash => self.crash()?,
            Event::Restart => self.restart(),
            Event::Recover { life, epoch } => self.recover(life, epoch)?,
            Event::ClockJump if self.calm => {}
            Event::ClockJump => {
                let ms = self.rng.between(1, 10_000) as i64;
                self.skew += if self.rng.chance(500) { ms } else { -ms };
                for life in 0..self.orders.len() {
                    self.orders[life].disturbed = true;
                    self.arm(life);
                }
            }
            Event::Rounds => self.operators()?,
        }
        Ok(())
    }

    fn person(&mut self, life: Life, command: Command) -> Result<(), String> {
        if !matches!(command, Command::Approve | Command::Cancel | Command::UpdateAddress(_)) {
            self.orders[life].disturbed = true;
        }
        self.hand(life, Origin::Person(command))
    }

    /// Whoever sent an input learns what became of it.
    pub(super) fn told(&mut self, life: Life, origin: Origin, fed: Fed) -> Result<(), String> {
        match (origin, fed) {
            (origin @ (Origin::Start | Origin::Person(_)), Fed::Lost) => self.hangs_up(life, Some(origin)),
            (Origin::Start, Fed::Refused(code)) => return Err(format!("a start was refused: {code}")),
            (Origin::Start, Fed::Changed | Fed::Unchanged) => {}
            (Origin::Person(command), Fed::Refused(code)) => {
                if !command.may_get(&code) {
                    return Err(format!("{}: {command:?} got {code}", self.orders[life].id));
                }
                self.tell(|| format!("  refused: {code}"));
            }
            (Origin::Person(command), Fed::Changed | Fed::Unchanged) => {
                self.orders[life].cancelled |= matches!(command, Command::Cancel);
            }
            (Origin::Tick, Fed::Lost) => self.arm_at(life, Some(self.now + 20)),
            (Origin::Tick, Fed::Refused(code)) => {
                return Err(format!("{}: a tick was refused: {code}", self.orders[life].id));
            }
            (Origin::Tick, Fed::Changed | Fed::Unchanged) => {
                self.arm(life);
                self.passivate(life);
            }
            (Origin::Reply(answer), Fed::Lost) => {
                self.fly_on(life, &answer);
                self.ask_again(Event::Reply { life, epoch: self.epoch, answer });
            }
            (Origin::Reply(answer), Fed::Refused(code)) => {
                return Err(format!("{}: a result of {} was refused: {code}", answer.to, answer.activity));
            }
            (Origin::Reply(_), Fed::Changed | Fed::Unchanged) => {}
        }
        Ok(())
    }

    /// Lets go of an idle family now and then, as a host short of memory does.
    fn passivate(&mut self, life: Life) {
        let order = &self.orders[life];
        if !self.calm
            && self.rng.chance(self.plan.crashes_at_commit * 5)
            && order.mailbox.is_empty()
            && order.family.as_ref().is_some_and(|f| f.outstanding().is_empty())
        {
            self.orders[life].family = None;
        }
    }

    fn effect(&mut self, life: Life, epoch: u64, request: Request) -> Result<(), String> {
        let Request { call, refuse, answers } = request;
        let id = &call.workflow_id;
        if !self.store.has_intent(&call) {
            return Err(format!("{id}: {} is called, and its intent is not on disk", call.activity));
        }
        let skipped = self.bug == Some(Bug::NoRefund) && call.activity == activity::REFUND;
        let reply = if skipped { Reply::nothing() } else { self.world.perform(&call, refuse)? };
        let order = &self.orders[life];
        let matters = matches!(call.activity.as_ref(), activity::CHARGE | activity::REFUND | shipping::DISPATCH);
        if reply.fresh && reply.result.is_ok() && matters {
            if self.store.row(&order.id).is_some_and(|row| row.terminal) {
                return Err(format!("{id}: {} took effect after the end", call.activity));
            }
            if call.activity == shipping::DISPATCH && call.input["address"] != serde_json::json!(order.address) {
                return Err(format!("{id}: dispatched to {}, not to {:?}", call.input["address"], order.address));
            }
        }
        for at in answers {
            let (to, activity, attempt) = (call.workflow_id.clone(), call.activity.clone(), call.attempt);
            let answer = Box::new(Answer { to, activity, attempt, result: reply.result.clone() });
            self.queue.push(at, Event::Reply { life, epoch, answer });
        }
        Ok(())
    }

    fn reply(&mut self, life: Life, epoch: u64, mut answer: Box<Answer>) -> Result<(), String> {
        if epoch != self.epoch || self.down {
            return Ok(());
        }
        if let (Some(bug), Err(failure)) = (self.bug, &mut answer.result) {
            bug.spoil_failure(&answer.activity, failure);
        }
        self.hand(life, Origin::Reply(answer))
    }

    /// A new process: its recovery looks at one order after the other, while people send to all of them.
    fn restart(&mut self) {
        self.down = false;
        for life in 0..self.orders.len() {
            let at = self.now + self.rng.between(0, self.plan.commit_ms);
            self.queue.push(at, Event::Recover { life, epoch: self.epoch });
        }
    }

    fn recover(&mut self, life: Life, epoch: u64) -> Result<(), String> {
        if epoch != self.epoch || self.down || self.orders[life].pending || !self.is_stored(life) {
            return Ok(());
        }
        // What is due is brought to life, the rest when its time comes or a signal arrives.
        match self.store.wake_at(&self.orders[life].id) {
            Some(at) if at <= self.wall() => self.activate(life)?,
            Some(at) if self.orders[life].family.is_none() => {
                self.arm_at(life, Some(self.now + at.ms_since(self.wall())));
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Operators approve, resume and retry what waits for them, until every order has ended and nobody can open one again.
    fn operators(&mut self) -> Result<(), String> {
        self.calm = true;
        let mut open = self.down || self.queue.holds_people();
        for life in 0..self.orders.len() {
            let ended = self.store.row(&self.orders[life].id).is_some_and(|row| row.terminal);
            open |= !ended;
            if ended || self.down || !self.is_stored(life) {
                continue;
            }
            for command in [Command::Resume, Command::Retry, Command::Approve] {
                let state = self.store.row(&self.orders[life].id).map(|row| row.state);
                if matches!(command, Command::Retry) != (state == Some("stuck")) && !matches!(command, Command::Resume)
                {
                    continue;
                }
                self.person(life, command)?;
            }
        }
        if open {
            self.next_round();
        }
        Ok(())
    }

    /// What must be true once all is over.
    pub(super) fn settle_up(&mut self) -> Result<(), String> {
        for life in 0..self.orders.len() {
            self.check_told(life)?;
            self.check_history(life)?;
            let order = &self.orders[life];
            checks::read_back(&self.store, &self.registry, &order.id)?;
            let row = self.store.row(&order.id).ok_or_else(|| format!("{} was lost", order.id))?;
            if !row.terminal {
                return Err(format!("{} has not ended: it is {}", order.id, row.state));
            }
            if order.cancelled && row.state != "cancelled" {
                return Err(format!("{}: its cancel was taken, but it is {}", order.id, row.state));
            }
            if row.wake_at.is_some() {
                return Err(format!("{} has ended and is to be woken", order.id));
            }
            let account = self.world.account(order.id.as_str());
            let kept = (account.holds_money(), account.parcels.len());
            if kept != if row.state == "completed" { (true, 1) } else { (false, 0) } {
                return Err(format!("{} is {}, but the ledger says {account:?}", order.id, row.state));
            }
            let end = ["completed", "cancelled", "failed", "timed_out"].iter().position(|end| *end == row.state);
            self.outcome.ends[end.unwrap_or(0)] += 1;
            self.outcome.lives += 1;
        }
        Ok(())
    }
}
