//! A batch while it is being done: each order's result as it comes, and the page that shows how far it is. Kept in memory
//! for whoever looks; what is done is in each order's own history.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::batch::named;
use super::layout::Shell;
use super::list_view::grouped;
use super::reply;
use crate::access::Owner;
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::problem::Problem;
use crate::model::OrderId;

/// Batches that are remembered.
const KEPT: usize = 32;

/// Whether it changed the order, or why it was refused.
pub type Outcome = Result<bool, String>;

pub struct Batch {
    pub id: String,
    pub action: String,
    orders: Vec<OrderId>,
    /// Whose orders they are, where its key is bound to an owner.
    owner: Option<Owner>,
    /// One for each order, as far as it is.
    results: Mutex<Vec<Option<Outcome>>>,
}

impl Batch {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Outcome>>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn orders(&self) -> impl Iterator<Item = (usize, OrderId)> {
        self.orders.clone().into_iter().enumerate()
    }

    pub fn note(&self, index: usize, outcome: Outcome) {
        if let Some(place) = self.lock().get_mut(index) {
            *place = Some(outcome);
        }
    }
}

/// The newest batches.
#[derive(Default)]
pub struct Batches(Mutex<VecDeque<Arc<Batch>>>);

impl Batches {
    pub fn begin(&self, action: &str, orders: Vec<OrderId>, owner: Option<Owner>) -> Arc<Batch> {
        let results = Mutex::new(vec![None; orders.len()]);
        let id = uuid::Uuid::now_v7().to_string();
        let batch = Arc::new(Batch { id, action: action.to_owned(), orders, owner, results });
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&batch));
        batch
    }

    fn find(&self, id: &str) -> Option<Arc<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|batch| batch.id == id).cloned()
    }
}

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = show(&req, &site);
    reply::or_problem(&req, outcome)
}

fn show(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let gone = "this batch is not remembered any more; what it did is in each order's history";
    let found = site.console.batches.find(req.match_info().get("batch").unwrap_or_default());
    let visit = Visit::of(req);
    let found = found.filter(|batch| visit.owner().is_none_or(|owner| batch.owner.as_ref() == Some(owner)));
    let batch = found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "batch_not_found", gone))?;
    let after = *site.engine()?.last_event().borrow();
    let results = batch.lock().clone();
    let left = results.iter().filter(|result| result.is_none()).count();
    let main = report(&batch, &results, left);
    let stream = (left > 0).then(|| format!("/console/live?after={after}"));
    let shell = Shell { title: "Many orders", section: "/", stream, after, every_s: u32::from(left > 0) };
    let mut response = reply::page(StatusCode::OK, shell.render(&main));
    if left > 0 {
        // For a browser without scripts; with them the page is put in place before.
        let every = actix_web::http::header::HeaderValue::from_static("2");
        response.headers_mut().insert(actix_web::http::header::REFRESH, every);
    }
    Ok(response)
}

fn report(batch: &Batch, results: &[Option<Outcome>], left: usize) -> Markup {
    let count = |wanted: fn(&Outcome) -> bool| results.iter().flatten().filter(|result| wanted(result)).count();
    let (changed, same) = (count(|r| *r == Ok(true)), count(|r| *r == Ok(false)));
    let refused = count(Result::is_err);
    let n = |n: usize| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    html! {
        div.head { h1 { (named(&batch.action)) ": " (changed + same) " of " (super::batch::orders(results.len())) " done" } }
        p.status {
            span.bar-of.st-running {
                progress max=(results.len()) value=(results.len() - left) aria-label="Progress" {}
                span.num { (n(results.len() - left)) " of " (n(results.len())) }
            }
            span.what {
                @if left > 0 { (n(left)) " to go" } @else { "Nothing is left to do" }
                @if refused > 0 { ", " span.refused { (n(refused)) " refused" } }
                @if same > 0 { ", " (n(same)) " were so already" }
            }
        }
        p.what { "What is done is on disk. " a href="/" { "Back to the orders" } }
        table.orders.results {
            thead { tr { th scope="col" { "Order" } th scope="col" { "Result" } } }
            tbody { @for ((_, id), result) in batch.orders().zip(results) { tr {
                td.id { a href=(format!("/console/orders/{id}")) { (id) } }
                td { @match result {
                    None => span.none { "to go" },
                    Some(Ok(true)) => span.done { "done" },
                    Some(Ok(false)) => span.done { "it was so already" },
                    Some(Err(why)) => span.refused { "refused: " (why) },
                } }
            } } }
        }
    }
}
