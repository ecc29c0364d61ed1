//! What each metric of the engine means. None carries a label per order: labels are names of our own, of queues that
//! are set, of activities and kinds that are registered.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes the engine's metrics to the recorder that is installed.
pub fn describe() {
    describe_gauge!("ordain_owner", "1 where this process owns the database, 0 where it stands by");
    describe_gauge!("ordain_database_up", "1 where the database took the last write and answered the last read");
    describe_gauge!("ordain_actors_live", "Live actors");
    describe_gauge!("ordain_actors_live_max", "Live actors beyond which new work is refused");
    describe_gauge!("ordain_steps", "Steps under way: inputs that are waiting, being decided or being stored");
    describe_gauge!("ordain_steps_max", "Steps under way beyond which new work is refused");
    describe_counter!("ordain_overload_refusals_total", "Commands refused because too many steps were under way");
    describe_gauge!("ordain_actors_passivated", "Open orders, jobs and tasks without an actor: they are rows");
    describe_counter!("ordain_actors_started_total", "Actors brought to life, recoveries included");
    describe_counter!("ordain_actors_passivated_total", "Idle actors that were let go before their end");
    describe_counter!("ordain_actors_restarted_total", "Actors rebuilt from SQL after a panic");
    describe_counter!("ordain_actors_stuck_total", "Orders parked after repeated panics");
    describe_histogram!(
        "ordain_mailbox_depth",
        "Inputs an actor had to do when another was delivered, that one included"
    );
    describe_histogram!("ordain_mailbox_wait_seconds", Unit::Seconds, "Time an input waited for its actor");
    describe_gauge!("ordain_mailbox_high_water", "The most inputs that ever waited for one actor");
    describe_histogram!("ordain_journal_commit_seconds", Unit::Seconds, "Time of a commit, fsync included");
    describe_histogram!("ordain_journal_batch_transitions", "Transitions in one commit");
    describe_counter!("ordain_journal_transitions_total", "Transitions handed to commits");
    describe_gauge!("ordain_journal_waiting", "Steps handed to the journal and not yet answered");
    describe_counter!("ordain_journal_failures_total", "Batches that were not stored");
    describe_gauge!("ordain_queue_concurrency", "Calls that may be under way at once, by queue");
    describe_gauge!("ordain_queue_running", "Calls of activities under way, by queue");
    describe_gauge!("ordain_queue_workers", "Outside workers that were heard of lately, by queue");
    describe_gauge!("ordain_queue_paused", "1 where the queue is paused");
    describe_gauge!("ordain_queue_backlog", "Calls that wait, by queue");
    describe_gauge!("ordain_queue_oldest_seconds", Unit::Seconds, "How long the first of those that wait has waited");
    describe_histogram!("ordain_queue_wait_seconds", Unit::Seconds, "Time a call waited in its queue");
    describe_histogram!("ordain_activity_seconds", Unit::Seconds, "Time of an attempt, by activity");
    describe_counter!("ordain_activity_attempts_total", "Attempts, by activity and kind of failure (`none`: done)");
    describe_histogram!(
        "ordain_step_seconds",
        Unit::Seconds,
        "Time from the first scheduling of an activity to its outcome: all attempts, backoffs and waits"
    );
    describe_histogram!(
        "ordain_workflow_seconds",
        Unit::Seconds,
        "Time from the start of an order, shipment, job or task to its end, by kind and state"
    );
    describe_gauge!("ordain_orders", "Orders by state, counted in SQL");
    describe_gauge!("ordain_workflows", "Shipments, jobs and tasks by kind and state, counted in SQL");
    describe_counter!("ordain_audited_total", "Histories that the auditor has folded and compared with their rows");
    describe_counter!("ordain_invariant_violations_total", "Invariants found broken; anything but 0 is a bug");
}
