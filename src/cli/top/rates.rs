//! What happened between two readings of a server, by the second.

use serde::Serialize;

use crate::runtime::EngineNow;

/// States an order has ended in.
const ENDS: [&str; 4] = ["completed", "failed", "cancelled", "timed_out"];

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// Between the readings.
    pub seconds: f64,
    pub orders_started: f64,
    pub orders_ended: f64,
    pub commits: f64,
    pub transitions: f64,
}

impl Rates {
    /// `None` where the server was started anew in between, or no time passed.
    pub fn between(before: &EngineNow, now: &EngineNow) -> Option<Self> {
        let seconds = now.at.ms_since(before.at) as f64 / 1e3;
        let commits = now.journal.commits.checked_sub(before.journal.commits)?;
        let transitions = now.journal.transitions.checked_sub(before.journal.transitions)?;
        let (all, ended) = counts(now)?;
        let (all_before, ended_before) = counts(before)?;
        let rate = |n: f64| n.max(0.0) / seconds;
        (seconds > 0.0).then(|| Self {
            seconds,
            orders_started: rate((all - all_before) as f64),
            orders_ended: rate((ended - ended_before) as f64),
            commits: rate(commits as f64),
            transitions: rate(transitions as f64),
        })
    }
}

/// All orders, and those that have ended.
fn counts(now: &EngineNow) -> Option<(i64, i64)> {
    let orders = now.orders.as_ref()?;
    let ended = orders.iter().filter(|(state, _)| ENDS.contains(&state.as_str())).map(|(_, n)| n).sum();
    Some((orders.values().sum(), ended))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn reading(at: i64, commits: u64, completed: i64) -> EngineNow {
        let text = format!(
            r#"{{"at":"1970-01-01T00:00:{at:02}.000Z","ready":true,"live":2,"live_max":20000,"committing":1,
            "mailbox_high_water":7,"hottest":[{{"order_id":"o-1","shard":0,"mailbox":7,"restarts":1,"idle":false,
            "next_timer":null}}],"shards":[{{"shard":0,"live":2,"idle":1,"mailbox":7,"timers":3}}],
            "restarts":{{"total":1,"last":[{{"order_id":"o-1","at":"1970-01-01T00:00:00.000Z","panic":"boom"}}]}},
            "queues":[{{"name":"orders","concurrency":512,"min":512,"max":512,"slots":512,"running":3,"leased":0,"backlog":4,
            "oldest_wait_ms":1500,"shared_backoff":false,"paused":false,"workers":0}}],
            "journal":{{"commits":{commits},"transitions":{},"failures":0,
            "last":[{{"at":"1970-01-01T00:00:00.000Z","units":3,"transitions":4,"ms":0.75}}]}},
            "orders":{{"completed":{completed},"in_review":5}}}}"#,
            commits * 10
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn two_readings_make_rates_by_the_second() {
        let rates = Rates::between(&reading(0, 100, 40), &reading(2, 300, 50)).unwrap();
        let wanted =
            Rates { seconds: 2.0, orders_started: 5.0, orders_ended: 5.0, commits: 100.0, transitions: 1_000.0 };
        assert_eq!(rates, wanted);
    }

    #[test]
    fn a_server_that_was_started_anew_has_no_rate_yet() {
        assert_eq!(Rates::between(&reading(0, 100, 40), &reading(2, 5, 50)), None);
        assert_eq!(Rates::between(&reading(2, 100, 40), &reading(2, 100, 40)), None);
    }
}
