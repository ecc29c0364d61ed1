//! What must hold on a real PostgreSQL: the suites that know no database, once more, and what only PostgreSQL does.

#[path = "../api/dropped_calls.rs"]
mod dropped_calls;
#[path = "../api/invoice_import.rs"]
mod invoice_import;
#[path = "../api/jobs.rs"]
mod jobs;
#[path = "../api/keys.rs"]
mod keys;
#[path = "../store/maker.rs"]
mod maker;
#[path = "../api/orders.rs"]
mod orders;
#[path = "../api/owners.rs"]
mod owners;
#[path = "../api/queues.rs"]
mod queues;
mod server;
#[path = "../api/sign_in.rs"]
mod sign_in;
#[path = "../store/faults.rs"]
mod store_faults;
#[path = "../support/mod.rs"]
mod support;
#[path = "../api/tasks.rs"]
mod tasks;
mod worst_days;
