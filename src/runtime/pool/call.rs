//! One call in a slot of the pool's own: made, watched, and ended by its timeout at the latest.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::{AsyncContext, Context};
use futures_util::FutureExt;
use futures_util::task::noop_waker_ref;

use super::handlers::Ended;
use super::line::Job;
use super::{Head, Outcome, Pool};
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind};
use crate::runtime::queue::Ms;

type Call = Pin<Box<dyn Future<Output = Outcome>>>;

impl Pool {
    /// Makes a call; it is under way already as far as the line knows.
    pub(super) fn start(&mut self, job: Job, now: Ms, ctx: &mut Context<Self>) {
        let Job { shard, call, queued, .. } = job;
        self.meter.waited(queued);
        let head = Head::of(shard, &call);
        let permit = self.permit(now);
        let timeout = Duration::from_millis(call.timeout_ms);
        let mut future = self.future(call);
        // Most simulated calls are ready at once: no task is spawned for them.
        match future.as_mut().poll(&mut TaskContext::from_waker(noop_waker_ref())) {
            Poll::Ready(outcome) => self.end(head, permit, outcome, ctx),
            Poll::Pending => {
                self.running += 1;
                self.shared.running.fetch_add(1, Ordering::Relaxed);
                let (addr, shared) = (ctx.address(), self.shared.clone());
                actix::spawn(async move {
                    let outcome = actix_rt::time::timeout(timeout, future).await;
                    let outcome = outcome.unwrap_or_else(|_| Err(timed_out(timeout)));
                    shared.running.fetch_sub(1, Ordering::Relaxed);
                    addr.do_send(Ended { head, permit, outcome });
                });
            }
        }
    }

    fn future(&self, call: ActivityCall) -> Call {
        let Some(activity) = self.activities.get(&call.activity) else {
            // Such calls wait for an outside worker; see `Line`.
            let message = format!("the activity {:?} is not done here", call.activity);
            return Box::pin(std::future::ready(Err(Failure::new(FailureKind::Error, message))));
        };
        // Both making the future and polling it run the activity's code.
        let future = match std::panic::catch_unwind(AssertUnwindSafe(|| activity.call(call))) {
            Ok(future) => future,
            Err(panic) => return Box::pin(std::future::ready(Err(panicked(panic.as_ref())))),
        };
        Box::pin(AssertUnwindSafe(future).catch_unwind().map(|outcome| match outcome {
            Ok(outcome) => outcome,
            Err(panic) => Err(panicked(panic.as_ref())),
        }))
    }
}

pub(super) fn timed_out(timeout: Duration) -> Failure {
    Failure::new(FailureKind::Timeout, format!("no answer within {} ms", timeout.as_millis()))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::new(FailureKind::Panic, panic_message(panic))
}

/// The words of a panic.
pub(in crate::runtime) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked").chars().take(500).collect()
}
