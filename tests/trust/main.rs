//! Who means no good, and what must not show: bytes that are no HTTP, requests made of the API's own description, TLS, secrets.

mod hostile_api;
mod hostile_http;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod tls;
