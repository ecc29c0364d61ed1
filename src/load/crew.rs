//! The threads that run the orders: on each a runtime of its own, on it lanes, on each lane one order after another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::client::Line;
use super::life;
use super::orders::Orders;
use super::tally::Tally;
use super::target::Target;

/// What the lanes share.
pub struct Shared {
    pub target: Target,
    pub orders: Orders,
    pub total: u64,
    pub lanes: usize,
    /// For how long a request without a usable answer is sent again.
    pub patience: Duration,
    /// Whether Retry-After is ignored.
    pub impatient: bool,
    /// Over how long the lanes begin.
    pub ramp: Duration,
    /// How long an accepted order may take.
    pub order_patience: Duration,
    /// Orders that arrive a second; `None`: whenever another has ended.
    rate: Option<f64>,
    begun: Instant,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

impl Shared {
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        // Counters are whole after every addition, so a panic elsewhere spoils nothing.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then_some(number)
    }

    /// Orders that were taken up and are not over.
    pub fn begun(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.total)
    }
}

/// The running threads. Dropped, they stop where they are and are joined.
pub struct Crew {
    pub shared: Arc<Shared>,
    pub begun: Instant,
    stop: watch::Sender<bool>,
    done: mpsc::Receiver<std::io::Result<()>>,
    threads: Vec<JoinHandle<()>>,
}

pub struct CrewPlan {
    pub target: Target,
    pub orders: Orders,
    pub total: u64,
    pub lanes: usize,
    pub threads: usize,
    pub patience: Duration,
    pub impatient: bool,
    pub ramp: Duration,
    pub order_patience: Duration,
    pub rate: Option<f64>,
}

impl Crew {
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(plan: CrewPlan) -> std::io::Result<Self> {
        let CrewPlan { target, orders, total, lanes, threads, patience, impatient, ramp, order_patience, rate } = plan;
        let begun = Instant::now();
        let tally = Mutex::new(Tally::new(total)?);
        let next = AtomicU64::new(0);
        let shared = Arc::new(Shared {
            target,
            orders,
            total,
            lanes,
            patience,
            impatient,
            ramp,
            order_patience,
            rate,
            begun,
            next,
            tally,
        });
        let (stop, stopped) = watch::channel(false);
        let (tell, done) = mpsc::channel(threads.max(1));
        let mut crew = Self { shared, begun, stop, done, threads: Vec::new() };
        for index in 0..threads {
            let here = (index..lanes).step_by(threads);
            let (shared, stopped, tell) = (Arc::clone(&crew.shared), stopped.clone(), tell.clone());
            let work = move || {
                // Nobody listens any more when the crew is being dropped.
                let _ = tell.blocking_send(work(&shared, here, stopped));
            };
            crew.threads.push(std::thread::Builder::new().name(format!("load-{index}")).spawn(work)?);
        }
        Ok(crew)
    }

    /// Waits until all orders are over or given up.
    ///
    /// # Errors
    /// If a thread had no runtime to work with.
    pub async fn finished(&mut self) -> std::io::Result<()> {
        for _ in 0..self.threads.len() {
            self.done.recv().await.unwrap_or_else(|| Err(std::io::Error::other("a load thread panicked")))?;
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.done.close();
        for thread in self.threads.drain(..) {
            // A panic there was told on its own way out.
            let _ = thread.join();
        }
    }
}

fn work(
    shared: &Arc<Shared>,
    lanes: impl Iterator<Item = usize>,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for index in lanes {
            all.spawn(lane(Arc::clone(shared), index));
        }
        let over = async { while all.join_next().await.is_some() {} };
        tokio::select! {
            () = over => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
    Ok(())
}

async fn lane(shared: Arc<Shared>, index: usize) {
    tokio::time::sleep_until((shared.begun + turn(shared.ramp, index, shared.lanes)).into()).await;
    let mut line = Line::new(&shared.target);
    let mut request = String::with_capacity(1_024);
    while let Some(number) = shared.take() {
        let begun = match shared.rate {
            None => Instant::now(),
            Some(rate) => {
                let due = shared.begun + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
                due
            }
        };
        life::run(&mut line, &shared, number, begun, &mut request).await;
    }
}

/// When a lane takes its first order, so that all have begun within the ramp.
fn turn(ramp: Duration, index: usize, lanes: usize) -> Duration {
    ramp.mul_f64(index as f64 / lanes.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_begin_evenly_over_the_ramp() {
        let ramp = Duration::from_secs(3);
        let turns: Vec<u64> = (0..4).map(|index| turn(ramp, index, 4).as_millis() as u64).collect();
        assert_eq!(turns, [0, 750, 1_500, 2_250]);
        assert_eq!(turn(Duration::ZERO, 3, 4), Duration::ZERO);
    }
}
