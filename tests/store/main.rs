//! The stores, each through the trait alone: what all of them promise, and an order whose store fails.

mod contract;
mod faults;
mod maker;
#[path = "../support/mod.rs"]
mod support;
