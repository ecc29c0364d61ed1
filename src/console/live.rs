//! The console's own small stream: it only says that something changed, a few times a second at most; the page then
//! asks for itself again. So a busy server does not flood a browser with every event.

use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{StreamExt, unfold};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use super::recovered::{is_news, sentence};
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::events::{HEARTBEAT, last_event_id, opening, stream_head};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::site::by;

/// The shortest time between two ticks.
const PACE: Duration = Duration::from_millis(300);

struct Ticks {
    told: u64,
    news: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

impl Ticks {
    async fn next(&mut self) -> Option<Bytes> {
        let newest = *self.news.borrow_and_update();
        if newest > self.told {
            self.told = newest;
            return Some(Bytes::from(format!("id: {newest}\ndata: {newest}\n\n")));
        }
        match timeout(HEARTBEAT, self.news.changed()).await {
            Ok(Ok(())) => {
                // What comes in quick succession is told in one.
                let newest = *self.news.borrow_and_update();
                self.told = newest;
                Some(Bytes::from(format!("id: {newest}\ndata: {newest}\n\n")))
            }
            Ok(Err(_journal_closed)) => None,
            Err(_elapsed) => Some(Bytes::from_static(b":\n\n")),
        }
    }
}

/// Ticks: the id of the newest event, whenever there is a newer one.
pub async fn ticks(req: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    let mut query = Query::read(req.query_string());
    let after = query.take_as("after", "must be a whole number from 0", |text| text.parse::<u64>().ok());
    let seen = last_event_id(&req, &mut query);
    query.finish().or(())?;
    let news = site.engine()?.last_event();
    let ticks = Ticks { told: seen.or(after).unwrap_or(0), news, _place: site.stream_place()? };
    if req.method() == Method::HEAD {
        return Ok(stream_head().finish());
    }
    let ticks = unfold((ticks, false), |(mut ticks, paced)| async move {
        if paced {
            sleep(PACE).await;
        }
        Some((Ok(ticks.next().await?), (ticks, true)))
    });
    Ok(stream_head().streaming(opening().chain(ticks)))
}

/// Which life of the server this is, and what it found when it began: for the page that comes back after a crash.
pub async fn boot(req: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    let boot = by(site.deadline(), async { Ok(site.console.boot().await) }).await?;
    let engine = site.engine()?;
    let recovery = engine.recovery();
    // How much there is of others' is not an owner's to know.
    let all = Visit::of(&req).owner().is_none();
    let told = if all {
        sentence(&recovery)
    } else {
        "The server was restarted. Of your orders nothing is missing.".to_owned()
    };
    let body = json!({
        "boot": boot.id, "since": boot.since, "recovered": all.then_some(boot.open), "event": boot.event,
        "after_crash": recovery.after_crash, "news": all && is_news(&recovery, engine.now()), "told": told,
    });
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.content_type("application/json").body(body.to_string()))
}
