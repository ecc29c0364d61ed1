//! The rules of an order, each told as a story and checked step by step: what the contract promises in sentences.

mod address;
mod cancel;
mod deadline;
mod operator;
mod pause;
mod payment;
mod recovery;
mod repetition;
mod review;
mod shipping;
