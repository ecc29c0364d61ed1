//! ordain: a durable orchestrator in one process. See `ARCHITECTURE.md` for the floors of the house.
#![forbid(unsafe_code)]

pub mod access;
pub mod activities;
pub mod cli;
pub mod config;
pub mod console;
pub mod demo;
pub mod fuzzing;
pub mod http;
pub mod kernel;
pub mod load;
pub mod model;
mod process;
pub mod runtime;
pub mod sandbox;
pub mod secrets;
pub mod sim;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod verify;
pub mod worker;
pub mod workflows;
