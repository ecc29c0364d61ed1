//! "Needs me now": what will not go on without a person, the longest waiting first.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::doc::Doc;
use super::layout::Shell;
use super::list::{Listing, read};
use super::list_view::rows;
use super::recovered::notice;
use super::reply;
use crate::access::Owner;
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::problem::Problem;
use crate::model::Timestamp;
use crate::store::{OrderFilter, Sort, SortField};

/// Rows of each kind that are looked at; what is beyond is said and linked.
const ROWS: usize = 50;

pub async fn page(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let outcome = needs(&site, Visit::of(&req).owner()).await;
    reply::or_problem(&req, outcome)
}

/// The orders of a state, oldest (or newest) first.
pub async fn of_state(
    site: &Site,
    owner: Option<&Owner>,
    state: &str,
    descending: bool,
    limit: usize,
) -> Result<Listing, Problem> {
    let sort = Sort { field: SortField::CreatedAt, descending };
    let filter = OrderFilter { states: vec![state.to_owned()], sort, limit, ..OrderFilter::default() };
    read(site, &site.engine()?, filter.of(owner)).await
}

async fn needs(site: &Site, owner: Option<&Owner>) -> Result<HttpResponse, Problem> {
    let after = *site.engine()?.last_event().borrow();
    let stuck = of_state(site, owner, "stuck", false, ROWS).await?;
    let reviews = of_state(site, owner, "in_review", false, ROWS).await?;
    let refunds = of_state(site, owner, "compensating", false, ROWS).await?;
    let failed = of_state(site, owner, "failed", true, 10).await?;
    let now = reviews.now;
    let count = |listing: &Listing, state: &str| listing.counts.get(state).copied().unwrap_or_default();
    let people: Vec<Doc> = reviews.orders.iter().filter(|doc| doc.waits_for_person()).cloned().collect();
    let calm = people.is_empty() && stuck.orders.is_empty() && refunds.orders.is_empty();
    let main = html! {
        (notice(&site.engine()?))
        div.head { h1 { "Needs me now" } }
        @if calm { p.empty { "Nothing waits for a person." } }
        (part("Reviews that wait for you", "/?state=in_review&sort=created_at",
            "They wait for a person; their clocks stand still meanwhile.", &people, more(&reviews), now))
        (part("Stuck", "/?state=stuck", "Working on them crashed again and again. Retry them, or cancel them.",
            &stuck.orders, more(&stuck), now))
        (part("Refund pending", "/?state=compensating",
            "On their way back. They go on by themselves; look at those that take long.", &refunds.orders,
            more(&refunds), now))
        (part("Failed, may be retried", "/?state=failed", "The newest. A retry goes on from the step that failed.",
            &failed.orders, count(&failed, "failed") > 10, now))
    };
    let stream = Some(format!("/console/live?after={after}"));
    let shell = Shell { title: "Needs me now", section: "/console/needs", stream, after, every_s: 0 };
    Ok(reply::page(StatusCode::OK, shell.render(&main)))
}

fn more(listing: &Listing) -> bool {
    listing.next.is_some()
}

fn part(title: &str, all: &str, what: &str, orders: &[Doc], more: bool, now: Timestamp) -> Markup {
    html! {
        @if !orders.is_empty() {
            section.part {
                h2 { (title) " " span.n { (orders.len()) @if more { "+" } } }
                p.what { (what) " " @if more { a href=(all) { "All of them" } } }
                form method="post" action="/console/batch" { (rows(None, orders, now)) (super::list_view::batch_bar()) }
            }
        }
    }
}
