//! Activities: the only code that touches the outside world.
//!
//! An activity is called at least once for an attempt, with an idempotency key that is the same for all attempts.
//! It reports how it failed by kind; whether it is called again is the kernel's decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::kernel::ActivityCall;
use crate::model::Failure;

/// Something a workflow can have done. Shared by the arbiters of a pool; each call runs on one of them, so its future
/// need not be `Send`. It must not block, and is dropped when its timeout is over.
pub trait Activity: Send + Sync {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>>;
}

/// All activities of a process, by name.
#[derive(Clone, Default)]
pub struct Activities {
    by_name: BTreeMap<String, Arc<dyn Activity>>,
}

impl Activities {
    /// Adds an activity under its name, in place of one of the same name.
    pub fn add(&mut self, name: impl Into<String>, activity: Arc<dyn Activity>) -> &mut Self {
        self.by_name.insert(name.into(), activity);
        self
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Activity>> {
        self.by_name.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
