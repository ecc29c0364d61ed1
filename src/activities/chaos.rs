//! Chaos: activities that fail on purpose, the same way for the same seed.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::sleep;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Activity;
use crate::kernel::{ActivityCall, mix, seed};
use crate::model::{Failure, FailureKind};

/// How badly the outside world behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ChaosMode {
    #[default]
    Off,
    /// Each attempt fails with 33 % and hangs with 34 %, before it has any effect.
    Flaky,
    /// 15 % fail before the effect, 15 % after it (the reply is lost), 5 % hang, 5 % garbage, 30 % are slow by up to 200 ms.
    Rough,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chaos {
    pub mode: ChaosMode,
    pub seed: u64,
}

/// How long a hang lasts: longer than any attempt.
const HANG: Duration = Duration::from_secs(300);

/// What befalls one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    FailBefore,
    FailAfter,
    Hang,
    Garbage,
    Slow(Duration),
}

impl Chaos {
    /// A draw out of the seed and the attempt alone.
    fn fate(self, call: &ActivityCall) -> Fate {
        let attempt = seed(&[call.workflow_id.as_str(), &call.activity], u64::from(call.attempt));
        let draw = mix(attempt ^ mix(self.seed));
        let percent = draw % 100;
        match (self.mode, percent) {
            (ChaosMode::Flaky, 0..33) => Fate::FailBefore,
            (ChaosMode::Flaky, 33..67) => Fate::Hang,
            (ChaosMode::Rough, 0..15) => Fate::FailBefore,
            (ChaosMode::Rough, 15..30) => Fate::FailAfter,
            (ChaosMode::Rough, 30..35) => Fate::Hang,
            (ChaosMode::Rough, 35..40) => Fate::Garbage,
            (ChaosMode::Rough, 40..70) => Fate::Slow(Duration::from_millis((draw >> 40) % 200)),
            (ChaosMode::Off | ChaosMode::Flaky | ChaosMode::Rough, _) => Fate::Fine,
        }
    }
}

/// An activity that chaos befalls.
pub struct Chaotic {
    pub inner: Arc<dyn Activity>,
    pub chaos: Chaos,
}

impl Activity for Chaotic {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let fate = self.chaos.fate(&call);
        let inner = Arc::clone(&self.inner);
        let unknown = |why: &str| Err(Failure::new(FailureKind::UnknownOutcome, format!("chaos: {why}")));
        async move {
            match fate {
                Fate::Fine => inner.call(call).await,
                Fate::FailBefore => unknown("failed before it did anything"),
                Fate::FailAfter => {
                    let _lost = inner.call(call).await;
                    unknown("the reply was lost")
                }
                Fate::Hang => {
                    sleep(HANG).await;
                    unknown("hung")
                }
                Fate::Garbage => {
                    let _garbled = inner.call(call).await;
                    unknown("the reply was garbage")
                }
                Fate::Slow(time) => {
                    sleep(time).await;
                    inner.call(call).await
                }
            }
        }
        .boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RunId, Trace, WorkflowId};

    fn call(order: u32, attempt: u32) -> ActivityCall {
        ActivityCall {
            workflow_id: WorkflowId::new(format!("o-{order}")),
            run_id: RunId(uuid::Uuid::nil()),
            seq: 1,
            activity: "charge_payment".into(),
            attempt,
            queue: "orders".into(),
            idempotency_key: "k".into(),
            timeout_ms: 1,
            scheduled_at: crate::model::Timestamp(0),
            input: Value::Null,
            recovered: false,
            trace: Trace::of_run(RunId(uuid::Uuid::max())),
        }
    }

    #[test]
    fn the_shares_are_as_promised_and_the_same_seed_gives_the_same() {
        let chaos = Chaos { mode: ChaosMode::Flaky, seed: 1 };
        let fates: Vec<Fate> = (0..10_000).map(|n| chaos.fate(&call(n / 4, n % 4))).collect();
        let share = |fate| fates.iter().filter(|f| **f == fate).count() as f64 / 100.0;
        assert!((share(Fate::FailBefore) - 33.0).abs() < 2.0, "{}", share(Fate::FailBefore));
        assert!((share(Fate::Hang) - 34.0).abs() < 2.0, "{}", share(Fate::Hang));
        assert_eq!(fates, (0..10_000).map(|n| chaos.fate(&call(n / 4, n % 4))).collect::<Vec<_>>());
        let other = Chaos { seed: 2, ..chaos };
        assert_ne!(fates, (0..10_000).map(|n| other.fate(&call(n / 4, n % 4))).collect::<Vec<_>>());
        assert_eq!(Chaos::default().fate(&call(1, 1)), Fate::Fine);
    }
}
