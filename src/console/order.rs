//! One order's page: everything is read once, from the status document and the history.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::diff::{Change, changes};
use super::doc::Doc;
use super::layout::Shell;
use super::{order_view, reply, work};
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::orders::order_id;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::site::by;
use crate::kernel::Document;
use crate::model::{OrderId, Timestamp, WorkflowId};
use crate::runtime::{Engine, Life};
use crate::store::{AuditFilter, StoredAudit, StoredFact};
use crate::workflows::order::KIND;

/// Facts of one history that a page reads.
const FACTS_MAX: usize = 20_000;
/// Entries of the audit that a page shows.
const ENTRIES_MAX: usize = 50;
/// Shipments of one order that a page reads, the newest.
const SHIPMENTS_MAX: usize = 12;

/// What the request wants to see of the order.
#[derive(Default)]
pub struct View {
    pub notice: Option<Notice>,
    /// The state after this fact.
    pub at: Option<u64>,
    /// The history from this fact on.
    pub from: Option<u64>,
}

/// What became of a button that was pressed.
pub enum Notice {
    Done(&'static str),
    Refused(String),
}

pub struct Shipment {
    pub round: u64,
    pub id: String,
    pub facts: Vec<StoredFact>,
}

/// The order as it was after one fact.
pub struct Moment {
    pub seq: u64,
    pub state: Value,
    /// Compared with the fact before.
    pub changes: Vec<Change>,
}

/// All that the page shows.
pub struct Sheet {
    pub doc: Doc,
    pub life: Life,
    pub shipments: Vec<Shipment>,
    pub moment: Moment,
    /// Who asked for what, the newest first.
    pub audit: Vec<StoredAudit>,
    pub now: Timestamp,
}

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = read_request(&req, &site).await;
    reply::or_problem(&req, outcome)
}

async fn read_request(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let id = order_id(req)?;
    let mut query = Query::read(req.query_string());
    let seq = |text: &str| text.parse().ok().filter(|seq| (1..=i64::MAX as u64).contains(seq));
    let at = query.take_as("at", "must be a whole number from 1", seq);
    let from = query.take_as("from", "must be a whole number from 1", seq);
    let did = query.take("did").and_then(|did| DONE.iter().find(|(name, _)| *name == did));
    query.finish().or(())?;
    let view = View { notice: did.map(|(_, words)| Notice::Done(words)), at, from };
    let visit = Visit::of(req);
    match show(site, &visit, &id, view, StatusCode::OK).await {
        // An id is looked for here wherever the kind is not known, as in the journal.
        Err(problem) if problem.status == StatusCode::NOT_FOUND && work::is_one(site, &visit, &id.workflow()).await => {
            Ok(reply::see_other(&format!("/console/work/{id}")))
        }
        shown => shown,
    }
}

/// What is said after an action. It is durable by then.
const DONE: [(&str, &str); 6] = [
    ("approve", "Approved. It is on disk."),
    ("cancel", "The cancellation is on disk and under way."),
    ("address", "The new address is on disk."),
    ("retry", "It goes on."),
    ("pause", "Paused."),
    ("resume", "Resumed."),
];

/// The page of an order.
pub async fn show(
    site: &Site,
    visit: &Visit,
    id: &OrderId,
    view: View,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let engine = &site.engine()?;
    let deadline = site.deadline();
    visit.check(site, &id.workflow(), deadline).await?;
    // Before anything is read: what happens later comes by the stream.
    let after = *engine.last_event().borrow();
    let text = by(deadline, engine.status_of(Some(KIND), &id.workflow(), None)).await?;
    let doc = Doc::read(&text)?;
    let life = by(deadline, engine.life(&id.workflow(), FACTS_MAX, view.at)).await?;
    let shipments = by(deadline, shipments(engine, &life)).await?;
    let moment = moment(&life);
    let filter = AuditFilter {
        order: Some(id.as_str().to_owned()),
        limit: ENTRIES_MAX,
        newest_first: true,
        ..AuditFilter::default()
    };
    let audit = by(deadline, engine.read(move |queries| queries.audit(&filter))).await?;
    let terminal = doc.terminal;
    let sheet = Sheet { doc, life, shipments, moment, audit, now: engine.now() };
    let main = order_view::sheet(&sheet, &view);
    let stream = Some(format!("/events?order_id={id}&children=true&after={after}"));
    let shell = Shell { title: id.as_str(), section: "/", stream, after, every_s: if terminal { 0 } else { 10 } };
    Ok(reply::page(status, shell.render(&main)))
}

async fn shipments(engine: &Engine, life: &Life) -> Result<Vec<Shipment>, crate::runtime::EngineError> {
    let started = life.facts.iter().filter(|fact| fact.fact.kind == "ShippingStarted");
    let mut known: Vec<(u64, String)> = started
        .filter_map(|fact| {
            let data: Value = serde_json::from_str(fact.fact.data.get()).ok()?;
            Some((data["round"].as_u64()?, data["shipment_id"].as_str()?.to_owned()))
        })
        .collect();
    known.drain(..known.len().saturating_sub(SHIPMENTS_MAX));
    engine
        .read(move |queries| {
            let mut all = Vec::new();
            for (round, id) in known {
                let facts = queries.history(&WorkflowId::new(id.as_str()), 0, FACTS_MAX)?.unwrap_or_default();
                all.push(Shipment { round, id, facts });
            }
            Ok(all)
        })
        .await
}

fn moment(life: &Life) -> Moment {
    let json = |document: &Document| serde_json::from_str::<Value>(document.get()).unwrap_or_default();
    let state = json(&life.record);
    let before = life.before.as_ref().map(json).unwrap_or_default();
    Moment { seq: life.at, changes: changes(&before, &state), state }
}
