//! The messages a pool takes, but for those of outside workers.

use actix::{ActorContext, Handler, Message};
use tokio::sync::oneshot;

use super::line::CallId;
use super::{Head, Outcome, Pool};
use crate::kernel::ActivityCall;
use crate::runtime::messages::CallEnds;
use crate::runtime::queue::{HeldLease, Permit, QueueOptions, QueueView};

/// Leases that are listed in a view.
const LISTED_MAX: usize = 100;

/// Calls to make, from one shard.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Run {
    pub shard: usize,
    pub calls: Vec<ActivityCall>,
}

/// A call of before that nobody wants any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Dropped(pub CallId);

/// A call that did not end at once has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub head: Head,
    pub permit: Permit,
    pub outcome: Outcome,
}

/// Answer the calls that have ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

/// Show yourself; with the leases, or without.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Show {
    pub leases: bool,
    pub reply: oneshot::Sender<QueueView>,
}

/// Other limits, which are on disk.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Adopt(pub QueueOptions);

/// Stop: calls under way are dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Stop;

impl Handler<Run> for Pool {
    type Result = ();

    fn handle(&mut self, run: Run, ctx: &mut Self::Context) {
        let now = self.now();
        for call in run.calls {
            self.take(run.shard, call, now, ctx);
        }
        self.refill(ctx);
    }
}

impl Handler<Dropped> for Pool {
    type Result = ();

    fn handle(&mut self, dropped: Dropped, ctx: &mut Self::Context) {
        self.line.forget(&dropped.0);
        self.refill(ctx);
    }
}

impl Handler<Ended> for Pool {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Self::Context) {
        self.running -= 1;
        self.end(ended.head, ended.permit, ended.outcome, ctx);
        self.refill(ctx);
    }
}

impl Handler<Flush> for Pool {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.flush_due = false;
        for (shard, ended) in self.shards.iter().zip(&mut self.ended) {
            if !ended.is_empty() {
                shard.0.do_send(CallEnds(std::mem::take(ended)));
            }
        }
    }
}

impl Handler<Show> for Pool {
    type Result = ();

    fn handle(&mut self, show: Show, _: &mut Self::Context) {
        let view = self.view(show.leases);
        // Whoever asked may be gone.
        let _gone = show.reply.send(view);
    }
}

impl Handler<Adopt> for Pool {
    type Result = ();

    fn handle(&mut self, adopt: Adopt, ctx: &mut Self::Context) {
        self.adopt(adopt.0);
        self.refill(ctx);
    }
}

impl Handler<Stop> for Pool {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Pool {
    fn view(&mut self, leases: bool) -> QueueView {
        let (now, clock) = (self.now(), self.shared.now());
        let held = |lease: &super::leases::Lease| HeldLease {
            workflow_id: lease.head.workflow_id.clone(),
            activity: lease.head.activity.clone(),
            attempt: lease.head.attempt,
            worker_id: lease.worker.clone(),
            deadline_at: clock.plus_ms(lease.until.saturating_sub(now)),
            progress: lease.progress.clone(),
        };
        QueueView {
            name: self.name.clone(),
            concurrency: self.options.concurrency,
            min: self.slots.min(),
            max: self.slots.max(),
            slots: self.slots.limit(),
            running: self.running + self.leases.len(),
            leased: self.leases.len(),
            backlog: self.line.backlog(),
            oldest_wait_ms: self.line.oldest().map_or(0, |since| clock.ms_since(since)),
            rate_limit: self.options.rate_limit,
            shared_backoff: self.backs_off(),
            backoff_until: self.backoff.until(now).filter(|_| self.backs_off()).map(|at| clock.plus_ms(at - now)),
            paused: self.options.paused,
            workers: self.workers.count(now),
            leases: leases.then(|| self.leases.all().take(LISTED_MAX).map(held).collect()),
        }
    }
}
