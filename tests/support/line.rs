//! How to reach a server: an address that follows it over its restarts, and over to another server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::client::{self, Response};

/// For any number of threads.
#[derive(Clone)]
pub struct Line(Arc<Mutex<SocketAddr>>);

impl Line {
    pub fn to(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(address)))
    }

    pub fn move_to(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// From now on it points at where the other does: its clients fail over.
    pub fn follow(&self, other: &Self) {
        self.move_to(other.address());
    }

    /// A line of its own to the same place.
    pub fn split(&self) -> Self {
        Self::to(self.address())
    }

    pub fn address(&self) -> SocketAddr {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// If there is no whole answer.
    pub fn get(&self, path: &str) -> io::Result<Response> {
        client::request(self.address(), "GET", path, &[], None)
    }

    /// # Errors
    /// If there is no whole answer; it may have been done all the same.
    pub fn post(&self, path: &str, body: Option<&Value>) -> io::Result<Response> {
        self.post_with(path, body, &[])
    }

    /// # Errors
    /// As [`Line::post`].
    pub fn post_with(&self, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> io::Result<Response> {
        client::request(self.address(), "POST", path, headers, body)
    }
}

/// Free now; nobody keeps it for us.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
