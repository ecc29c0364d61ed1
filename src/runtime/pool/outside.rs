//! Outside workers: they poll for an attempt, hold it under a lease, and report its end.
//!
//! A lease is in memory only; its token is signed. After a kill -9 the attempt waits in the line again, and the first
//! who speaks of it with a token that holds (a heartbeat, a result) has it again, unless it was handed out meanwhile.

use std::time::{Duration, Instant};

use actix::{Context, Handler, Message};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::call::timed_out;
use super::leases::{Handed, LEASE_MS, Lease, Poller};
use super::line::{CallId, Job, id_of};
use super::{Gate, Head, Pool};
use crate::model::{Failure, RunId, Timestamp, Trace};
use crate::runtime::queue::{LeaseToken, Ms};

/// A worker wants something to do.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Poll {
    pub worker: String,
    /// What it does; none named: anything.
    pub activities: Vec<String>,
    pub wait: Duration,
    /// `None`: nothing to do. Dropped without an answer: too many wait, or the engine ends.
    pub reply: oneshot::Sender<Option<Handed>>,
}

/// A worker speaks of an attempt.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Claim {
    pub token: LeaseToken,
    /// A heartbeat extends the lease; `None` where it is about the attempt's end.
    pub beat: Option<Beat>,
    pub reply: oneshot::Sender<Claimed>,
}

pub(in crate::runtime) struct Beat {
    pub progress: Option<Value>,
    /// Set where the attempt is not known here and was found to be outstanding in SQL: it is taken over.
    pub outstanding: Option<RunId>,
}

/// What a claim comes to.
pub(in crate::runtime) enum Claimed {
    /// The attempt is this worker's, until then.
    Held { until: Timestamp },
    /// The attempt is somebody else's by now.
    Lost,
    /// Nobody has it here; what is stored decides.
    Unknown,
}

/// What a worker reported is on disk.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::runtime) struct Settled {
    pub token: LeaseToken,
    pub failure: Option<Failure>,
}

impl Pool {
    /// Gives waiting workers what waits, as far as the limits allow.
    pub(super) fn hand_out(&mut self, now: Ms) {
        let mut left = self.pollers.len();
        while left > 0 && self.line.is_waiting() {
            left -= 1;
            let Some(poller) = self.pollers.pop(now) else { break };
            let Some(job) = self.line.next_for(&poller.activities) else {
                self.pollers.put_back(poller);
                continue;
            };
            match self.gate(now) {
                Gate::Open => self.lease(job, poller, now),
                shut => {
                    self.line.put_back(job);
                    self.pollers.put_back(poller);
                    if let Gate::At(at) = shut {
                        self.gate_at = Some(self.gate_at.map_or(at, |gate| gate.min(at)));
                    }
                    return;
                }
            }
        }
    }

    fn lease(&mut self, job: Job, poller: Poller, now: Ms) {
        let last_ms = job.call.timeout_ms;
        let handed = Handed { call: job.call.clone(), lease: Uuid::now_v7(), lease_ms: last_ms.min(LEASE_MS), last_ms };
        let (id, lease_id, lease_ms) = (id_of(&job.call), handed.lease, handed.lease_ms);
        if poller.reply.send(Some(handed)).is_err() {
            // It went away this very moment; the call is the next one's.
            return self.line.put_back(job);
        }
        self.meter.waited(job.queued);
        self.workers.saw(&poller.worker, now);
        let (head, permit) = (Head::of(job.shard, &job.call), self.permit(now));
        let (until, last) = (now + lease_ms, now + last_ms);
        self.leases.add(id, Lease { id: lease_id, worker: poller.worker, head, permit, until, last, progress: None });
    }

    /// Ends the attempts whose worker was not heard of in time.
    pub(super) fn expire(&mut self, now: Ms, ctx: &mut Context<Self>) {
        while let Some((_, lease)) = self.leases.pop_over(now) {
            tracing::debug!(worker = lease.worker, workflow_id = %lease.head.workflow_id, "a lease is over");
            let waited = lease.head.began.elapsed();
            self.end(lease.head, lease.permit, Err(timed_out(waited)), ctx);
        }
    }

    fn claim(&mut self, token: &LeaseToken, beat: Option<Beat>) -> Claimed {
        let (now, id) = (self.now(), id_in(token));
        let clock = self.shared.now();
        if token.until() <= clock {
            return Claimed::Lost;
        }
        match self.leases.get(&id) {
            Some(lease) if lease.id != token.lease => return Claimed::Lost,
            Some(_) => {}
            // In one of the pool's own slots.
            None if self.line.is_under_way(&id) => return Claimed::Lost,
            None => {
                let shard = self.shared.shard_of(&token.workflow_id);
                let head = match (self.line.take(&id), beat.as_ref().and_then(|beat| beat.outstanding)) {
                    (Some(job), _) => Head::of(shard, &job.call),
                    (None, Some(run_id)) => {
                        self.line.begins(id.clone());
                        let (workflow_id, activity) = (token.workflow_id.clone(), token.activity.clone());
                        Head {
                            shard,
                            workflow_id,
                            run_id,
                            seq: 0,
                            activity,
                            attempt: token.attempt,
                            trace: Trace::of_run(run_id),
                            began: Instant::now(),
                        }
                    }
                    (None, None) => return Claimed::Unknown,
                };
                let last = now + token.until().ms_since(clock);
                let (permit, until) = (self.permit(now), (now + LEASE_MS).min(last));
                let lease =
                    Lease { id: token.lease, worker: token.worker.clone(), head, permit, until, last, progress: None };
                self.leases.add(id.clone(), lease);
            }
        }
        self.workers.saw(&token.worker, now);
        if let Some(beat) = beat {
            self.leases.extend(&id, now, beat.progress);
        }
        let until = self.leases.get(&id).map_or(now, |lease| lease.until);
        Claimed::Held { until: clock.plus_ms(until.saturating_sub(now)) }
    }
}

fn id_in(token: &LeaseToken) -> CallId {
    (token.workflow_id.clone(), token.activity.clone(), token.attempt)
}

impl Handler<Poll> for Pool {
    type Result = ();

    fn handle(&mut self, poll: Poll, ctx: &mut Self::Context) {
        let now = self.now();
        self.workers.saw(&poll.worker, now);
        // One that does not want to wait is served in this very turn.
        let until = now + (poll.wait.as_millis() as Ms).max(1);
        let impatient = poll.wait.is_zero();
        let poller = Poller { worker: poll.worker, activities: poll.activities, until, reply: poll.reply };
        if !self.pollers.push(poller) {
            return;
        }
        self.refill(ctx);
        if impatient {
            self.pollers.look_at(until);
        }
    }
}

impl Handler<Claim> for Pool {
    type Result = ();

    fn handle(&mut self, claim: Claim, ctx: &mut Self::Context) {
        let claimed = self.claim(&claim.token, claim.beat);
        let _gone = claim.reply.send(claimed);
        self.refill(ctx);
    }
}

impl Handler<Settled> for Pool {
    type Result = ();

    fn handle(&mut self, settled: Settled, ctx: &mut Self::Context) {
        let id = id_in(&settled.token);
        if self.leases.get(&id).is_some_and(|lease| lease.id == settled.token.lease)
            && let Some(lease) = self.leases.remove(&id)
        {
            self.note_end(&lease.head, lease.permit, settled.failure.as_ref());
            self.refill(ctx);
        }
    }
}
