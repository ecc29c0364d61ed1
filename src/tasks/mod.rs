//! The types of task a process knows, by name: one file each, and one line in [`builtin`].
//!
//! A type says what it is (name, description, parameters, queue), how it goes (pure), and brings its activities. The
//! engine knows nothing of any of them.

mod checksum_text;
mod invoice_import;
mod opening;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::schema_for;
use serde::Deserialize as _;
use serde_json::Value;

pub use checksum_text::ChecksumText;
pub use schema::{SchemaFault, faults};

use crate::activities::{Activity, Outside};
use crate::kernel::{Registry, Workflow};
use crate::secrets::Secrets;
use crate::workflows;
use crate::workflows::task::{GROUP, Task, TaskFlow, TaskType};
use opening::Opening;

/// The types that come with ordain.
pub fn builtin() -> TaskTypes {
    let mut types = TaskTypes::default();
    checksum_text::register(&mut types);
    invoice_import::register(&mut types);
    types
}

/// One type, as it is shown and as its parameters are checked.
pub struct TypeEntry {
    pub name: &'static str,
    pub description: &'static str,
    pub queue: &'static str,
    /// The JSON Schema of its parameters.
    pub schema: Value,
    faults: fn(&Value) -> Result<Faults, String>,
}

/// Pointers into parameters, and what is wrong there.
type Faults = Vec<(&'static str, String)>;

impl TypeEntry {
    /// What is wrong with parameters that fit the schema.
    ///
    /// # Errors
    /// Where they cannot be read as the type's own, and why. It may repeat what it was given: not for an answer where there
    /// are secrets in it.
    pub fn faults(&self, params: &Value) -> Result<Faults, String> {
        (self.faults)(params)
    }
}

/// All types of task of a process, their activities, and the kinds of workflow that carry them.
#[derive(Default)]
pub struct TaskTypes {
    types: BTreeMap<&'static str, TypeEntry>,
    activities: BTreeMap<&'static str, Arc<dyn Activity>>,
    makers: Vec<Maker>,
    kinds: Vec<fn(&mut Registry)>,
    mistakes: Vec<String>,
}

/// Makes activities once it is known where the world outside is.
type Maker = fn(&Outside) -> Vec<(&'static str, Arc<dyn Activity>)>;

/// A type that cannot be used as it was registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the types of task cannot be used: {}", .0.join("; "))]
pub struct TypesError(Vec<String>);

impl TaskTypes {
    /// Adds a type that is a sequence of calls.
    pub fn add<T: TaskType>(&mut self) -> &mut Self {
        self.add_flow::<Task<T>>()
    }

    /// Adds a type with a machine of its own.
    pub fn add_flow<W: TaskFlow>(&mut self) -> &mut Self {
        let name = W::KIND;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            self.mistakes.push(format!("{name:?} is not 1 to 64 lower-case letters, digits and _"));
        }
        if W::GROUP != GROUP {
            self.mistakes.push(format!("{name}: its GROUP is {:?}, not {GROUP:?}", W::GROUP));
        }
        if workflows::registry().kinds().any(|kind| kind == name) {
            self.mistakes.push(format!("{name} is the name of another kind of workflow"));
        }
        let schema = schema::of(schema_for!(W::Params));
        if let Some(keyword) = schema::unknown_keyword(&schema) {
            self.mistakes.push(format!("{name}: its schema says {keyword:?}, which cannot be checked"));
        }
        let (description, queue) = (W::DESCRIPTION, W::QUEUE);
        let entry = TypeEntry { name, description, queue, schema, faults: faults_of::<W> };
        if self.types.insert(name, entry).is_some() {
            self.mistakes.push(format!("{name} is registered twice"));
        }
        self.add_kind::<W>()
    }

    /// Adds a kind of workflow that is not started from outside: a child of a type's own machine.
    pub fn add_kind<W: Workflow>(&mut self) -> &mut Self {
        self.kinds.push(|registry| {
            registry.add::<W>();
        });
        self
    }

    /// Adds an activity of a type. Secrets in its input are opened for it; what it answers under the name of a secret is
    /// sealed again.
    pub fn activity(&mut self, name: &'static str, activity: impl Activity + 'static) -> &mut Self {
        if self.activities.insert(name, Arc::new(activity)).is_some() {
            self.mistakes.push(format!("the activity {name} is registered twice"));
        }
        self
    }

    /// Adds activities that must know where a service outside is; they are made once the settings are read.
    pub fn outside_activities(&mut self, make: Maker) -> &mut Self {
        self.makers.push(make);
        self
    }

    /// Whether all of them can be used.
    ///
    /// # Errors
    /// [`TypesError`] with every mistake.
    pub fn check(&self) -> Result<(), TypesError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(TypesError(self.mistakes.clone())) }
    }

    pub fn get(&self, name: &str) -> Option<&TypeEntry> {
        self.types.get(name)
    }

    /// The types, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TypeEntry> {
        self.types.values()
    }

    /// The task queues of all types.
    pub fn queues(&self) -> impl Iterator<Item = &'static str> {
        self.types.values().map(|entry| entry.queue)
    }

    /// A registry of the built-in kinds of workflow and those of the types.
    pub fn registry(&self) -> Registry {
        let mut registry = workflows::registry();
        for add in &self.kinds {
            add(&mut registry);
        }
        registry
    }

    /// The activities, with their secrets opened for them.
    pub fn activities(&self, secrets: &Secrets, outside: &Outside) -> Vec<(&'static str, Arc<dyn Activity>)> {
        let opened = |(name, inner)| (name, Arc::new(Opening { inner, secrets: secrets.clone() }) as Arc<dyn Activity>);
        let own = self.activities.iter().map(|(name, inner)| (*name, Arc::clone(inner)));
        own.chain(self.makers.iter().flat_map(|make| make(outside))).map(opened).collect()
    }
}

fn faults_of<W: TaskFlow>(params: &Value) -> Result<Faults, String> {
    W::Params::deserialize(params).map(|params| W::faults(&params)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::workflows::task::Next;

    #[test]
    fn the_types_that_come_with_it_can_be_used() {
        let types = builtin();
        assert_eq!(types.check(), Ok(()));
        let registry = types.registry();
        for entry in types.iter() {
            assert!(registry.kinds_of(GROUP).contains(&entry.name));
            assert!(!entry.description.is_empty() && entry.schema["type"] == "object");
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Order {}

    impl TaskType for Order {
        const NAME: &'static str = "order";
        const DESCRIPTION: &'static str = "Takes a name that is taken.";
        const QUEUE: &'static str = "q";

        fn next(&self, _done: u32, _memory: &Value) -> Next {
            Next::Done(Value::Null)
        }
    }

    #[test]
    fn a_name_that_is_taken_is_a_mistake_that_is_told() {
        let mut types = builtin();
        types.add::<Order>().add::<ChecksumText>();
        let words = types.check().unwrap_err().to_string();
        assert!(words.contains("order is the name of another kind") && words.contains("registered twice"), "{words}");
    }
}
