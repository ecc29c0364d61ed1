//! Whether the database is still this process's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Shared by the store, which knows, and the host, which must stop when the database is lost. By default it never is.
#[derive(Clone, Default)]
pub struct Fence(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lost: AtomicBool,
    told: Notify,
    lease: Option<Lease>,
}

struct Lease {
    since: Instant,
    length: Duration,
    /// When it was last confirmed, in ms after `since`.
    confirmed_ms: AtomicU64,
}

impl Fence {
    /// A fence over a lease that must be confirmed again within `length`. It counts as confirmed now.
    pub fn leased(length: Duration) -> Self {
        let lease = Lease { since: Instant::now(), length, confirmed_ms: AtomicU64::new(0) };
        Self(Arc::new(Inner { lease: Some(lease), ..Inner::default() }))
    }

    /// The lease held at `at`, an instant before the database was asked.
    pub fn confirm(&self, at: Instant) {
        if let Some(lease) = &self.0.lease {
            let ms = at.saturating_duration_since(lease.since).as_millis() as u64;
            lease.confirmed_ms.fetch_max(ms, Ordering::Relaxed);
        }
    }

    /// Another process owns the database, for good.
    pub fn lose(&self) {
        self.0.lost.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    pub fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }

    /// Whether nobody else can own the database at this moment: the lease, where there is one, runs.
    pub fn is_ours(&self) -> bool {
        let runs = |lease: &Lease| {
            let confirmed = Duration::from_millis(lease.confirmed_ms.load(Ordering::Relaxed));
            lease.since.elapsed().saturating_sub(confirmed) < lease.length
        };
        !self.is_lost() && self.0.lease.as_ref().is_none_or(runs)
    }

    /// Returns once the database is lost.
    pub async fn lost(&self) {
        loop {
            let told = self.0.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.is_lost() {
                return;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_not_confirmed_runs_out_and_comes_back() {
        let fence = Fence::leased(Duration::ZERO);
        assert!(!fence.is_ours());
        let fence = Fence::leased(Duration::from_secs(3_600));
        assert!(fence.is_ours() && !fence.is_lost());
        fence.lose();
        assert!(!fence.is_ours() && fence.is_lost());
        assert!(Fence::default().is_ours());
    }

    #[actix_rt::test]
    async fn who_waits_is_told_of_the_loss_also_if_it_came_before() {
        let fence = Fence::default();
        let other = fence.clone();
        let waiting = actix_rt::spawn(async move { other.lost().await });
        fence.lose();
        waiting.await.unwrap();
        fence.lost().await;
    }
}
