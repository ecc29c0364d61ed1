//! The clients ordain has of others, and the outside world it brings for trying out.

mod activities_http;
mod load_client;
mod portal_client;
mod sandbox;
#[path = "../support/mod.rs"]
mod support;
