//! The list of orders: the filters of the URL, the page of rows, the counts.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

use super::doc::Doc;
use super::layout::Shell;
use super::recovered::notice;
use super::{list_view, reply, sign_in};
use crate::access::Owner;
use crate::http::Site;
use crate::http::access::{Asker, Visit};
use crate::http::orders::STATES;
use crate::http::orders::list::{filter, write_cursor};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::site::by;
use crate::model::Timestamp;
use crate::runtime::{Engine, EngineError};
use crate::store::{OrderFilter, Queries, StoreError};
use crate::workflows::order;

/// Rows of a page that asks for no number of them: a screenful, for a page is painted in proportion to its rows.
pub const ROWS: usize = 20;

/// Everything a list shows.
pub struct Listing {
    pub orders: Vec<Doc>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// Only so many were sorted, the newest that fit.
    pub sorted_within: Option<usize>,
    /// How many orders there are in each state.
    pub counts: BTreeMap<String, i64>,
    pub now: Timestamp,
}

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    if site.needs_keys() && !matches!(Visit::of(&req).asker, Asker::Key(_)) {
        return sign_in::at_the_door(&req);
    }
    let outcome = listing(&req, &site).await;
    reply::or_problem(&req, outcome)
}

async fn listing(req: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let engine = site.engine()?;
    // Before anything is read: what happens later comes by the stream.
    let after = *engine.last_event().borrow();
    let raw = given(req.query_string());
    let mut filter = OrderFilter { bounded: true, ..filter(Query::read(&raw))? }.of(Visit::of(req).owner());
    if !raw.split('&').any(|pair| pair.starts_with("limit=")) {
        filter.limit = ROWS;
    }
    let place = Place { filter: filter.clone(), params: raw };
    let listing = read(site, &engine, filter).await?;
    let main = html! { (notice(&engine)) (list_view::list(&place, &listing)) };
    let stream = Some(format!("/console/live?after={after}"));
    let shell = Shell { title: "Orders", section: "/", stream, after, every_s: 0 };
    Ok(reply::page(StatusCode::OK, shell.render(&main)))
}

/// The parameters that say something: a form sends its empty fields, too.
pub fn given(raw: &str) -> String {
    let said = raw.split('&').filter(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty()));
    said.collect::<Vec<_>>().join("&")
}

/// Reads a page of orders with its counts.
pub async fn read(site: &Site, engine: &Engine, filter: OrderFilter) -> Result<Listing, Problem> {
    let reader = engine.clone();
    let read = engine.read(move |queries| {
        let counts = counts_of(queries, filter.owner.as_ref())?;
        // Where the counts say that there is none, nothing need be searched for.
        let any = filter.states.is_empty() || filter.states.iter().any(|state| counts.get(state) > Some(&0));
        let page = if any { queries.orders(&filter)? } else { crate::store::Page::default() };
        let orders: Result<Vec<Doc>, EngineError> =
            page.orders.iter().map(|family| Doc::read(reader.document(family)?.get())).collect();
        Ok((orders, page.next, page.sorted_within, counts))
    });
    let (orders, next, sorted_within, counts) = by(site.deadline(), read).await?;
    Ok(Listing { orders: orders?, next: next.as_ref().map(write_cursor), sorted_within, counts, now: engine.now() })
}

/// How many orders there are, by state; every state is there.
pub fn counts(queries: &dyn Queries) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut all: BTreeMap<String, i64> = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
    all.extend(queries.stats()?.remove(order::KIND).unwrap_or_default());
    Ok(all)
}

/// The same of one owner's orders; of all with `None`.
fn counts_of(queries: &dyn Queries, owner: Option<&Owner>) -> Result<BTreeMap<String, i64>, StoreError> {
    let Some(owner) = owner else { return counts(queries) };
    let mut all: BTreeMap<String, i64> = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
    all.extend(queries.stats_of(owner)?.remove(order::KIND).unwrap_or_default());
    Ok(all)
}

/// Where one is in the list: the filters, and the parameters they were read from.
pub struct Place {
    pub filter: OrderFilter,
    params: String,
}

impl Place {
    /// The parameters that stay, without these.
    pub fn without(&self, names: &[&str]) -> Vec<(&str, &str)> {
        let pairs = self.params.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| !names.contains(name)).collect()
    }

    /// This list with one parameter changed (`None`: gone), from its first page.
    pub fn link(&self, name: &str, value: Option<&str>) -> String {
        link_to("/", &self.params, name, value)
    }
}

/// A list at `path` with one of its parameters changed (`None`: gone), from its first page.
pub fn link_to(path: &str, params: &str, name: &str, value: Option<&str>) -> String {
    let stays = |pair: &&str| pair.split_once('=').is_some_and(|(known, _)| known != name && known != "cursor");
    let mut pairs: Vec<String> = params.split('&').filter(stays).map(str::to_owned).collect();
    pairs.extend(value.map(|value| format!("{name}={value}")));
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_other_filters_and_begin_at_the_first_page() {
        let place = Place { filter: OrderFilter::default(), params: given("q=a%20b&state=&sort=-state&cursor=00") };
        assert_eq!(place.link("state", Some("failed")), "/?q=a%20b&sort=-state&state=failed");
        assert_eq!(place.link("q", None), "/?sort=-state");
        assert_eq!(Place { filter: OrderFilter::default(), params: String::new() }.link("q", None), "/");
    }
}
