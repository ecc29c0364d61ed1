//! The command line, as a shell sees it.

mod commands;
mod demo;
mod lists;
mod load;
#[path = "../support/mod.rs"]
mod support;
mod work;
mod worker_burst;
