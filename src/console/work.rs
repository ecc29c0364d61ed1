//! Jobs and tasks: the list of all of them with their progress, one of them with its history, and the button that
//! cancels it. Both are read from the documents the API answers with.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::layout::Shell;
use super::list::{given, link_to};
use super::order::Notice;
use super::work_doc::Work;
use super::{form, reply, work_view};
use crate::http::access::{Audited, Visit};
use crate::http::orders::signals::cancel_payload;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::seek::{self, path_id};
use crate::http::site::by;
use crate::http::{Site, body};
use crate::model::{Timestamp, WorkflowId};
use crate::runtime::{Action, Command, Engine, Life};
use crate::store::KindFilter;
use crate::workflows::{job, task};

/// Facts of one history that a page reads.
const FACTS_MAX: usize = 20_000;
/// The states of jobs and tasks, in the order of a life.
pub const STATES: [&str; 5] = ["running", "stuck", "completed", "failed", "cancelled"];

/// Everything the list shows.
pub struct Listing {
    pub rows: Vec<Work>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// How many there are of the chosen types, by state.
    pub counts: BTreeMap<String, i64>,
    /// All types, and how many there are of each.
    pub types: Vec<(&'static str, i64)>,
    pub now: Timestamp,
}

/// Where one is in the list.
pub struct Place {
    pub chosen: Option<&'static str>,
    pub filter: KindFilter,
    params: String,
}

impl Place {
    /// The list with one parameter changed (`None`: gone), from its first page.
    pub fn link(&self, name: &str, value: Option<&str>) -> String {
        link_to("/console/work", &self.params, name, value)
    }
}

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = listing(&req, &site).await;
    reply::or_problem(&req, outcome)
}

async fn listing(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let engine = site.engine()?;
    let after = *engine.last_event().borrow();
    let params = given(req.query_string());
    let mut query = Query::read(&params);
    let mut all = vec![job::KIND];
    all.extend(site.options.tasks.iter().map(|entry| entry.name));
    let chosen =
        query.take_as("type", "must be job or a type of task", |name| all.iter().copied().find(|known| *known == name));
    let kinds = chosen.map_or_else(|| all.clone(), |one| vec![one]);
    let owner = Visit::of(req).owner().cloned();
    let filter = KindFilter { owner: owner.clone(), ..seek::filter(query, kinds, &job::STATES)? };
    let (reader, wanted) = (engine.clone(), filter.clone());
    let read = engine.read(move |queries| {
        let (page, stats) =
            (queries.of_kinds(&wanted)?, owner.map_or_else(|| queries.stats(), |owner| queries.stats_of(&owner))?);
        let rows: Result<Vec<Work>, _> = page.families.iter().map(|family| Work::of(&reader, family)).collect();
        Ok((rows, page.next, stats))
    });
    let (rows, next, mut stats) = by(site.deadline(), read).await?;
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for kind in &filter.kinds {
        for (state, n) in stats.get(*kind).into_iter().flatten() {
            *counts.entry(state.clone()).or_default() += n;
        }
    }
    let types = all.iter().map(|name| (*name, stats.remove(*name).unwrap_or_default().values().sum())).collect();
    let listing = Listing { rows: rows?, next: next.map(seek::write_cursor), counts, types, now: engine.now() };
    let main = work_view::list(&Place { chosen, filter, params }, &listing);
    let stream = Some(format!("/console/live?after={after}"));
    let shell = Shell { title: "Jobs and tasks", section: "/console/work", stream, after, every_s: 0 };
    Ok(reply::page(StatusCode::OK, shell.render(&main)))
}

/// One job or task.
pub struct Sheet {
    pub work: Work,
    pub life: Life,
    /// What it was given: a job's numbers, a task's parameters without their secrets.
    pub input: Value,
    pub now: Timestamp,
}

pub async fn one(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = read_request(&req, &site).await;
    reply::or_problem(&req, outcome)
}

async fn read_request(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let id = path_id(req, "task_id", "invalid_task_id", "task")?;
    let mut query = Query::read(req.query_string());
    let seq = |text: &str| text.parse().ok().filter(|seq| (1..=i64::MAX as u64).contains(seq));
    let from = query.take_as("from", "must be a whole number from 1", seq);
    let did = query.take("did").filter(|did| did == "cancel");
    query.finish().or(())?;
    let notice = did.map(|_| Notice::Done("Cancelled. It is on disk."));
    show(site, &Visit::of(req), &id, notice, from, StatusCode::OK).await
}

async fn show(
    site: &Site,
    visit: &Visit,
    id: &WorkflowId,
    notice: Option<Notice>,
    from: Option<u64>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let engine = site.engine()?;
    let deadline = site.deadline();
    // Before anything is read: what happens later comes by the stream.
    let after = *engine.last_event().borrow();
    group_of(site, visit, &engine, id).await?;
    let (reader, wanted) = (engine.clone(), id.clone());
    let read = engine.read(move |queries| Ok(Work::of(&reader, &queries.family(&wanted)?)));
    let work = by(deadline, read).await??;
    let life = by(deadline, engine.life(id, FACTS_MAX, None)).await?;
    let input = work.input(life.facts.first());
    let ended = work.completed_at.is_some();
    let sheet = Sheet { work, life, input, now: engine.now() };
    let main = work_view::sheet(&sheet, notice.as_ref(), from);
    let stream = Some(format!("/events?order_id={id}&children=true&after={after}"));
    let every_s = if ended { 0 } else { 5 };
    let shell = Shell { title: id.as_str(), section: "/console/work", stream, after, every_s };
    Ok(reply::page(status, shell.render(&main)))
}

/// The group of kinds of a job or task; whatever else has this id is not found here.
async fn group_of(site: &Site, visit: &Visit, engine: &Engine, id: &WorkflowId) -> Result<&'static str, Problem> {
    visit.check(site, id, site.deadline()).await?;
    let wanted = id.clone();
    let row = by(site.deadline(), engine.read(move |queries| queries.workflow(&wanted))).await?;
    let kind = row.map(|row| row.kind).unwrap_or_default();
    match kind.as_str() {
        job::KIND => Ok(job::KIND),
        kind if engine.kinds_of(task::GROUP).contains(&kind) => Ok(task::GROUP),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "task_not_found", "there is no job or task of this id")),
    }
}

/// Whether it is a job or a task.
pub async fn is_one(site: &Site, visit: &Visit, id: &WorkflowId) -> bool {
    let Ok(engine) = site.engine() else { return false };
    group_of(site, visit, &engine, id).await.is_ok()
}

/// The button was pressed.
pub async fn cancel(req: HttpRequest, site: Data<Site>, payload: Payload) -> HttpResponse {
    let outcome = do_it(&req, &site, payload).await;
    reply::or_problem(&req, outcome)
}

async fn do_it(req: &HttpRequest, site: &Site, payload: Payload) -> Result<HttpResponse, Problem> {
    let deadline = site.deadline();
    let id = path_id(req, "task_id", "invalid_task_id", "task")?;
    let mut form = form::read(req, payload, site.options.body_limit_bytes, deadline).await?;
    let reason = form.take("reason").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    form.finish().or(())?;
    // By the API's own reader, whose limits are the form's as well.
    let text = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason})).to_string();
    let payload = cancel_payload(body::json(&Bytes::from(text))?.as_ref())?;
    let engine = site.engine()?;
    let visit = Visit::of(req);
    let group = group_of(site, &visit, &engine, &id).await?;
    visit.because(payload.get("reason").and_then(Value::as_str));
    let by_whom = visit.caller(StatusCode::SEE_OTHER.as_u16());
    let action = Action::Signal { name: task::signal::CANCEL.into(), payload };
    match by(deadline, engine.submit(Command { id: id.clone(), group, action, idempotency: None, by: by_whom })).await {
        Ok(done) => {
            let mut answer = reply::see_other(&format!("/console/work/{id}?did=cancel"));
            if done.audited {
                answer.extensions_mut().insert(Audited);
            }
            Ok(answer)
        }
        Err(problem) if matches!(problem.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY) => {
            show(site, &visit, &id, Some(Notice::Refused(problem.detail.to_string())), None, problem.status).await
        }
        Err(problem) => Err(problem),
    }
}
