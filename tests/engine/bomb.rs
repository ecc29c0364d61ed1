//! A workflow whose code panics while the switch is on.

use std::sync::atomic::{AtomicBool, Ordering};

use ordain::kernel::{Core, Document, Live, Machine, Rejection, Stimulus, View, Wish, Workflow};
use ordain::model::{Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub static PANICS: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bomb {
    pub taken: u32,
    done: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    Planted {},
    Taken {},
    Done {},
}

impl Workflow for Bomb {
    const KIND: &'static str = "bomb";
    const GROUP: &'static str = "order";
    type Event = Event;

    fn start(_: &WorkflowId, _: &Value, _: Timestamp) -> Result<Event, Rejection> {
        Ok(Event::Planted {})
    }

    fn born(_: &Event, _: Timestamp) -> Option<Self> {
        Some(Self { taken: 0, done: false })
    }

    fn decide(&self, stimulus: &Stimulus<'_>, _: &View<'_>) -> Result<Vec<Event>, Rejection> {
        Ok(match stimulus {
            Stimulus::Signal { name: "go", .. } => {
                assert!(!PANICS.load(Ordering::SeqCst), "planted");
                vec![Event::Taken {}]
            }
            Stimulus::Signal { name: "end", .. } => vec![Event::Done {}],
            _ => Vec::new(),
        })
    }

    fn advance(&self, _: &View<'_>) -> Option<Event> {
        None
    }

    fn evolve(&mut self, event: &Event, _: Timestamp) {
        match event {
            Event::Planted {} => {}
            Event::Taken {} => self.taken += 1,
            Event::Done {} => self.done = true,
        }
    }

    fn wishes(&self) -> Vec<Wish> {
        if self.done { Vec::new() } else { vec![Wish::Signal { name: "go" }] }
    }

    fn idempotency_key(&self, _: &str) -> String {
        String::new()
    }

    fn activity_input(&self, _: &str) -> Value {
        Value::Null
    }

    fn state_name(&self) -> &'static str {
        if self.done { "done" } else { "armed" }
    }

    fn is_terminal(&self) -> bool {
        self.done
    }

    fn document(&self, core: &Core, _: &[&dyn Machine], live: Option<&Live>) -> serde_json::Result<Document> {
        let all = json!({ "id": core.id, "taken": self.taken, "seq": core.seq, "stuck": core.stuck, "live": live });
        serde_json::value::to_raw_value(&all)
    }
}
