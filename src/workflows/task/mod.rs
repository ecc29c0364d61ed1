//! Tasks: any type of work that is known by its name, its parameters, and the activities that follow from them.
//!
//! A simple type implements [`TaskType`] and is hosted by [`Task`]; one with a state machine of its own implements the
//! kernel's `Workflow` and [`TaskFlow`]. Each type is a kind of its own, named after it, in the group [`GROUP`]. Secrets
//! in parameters are sealed before they come here: nothing in this room can read them.

mod document;
mod hosted;
mod start;
mod state;

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use document::{Progress, TaskView};
pub use start::TaskStart;
pub use state::{Stage, Task, TaskEvent};

use crate::kernel::Workflow;

/// The group all types of task belong to.
pub const GROUP: &str = "task";
/// The states a task of any type can be in, `stuck` of the kernel aside.
pub const STATES: [&str; 4] = ["running", "completed", "failed", "cancelled"];

/// Names of the signals people send.
pub mod signal {
    pub const CANCEL: &str = "cancel";
}

/// A type of task: its parameters, and what follows from them. All methods are pure functions of their arguments.
///
/// Texts under `password`, `token`, `secret` and `credentials` are sealed here; whoever needs one passes it on as it is,
/// and the activity gets it opened.
pub trait TaskType: JsonSchema + Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + 'static {
    /// The name it is started by: lower-case letters, digits and `_`.
    const NAME: &'static str;
    /// A sentence for people.
    const DESCRIPTION: &'static str;
    /// The task queue of its activities.
    const QUEUE: &'static str;

    /// How many calls it takes in all, where that is known.
    fn total(&self) -> Option<u32> {
        None
    }

    /// What comes next after so many completed calls.
    fn next(&self, done: u32, memory: &Value) -> Next;

    /// What is remembered after one more call, for the next ones; null before the first. It is stored with every step:
    /// keep it small. By default the result of the last call.
    fn remember(&self, _done: u32, _memory: &Value, result: &Value) -> Value {
        result.clone()
    }

    /// How long it may take in all, in ms; `None`: as long as it takes.
    fn deadline_ms(&self) -> Option<u64> {
        None
    }
}

/// What comes next in a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An activity is called; tried again as its policy says.
    Call {
        activity: &'static str,
        input: Value,
        /// What is under way, for people.
        message: String,
    },
    /// It is completed.
    Done(Value),
    /// It has failed, and why.
    Failed(String),
}

/// A type of task as a kind of workflow, with or without a machine of its own. Its `KIND` is the type's name, and its
/// `GROUP` must be [`GROUP`]; it is started with a [`TaskStart`], and its document is a [`TaskView`].
pub trait TaskFlow: Workflow {
    type Params: JsonSchema + Serialize + DeserializeOwned;
    /// A sentence for people.
    const DESCRIPTION: &'static str;
    /// The task queue of its activities.
    const QUEUE: &'static str;

    /// What is wrong with parameters that fit the schema: JSON Pointers and sentences. They must not repeat a value.
    fn faults(_params: &Self::Params) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl<T: TaskType> TaskFlow for Task<T> {
    type Params = T;
    const DESCRIPTION: &'static str = T::DESCRIPTION;
    const QUEUE: &'static str = T::QUEUE;
}
