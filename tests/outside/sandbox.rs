//! `ordain sandbox`: what its gateway, its carrier, its ledger and its portal promise, over real HTTP.

mod gateway;
mod portal;
mod product;
