//! A task without a machine of its own, as a workflow: the calls its type asks for, one after the other.

use serde_json::Value;

use super::state::{Stage, Task, TaskEvent};
use super::{GROUP, Next, TaskStart, TaskType, signal};
use crate::kernel::{
    Core, Document, Live, Machine, Persistence, Rejection, START_AGAIN, Stimulus, View, Wish, Workflow,
};
use crate::model::{FailureKind, Timestamp, WorkflowId};

type Decision<T> = Result<Vec<TaskEvent<T>>, Rejection>;

impl<T: TaskType> Task<T> {
    fn signal(&self, name: &str, payload: &Value) -> Decision<T> {
        match (name, self.stage) {
            (START_AGAIN, _) => self.start.again(payload).map(|()| Vec::new()),
            (signal::CANCEL, Stage::Running) => {
                let reason = payload.get("reason").and_then(Value::as_str).map(str::to_owned);
                Ok(vec![TaskEvent::TaskCancelled { reason }])
            }
            (signal::CANCEL, Stage::Cancelled) => Ok(Vec::new()),
            (signal::CANCEL, ended) => {
                Err(Rejection::new("task_not_cancellable", format!("the task is {}", ended.as_str())))
            }
            (other, _) => Err(Rejection::new("unknown_signal", format!("a task does not know the signal {other:?}"))),
        }
    }
}

impl<T: TaskType> Workflow for Task<T> {
    const KIND: &'static str = T::NAME;
    const GROUP: &'static str = GROUP;
    type Event = TaskEvent<T>;

    fn start(id: &WorkflowId, input: &Value, _now: Timestamp) -> Result<Self::Event, Rejection> {
        TaskStart::read(id, input).map(TaskEvent::TaskStarted)
    }

    fn born(event: &Self::Event, _at: Timestamp) -> Option<Self> {
        let TaskEvent::TaskStarted(start) = event else { return None };
        let (start, stage) = (start.clone(), Stage::Running);
        Some(Self { start, stage, done: 0, memory: Value::Null, result: None, error: None })
    }

    fn decide(&self, stimulus: &Stimulus<'_>, view: &View<'_>) -> Decision<T> {
        if let Stimulus::Signal { name, payload } = stimulus {
            return self.signal(name, payload);
        }
        if self.stage != Stage::Running {
            return Ok(Vec::new());
        }
        Ok(match stimulus {
            Stimulus::ActivityCompleted { result, .. } => {
                let memory = self.start.params.remember(self.done, &self.memory, result);
                vec![TaskEvent::StepCompleted { done: self.done.saturating_add(1), memory }]
            }
            Stimulus::AttemptFailed { gave_up: true, .. } => {
                // The kernel has noted this failure a moment ago.
                let error = view.core.last_error().cloned();
                error.map(|error| TaskEvent::TaskFailed { error: Box::new(error) }).into_iter().collect()
            }
            Stimulus::DeadlineReached => {
                vec![self.failed(FailureKind::Timeout, "the deadline was reached".to_owned(), view.now)]
            }
            _ => Vec::new(),
        })
    }

    fn advance(&self, view: &View<'_>) -> Option<Self::Event> {
        self.ending(view.now)
    }

    fn evolve(&mut self, event: &Self::Event, _at: Timestamp) {
        self.fold(event);
    }

    fn wishes(&self) -> Vec<Wish> {
        if self.stage != Stage::Running {
            return Vec::new();
        }
        match self.next() {
            Next::Call { activity, .. } => {
                vec![Wish::Activity { name: activity, queue: T::QUEUE, persistence: Persistence::Policy }]
            }
            Next::Done(_) | Next::Failed(_) => Vec::new(),
        }
    }

    fn idempotency_key(&self, activity: &str) -> String {
        format!("{}/{activity}/{}", self.start.task_id, self.done + 1)
    }

    fn activity_input(&self, _activity: &str) -> Value {
        match self.next() {
            Next::Call { input, .. } => input,
            Next::Done(_) | Next::Failed(_) => Value::Null,
        }
    }

    fn state_name(&self) -> &'static str {
        self.stage.as_str()
    }

    fn is_terminal(&self) -> bool {
        self.stage != Stage::Running
    }

    fn deadline_ms(&self) -> Option<u64> {
        self.start.params.deadline_ms()
    }

    fn document(&self, core: &Core, _children: &[&dyn Machine], _live: Option<&Live>) -> serde_json::Result<Document> {
        self.view().document(core)
    }

    fn frees_when_stuck(&self, signal: &str) -> bool {
        signal == signal::CANCEL
    }
}
