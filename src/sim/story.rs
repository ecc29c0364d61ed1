//! What happens in a story, event by event.

use super::host::{Fed, Host};
use super::people::Command;
use super::queue::{Event, Life};
use crate::kernel::Input;
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
            Event::Start(life) => {
                if !self.orders[life].started && matches!(self.start(life)?, Fed::Lost) {
                    self.ask_again(Event::Start(life));
                }
            }
            Event::Command(life, command) if self.down || !self.orders[life].started => {
                self.ask_again(Event::Command(life, command));
            }
            Event::Command(life, command) => self.person(life, command)?,
            Event::Tick { life, epoch, round } => {
                if epoch == self.epoch && !self.down && self.is_armed(life, round) {
                    self.tick(life)?;
                }
            }
            Event::Effect { .. } => self.effect(event)?,
            Event::Reply { .. } => self.reply(event)?,
            Event::Crash if self.down || self.calm => {}
            Event::Crash => self.crash()?,
            Event::Restart => self.restart()?,
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
        let order = &mut self.orders[life];
        let before = order.updates;
        if !matches!(command, Command::Approve | Command::Cancel | Command::UpdateAddress(_)) {
            order.disturbed = true;
        }
        let id = order.id.clone();
        let fed = self.command(life, &command)?;
        let stored = self.store.count(&id, "AddressUpdated");
        let order = &mut self.orders[life];
        if let Command::UpdateAddress(address) = &command
            && stored > before
        {
            // On disk, whether its sender was told or not.
            order.updates = stored;
            order.address = Some(address.clone());
        }
        match fed {
            Fed::Lost => self.ask_again(Event::Command(life, command)),
            Fed::Refused(code) if !command.may_get(&code) => return Err(format!("{id}: {command:?} got {code}")),
            Fed::Refused(code) => self.tell(|| format!("  refused: {code}")),
            Fed::Changed | Fed::Unchanged => self.orders[life].cancelled |= matches!(command, Command::Cancel),
        }
        if stored > before + 1 {
            return Err(format!("{id}: an address update was stored twice"));
        }
        Ok(())
    }

    fn tick(&mut self, life: Life) -> Result<(), String> {
        let id = self.orders[life].id.clone();
        match self.feed(life, &id, &Input::Tick)? {
            Fed::Lost if self.down => {}
            Fed::Lost => self.arm_at(life, Some(self.now + 20)),
            Fed::Refused(code) => return Err(format!("{id}: a tick was refused: {code}")),
            Fed::Changed | Fed::Unchanged => {
                self.arm(life);
                let next = self.orders[life].family.as_ref().and_then(crate::kernel::Family::next_timer);
                if next.is_some_and(|next| next <= self.wall()) {
                    return Err(format!("{id}: a timer that was due did not fire"));
                }
                self.passivate(life);
            }
        }
        Ok(())
    }

    /// Lets go of an idle family now and then, as a host short of memory does.
    fn passivate(&mut self, life: Life) {
        if !self.calm
            && self.rng.chance(self.plan.crashes_at_commit * 5)
            && self.orders[life].family.as_ref().is_some_and(|f| f.outstanding().is_empty())
        {
            self.orders[life].family = None;
        }
    }

    fn effect(&mut self, event: Event) -> Result<(), String> {
        let Event::Effect { life, epoch, call, refuse, answers } = event else { return Ok(()) };
        let reply = self.world.perform(&call, refuse)?;
        let (id, order) = (&call.workflow_id, &self.orders[life]);
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
            let result = reply.result.clone();
            self.queue.push(at, Event::Reply { life, epoch, to, activity, attempt, result });
        }
        Ok(())
    }

    fn reply(&mut self, event: Event) -> Result<(), String> {
        let Event::Reply { life, epoch, to, activity, attempt, result } = event else { return Ok(()) };
        if epoch != self.epoch || self.down {
            return Ok(());
        }
        let input = match result.clone() {
            Ok(result) => Input::ActivityCompleted { activity: activity.clone(), attempt, result },
            Err(failure) => Input::ActivityFailed { activity: activity.clone(), attempt, failure },
        };
        // It has landed before the step is checked: only a call that flies can wake a family.
        self.landed(life, &to, &activity, attempt);
        match self.feed(life, &to, &input)? {
            Fed::Lost if self.down => {}
            Fed::Lost => {
                self.fly_on(life, &to, &activity, attempt);
                self.ask_again(Event::Reply { life, epoch, to, activity, attempt, result });
            }
            Fed::Refused(code) => return Err(format!("{to}: a result of {activity} was refused: {code}")),
            Fed::Changed | Fed::Unchanged => {}
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), String> {
        self.down = false;
        for life in 0..self.orders.len() {
            if !self.orders[life].started {
                continue;
            }
            // As a recovery does: what is due is brought to life, the rest when its time comes or a signal arrives.
            match self.store.wake_at(&self.orders[life].id) {
                Some(at) if at <= self.wall() => self.activate(life)?,
                Some(at) => self.arm_at(life, Some(self.now + at.ms_since(self.wall()))),
                None => {}
            }
        }
        Ok(())
    }

    /// Operators approve, resume and retry what waits for them, until every order has ended.
    fn operators(&mut self) -> Result<(), String> {
        self.calm = true;
        let mut open = self.down;
        for life in 0..self.orders.len() {
            let ended = self.store.row(&self.orders[life].id).is_some_and(|row| row.terminal);
            open |= !ended;
            if ended || self.down || !self.orders[life].started {
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
            self.check_fold(life)?;
            let order = &self.orders[life];
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
