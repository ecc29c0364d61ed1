//! What each metric of the engine means. None carries a label per order.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes the engine's metrics to the recorder that is installed.
pub fn describe() {
    describe_gauge!("ordain_actors_live", "Live actors");
    describe_counter!("ordain_actors_started_total", "Actors brought to life, recoveries included");
    describe_counter!("ordain_actors_passivated_total", "Idle actors that were let go");
    describe_counter!("ordain_actors_restarted_total", "Actors rebuilt from SQL after a panic");
    describe_counter!("ordain_actors_stuck_total", "Orders parked after repeated panics");
    describe_gauge!("ordain_mailbox_high_water", "The most inputs that ever waited for one actor");
    describe_histogram!("ordain_journal_commit_seconds", Unit::Seconds, "Time of a commit, fsync included");
    describe_histogram!("ordain_journal_batch_transitions", "Transitions in one commit");
    describe_gauge!("ordain_queue_running", "Calls of activities under way, by queue");
    describe_gauge!("ordain_queue_backlog", "Calls that wait, by queue");
    describe_histogram!("ordain_queue_wait_seconds", Unit::Seconds, "Time a call waited in its queue");
    describe_histogram!("ordain_activity_seconds", Unit::Seconds, "Time of an attempt, by activity");
    describe_counter!("ordain_activity_attempts_total", "Attempts, by activity and kind of failure (`none`: done)");
    describe_counter!("ordain_invariant_violations_total", "Invariants found broken; anything but 0 is a bug");
}
