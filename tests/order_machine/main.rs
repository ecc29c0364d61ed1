//! The rules of an order, each told as a story and checked step by step: what the contract promises in sentences.

#[path = "../scene/mod.rs"]
mod scene;

mod recovery;
