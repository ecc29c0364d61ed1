//! `ordain sandbox`: what its gateway, its carrier, its ledger and its portal promise, over real HTTP.

#[path = "../support/mod.rs"]
mod support;

mod gateway;
mod portal;
mod product;
