//! Talking to the server and the sandbox: requests in JSON, and waiting for an order.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::DemoError;
use crate::cli::access::Access;
use crate::cli::client::{Client, encode};

/// How long an order of the story may take.
const PATIENCE: Duration = Duration::from_secs(40);
const WAIT_S: u32 = 5;

/// One of the two, and how to reach it.
pub struct Guest {
    who: &'static str,
    client: Client,
}

impl Guest {
    pub fn server(url: &str) -> Result<Self, DemoError> {
        Self::new("the server", url)
    }

    pub fn sandbox(url: &str) -> Result<Self, DemoError> {
        Self::new("the sandbox", url)
    }

    fn new(who: &'static str, url: &str) -> Result<Self, DemoError> {
        let client = Client::at(url, &Access::default()).map_err(|e| DemoError::Answer { who, why: e.to_string() })?;
        Ok(Self { who, client })
    }

    fn answer(&self, path: &str, answer: Result<String, impl std::fmt::Display>) -> Result<Value, DemoError> {
        let wrong = |why: String| DemoError::Answer { who: self.who, why: format!("{path}: {why}") };
        let text = answer.map_err(|e| wrong(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
    }

    /// # Errors
    /// [`DemoError::Answer`] where there is no good one.
    pub async fn get(&self, path: &str) -> Result<Value, DemoError> {
        self.answer(path, self.client.get(path).await)
    }

    /// # Errors
    /// [`DemoError::Answer`] where there is no good one.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.answer(path, self.client.post(path, Some(body)).await)
    }

    /// # Errors
    /// [`DemoError::Answer`] where there is no good one.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.answer(path, self.client.put(path, body).await)
    }

    /// Waits until an order is in a state (or has ended: `terminal`); its status.
    ///
    /// # Errors
    /// [`DemoError::Answer`] where it does not get there.
    pub async fn until(&self, order: &str, state: &str) -> Result<Value, DemoError> {
        let path = format!("/orders/{}/status?wait={WAIT_S}&until={state}", encode(order));
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.answer(&path, self.client.wait(&path, WAIT_S).await)?;
            if status["state"] == state || status["terminal"] == true {
                return Ok(status);
            }
            if Instant::now() > until {
                let why = format!("{order} does not get to {state}: {status}");
                return Err(DemoError::Answer { who: self.who, why });
            }
        }
    }

    /// The whole history of an order or a shipment, for the short ones of the story.
    ///
    /// # Errors
    /// [`DemoError::Answer`] where there is none.
    pub async fn history(&self, path: &str) -> Result<Vec<Value>, DemoError> {
        let mut page = self.get(&format!("{path}/history?limit=1000")).await?;
        match page["events"].take() {
            Value::Array(events) => Ok(events),
            _ => Err(DemoError::Answer { who: self.who, why: format!("{path} has no history") }),
        }
    }
}
