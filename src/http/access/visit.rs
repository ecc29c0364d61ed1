//! What a handler may know of whoever asks. The frame leaves it with the request.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::{HttpMessage, HttpRequest};
use tokio::time::Instant;

use crate::access::{Key, Owner};
use crate::http::Site;
use crate::http::problem::Problem;
use crate::http::site::by;
use crate::model::{OrderId, WorkflowId};
use crate::runtime::{Caller, EngineError};
use crate::store::AuditEntry;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Asker {
    /// There are no keys: everybody may do everything.
    Anyone,
    Key(Arc<Key>),
    /// There are keys, and none was shown. Comes as far as what is open to all.
    Nobody,
}

/// Set on an answer whose audit entry was stored with what it caused.
pub struct Audited;

/// One request: who asks, and for what.
#[derive(Debug)]
pub struct Visit {
    pub asker: Asker,
    /// Only this owner's orders are there for it.
    owner: Option<Owner>,
    route: &'static str,
    method: Method,
    order: Option<WorkflowId>,
    remote: Option<IpAddr>,
    reason: RefCell<Option<String>>,
    /// What a button of the console does; its route does not say.
    action: Cell<Option<&'static str>>,
}

impl Visit {
    pub fn new(asker: Asker, route: &'static str, req: &ServiceRequest) -> Self {
        let owner = match &asker {
            Asker::Anyone => None,
            Asker::Key(key) => key.owner.clone(),
            // No order is this owner's: owners have names.
            Asker::Nobody => Some("".into()),
        };
        let of_path = |name: &&str| req.match_info().get(name);
        let id = ["order_id", "job_id", "task_id"].iter().find_map(of_path);
        let order = id.and_then(|id| OrderId::parse(id).ok()).map(|id| id.workflow());
        let remote = req.peer_addr().map(|address| address.ip());
        Self {
            asker,
            owner,
            route,
            method: req.method().clone(),
            order,
            remote,
            reason: RefCell::default(),
            action: Cell::new(None),
        }
    }

    /// The visit of a request. One that passed no gate sees nothing.
    pub fn of(req: &HttpRequest) -> Rc<Self> {
        req.extensions().get::<Rc<Self>>().cloned().unwrap_or_else(|| {
            Rc::new(Self {
                asker: Asker::Nobody,
                owner: Some("".into()),
                route: "",
                method: req.method().clone(),
                order: None,
                remote: None,
                reason: RefCell::default(),
                action: Cell::new(None),
            })
        })
    }

    /// Whose orders alone it sees.
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// Why something is asked for, in the client's words: for the audit.
    pub fn because(&self, reason: Option<&str>) {
        let reason = reason.map(|text| text.replace('\0', " "));
        *self.reason.borrow_mut() = reason;
    }

    /// Which action of the console this is, for the audit.
    pub fn acts(&self, action: &'static str) {
        self.action.set(Some(action));
    }

    /// Refuses what is another owner's, as if it were not there. Who is bound to no owner costs nothing.
    ///
    /// # Errors
    /// A 404, or what became of the look.
    pub async fn check(&self, site: &Site, id: &WorkflowId, deadline: Instant) -> Result<(), Problem> {
        let Some(owner) = &self.owner else { return Ok(()) };
        let root = WorkflowId::new(id.root());
        let found = by(deadline, site.engine()?.read(move |queries| queries.owner(&root))).await?;
        if found.flatten().as_ref() == Some(owner) { Ok(()) } else { Err(EngineError::NotFound.into()) }
    }

    /// On whose behalf a command is given; `status`: what is answered if it changes something.
    pub fn caller(&self, status: u16) -> Caller {
        Caller { owner: self.owner.clone(), audit: Some(Box::new(self.entry(status))) }
    }

    /// The same for another workflow than that of the path.
    pub fn caller_for(&self, id: &WorkflowId, status: u16) -> Caller {
        let entry = AuditEntry { order: Some(id.clone()), ..self.entry(status) };
        Caller { owner: self.owner.clone(), audit: Some(Box::new(entry)) }
    }

    /// The entry in the audit.
    pub fn entry(&self, status: u16) -> AuditEntry {
        AuditEntry {
            at: crate::model::Timestamp::default(),
            method: match self.method {
                Method::POST => "POST".into(),
                _ => self.method.to_string().into(),
            },
            route: match self.action.get() {
                Some(action) => format!("/console/orders/{{order_id}}/{action}").into(),
                None => self.route.into(),
            },
            order: self.order.clone(),
            key: match &self.asker {
                Asker::Key(key) => Some((key.id.clone(), key.name.clone())),
                Asker::Anyone | Asker::Nobody => None,
            },
            status,
            reason: self.reason.borrow().clone(),
            remote: self.remote,
        }
    }
}
