//! The HTTP face: routes, status codes, OpenAPI. Decides nothing about orders.
//!
//! A request is read strictly (`json`, `query`, `body`), handed to the engine, and answered with the engine's own
//! document; whatever goes wrong becomes a `problem`. Invariants: nothing a client sends causes a 500, and every
//! request is answered within the request timeout.

pub(crate) mod access;
mod audit;
pub(crate) mod body;
mod cancel;
mod debug;
pub(crate) mod events;
pub(crate) mod fingerprint;
pub(crate) mod frame;
pub(crate) mod jobs;
pub(crate) mod json;
mod keys;
mod openapi;
pub(crate) mod orders;
pub(crate) mod origin;
mod pace;
pub(crate) mod problem;
pub(crate) mod query;
pub mod queue_schema;
pub(crate) mod queues;
pub(crate) mod routes;
pub mod schema;
mod seat;
pub(crate) mod seek;
mod server;
pub(crate) mod site;
mod sliced;
mod system;
pub(crate) mod tasks;
mod tls;
mod trace;
mod workflows;

pub use frame::describe as describe_metrics;
pub use openapi::json as openapi_json;
pub use seat::Seat;
pub use server::{ServeError, serve};
pub use site::{MetricsFn, OrderDefaults, ServerOptions, Site};
pub use tls::{TlsError, TlsFiles};

#[cfg(test)]
mod inventory;
#[cfg(test)]
mod socket_tests;
#[cfg(test)]
mod tests;
