//! An input on its way to an actor, and where its answer goes.

use std::time::Instant;

use tokio::sync::oneshot;

use super::admission::Step;
use super::command::{Action, Answer, Command, EngineError};
use crate::kernel::Input;
use crate::model::WorkflowId;

pub(super) struct Envelope {
    pub work: Work,
    /// Nobody waits for the outcome of what the engine feeds itself.
    pub reply: Option<Reply>,
    /// Since when it waits for its actor; taken when that begins with it for the first time.
    pub queued: Option<Instant>,
    /// Counted for as long as the envelope lives.
    _step: Step,
}

pub(super) type Reply = oneshot::Sender<Result<Answer, EngineError>>;

pub(super) enum Work {
    /// From outside.
    Command(Box<Command>),
    /// From the engine itself: a result, a timer. It may not be lost while the process lives.
    Input { to: WorkflowId, input: Input },
}

impl Work {
    /// Whether it tells how this attempt has ended.
    pub fn is_end_of(&self, id: &WorkflowId, activity: &str, attempt: u32) -> bool {
        let (of, name, number) = match self {
            Self::Command(command) => match &command.action {
                Action::Report { to, activity, attempt, .. } => (to, activity, attempt),
                _ => return false,
            },
            Self::Input { to, input } => match input {
                Input::ActivityCompleted { activity, attempt, .. }
                | Input::ActivityFailed { activity, attempt, .. } => (to, activity, attempt),
                _ => return false,
            },
        };
        of == id && name == activity && *number == attempt
    }
}

impl Envelope {
    pub fn new(work: Work, reply: Option<Reply>, step: Step) -> Self {
        Self { work, reply, queued: Some(Instant::now()), _step: step }
    }

    /// Whether somebody waits for the status document. A worker that reports a result only wants to know it taken.
    pub fn wants_document(&self) -> bool {
        let report = matches!(&self.work, Work::Command(command) if matches!(command.action, Action::Report { .. }));
        self.reply.is_some() && !report
    }

    /// Answers whoever waits.
    pub fn answer(self, result: Result<Answer, EngineError>) {
        if let Some(reply) = self.reply {
            // A client that went away asks again; the outcome is on disk.
            let _gone = reply.send(result);
        }
    }
}
