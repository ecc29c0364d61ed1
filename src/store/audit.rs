//! The audit: who asked for what, and what came of it. Append-only by the database itself.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use crate::access::KeyId;
use crate::model::{Timestamp, WorkflowId};

/// An entry to be stored: with the transition it caused, in one commit, or by itself where it caused none.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Given by whoever stores it.
    pub at: Timestamp,
    pub method: Cow<'static, str>,
    /// The route as it is documented, such as `/orders/{order_id}/start`.
    pub route: Cow<'static, str>,
    pub order: Option<WorkflowId>,
    /// Id and name of the key; `None`: asked without one.
    pub key: Option<(KeyId, std::sync::Arc<str>)>,
    /// The HTTP status that was answered.
    pub status: u16,
    pub reason: Option<String>,
    pub remote: Option<IpAddr>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredAudit {
    /// Rising in the order of the commits.
    pub id: u64,
    pub at: Timestamp,
    pub method: String,
    pub route: String,
    pub order_id: Option<String>,
    pub key_id: Option<String>,
    pub key_name: Option<String>,
    pub status: u16,
    pub reason: Option<String>,
    pub remote: Option<String>,
}

/// Which entries to read.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub order: Option<String>,
    /// Only entries with a greater id.
    pub after: u64,
    pub limit: usize,
    /// The newest first; `after` still bounds them.
    pub newest_first: bool,
}
