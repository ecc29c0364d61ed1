//! What shards, actors and pools say to each other. All of it stays within the process.

use std::collections::BTreeMap;

use actix::{Addr, Message};
use serde_json::Value;
use tokio::sync::oneshot;

use super::admission::Step;
use super::command::{Answer, Command, EngineError, Until};
use super::envelope::Envelope;
use super::journal::Ack;
use super::pool::Pool;
use crate::model::{Failure, Name, Timestamp, WorkflowId};
use crate::store::{StoreError, StoredWorkflow, Verdict};

// To a shard.

/// A command for one instance, and where its answer goes.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ask {
    pub command: Command,
    pub step: Step,
    pub reply: oneshot::Sender<Result<Answer, EngineError>>,
}

/// A look at one instance. `None` comes back where it is not alive; SQL has it then.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Query {
    pub id: WorkflowId,
    pub reply: oneshot::Sender<Option<Seen>>,
    /// Told when the instance comes into this state.
    pub watch: Option<Watcher>,
}

/// The state that is waited for, and who waits.
pub(super) type Watcher = (Until, oneshot::Sender<String>);

/// What the journal says of commits.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Acks(pub Vec<Ack>);

/// A call has ended.
pub(super) struct CallEnd {
    pub workflow_id: WorkflowId,
    pub activity: Name,
    pub attempt: u32,
    pub outcome: Result<Value, Failure>,
    pub step: Step,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CallEnds(pub Vec<CallEnd>);

/// Of a call that found no room in its queue's window.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum Beyond {
    /// It waits in SQL; its actor need not stay alive for it.
    Waits(WorkflowId),
    /// There is room: hand it in again.
    Again(WorkflowId),
}

/// Instances that have something to do: at once, or at an instant that is near.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Wake {
    pub now: Vec<Vec<StoredWorkflow>>,
    pub soon: Vec<(Timestamp, WorkflowId)>,
}

/// The pools, once they are there.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Pools(pub BTreeMap<Name, Addr<Pool>>, pub Addr<Pool>);

/// Hand the calls that were collected to their pools.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

/// Look at the timers again: an earlier one was set.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Rearm;

/// An actor has nothing to keep it alive.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Vacant(pub WorkflowId);

// To an actor.

/// An input for the actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Deliver(pub Envelope);

/// The commit of this token is decided.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Committed {
    pub token: u64,
    pub result: Result<Verdict, StoreError>,
}

/// Show yourself, without waiting for anything.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Look(pub oneshot::Sender<Option<Seen>>);

/// Hand in the outstanding calls again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CallAgain;

/// See whether there is nothing left to do.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Rest;

/// What a look shows.
pub(super) struct Seen {
    pub document: String,
    pub group: &'static str,
    pub state: &'static str,
    pub terminal: bool,
}
