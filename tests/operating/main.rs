//! What operators set, read and keep: settings, logs, metrics, database files, backups and the files of `ops/`.

mod config;
mod database_files;
mod logs;
mod maintenance;
mod metrics;
mod ops;
#[path = "../support/mod.rs"]
mod support;
