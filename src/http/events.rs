//! `GET /events`: every event as it becomes durable, as server-sent events, from any point on.
//!
//! A stream is woken by the journal's own word of a commit, reads a page behind the last event it has sent, and reads
//! on only when that page has left for the client: a slow client costs one page, an idle database is not asked. It
//! ends with the journal, when the server shuts down; the client comes back with `Last-Event-ID`.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream::{StreamExt, once, unfold};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use super::Site;
use super::access::Visit;
use super::orders::Outcome;
use super::query::Query;
use super::schema::StreamedEvent;
use super::workflows::parse_id;
use crate::model::redacted;
use crate::runtime::Engine;
use crate::store::{EventsOf, StoreError, StoredEvent};

/// Transitions in one read.
const PAGE: usize = 256;
/// After so long without an event a comment is sent, so that both sides know that the other is there.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two reads while commits come by the hundred a second: one read then sees many of them.
const PACE: Duration = Duration::from_millis(25);
/// After a read that found nothing that is wanted: others are busy, this one is not.
const IDLE_PACE: Duration = Duration::from_millis(100);
/// After a read that failed. The client is told nothing: it has missed nothing.
const AGAIN: Duration = Duration::from_millis(500);
/// So many failed reads in a row end a stream.
const FAILURES_MAX: u32 = 20;

/// All events, as they happen
///
/// Server-sent events, each with the `id` of the event: in the order of the commits, without a gap, none twice. A
/// client that comes back with `Last-Event-ID` (browsers do so by themselves) goes on behind that event, also after
/// the server was killed. A comment every 15 s keeps the connection open.
#[utoipa::path(
    get, path = "/events", tag = "system",
    params(
        ("after" = Option<String>, Query, description = "Only events with a greater id; 0, the beginning, by default. `latest`: only what happens from now on", example = "0"),
        ("order_id" = Option<String>, Query, description = "Only the events of this order, or of a child such as `o-1/shipping/1`", example = "o-1"),
        ("children" = Option<bool>, Query, description = "With `order_id`: the events of its shipments, too"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event the client has seen; takes precedence over `after`"),
    ),
    responses(
        (status = 200, description = "A stream; the data of each message is one event", body = StreamedEvent, content_type = "text/event-stream"),
        (status = 422, description = "An invalid parameter"),
        (status = 503, description = "`too_many_streams`, or shutting down; see Retry-After"),
    )
)]
pub async fn events(req: HttpRequest, site: Data<Site>) -> Outcome {
    let mut query = Query::read(req.query_string());
    let after = query.take_as("after", "must be a whole number from 0, or `latest`", |text| match text {
        "latest" => Some(None),
        number => event_id(number).map(Some),
    });
    let whose = query.take_as("order_id", "must be the id of an order, or of a child such as o-1/shipping/1", parse_id);
    let children = query.take_as("children", "must be true or false", |text| text.parse::<bool>().ok());
    let seen = last_event_id(&req, &mut query);
    query.finish().or(())?;
    let engine = site.engine()?;
    let news = engine.last_event();
    let after = match (seen, after) {
        (Some(id), _) | (None, Some(Some(id))) => id,
        (None, Some(None)) => *news.borrow(),
        (None, None) => 0,
    };
    let visit = Visit::of(&req);
    if let Some(id) = &whose {
        visit.check(&site, id, site.deadline()).await?;
    }
    let of = match whose {
        None => visit.owner().cloned().map_or(EventsOf::All, EventsOf::Owner),
        Some(id) if children == Some(true) => EventsOf::Family(id),
        Some(id) => EventsOf::Instance(id),
    };
    let place = site.stream_place()?;
    if req.method() == Method::HEAD {
        return Ok(stream_head().finish());
    }
    let feed =
        Feed { engine: engine.clone(), of, sent: after, known: after, news, at_end: false, failures: 0, _place: place };
    let pages = unfold(feed, |mut feed| async move { Some((Ok(feed.next().await?), feed)) });
    Ok(stream_head().streaming(opening().chain(pages)))
}

/// The head of the answer to a request for a stream.
pub fn stream_head() -> HttpResponseBuilder {
    let mut head = HttpResponse::Ok();
    head.content_type("text/event-stream").insert_header((header::CACHE_CONTROL, "no-store"));
    head
}

/// The first words: they show that the stream is open before there is any event.
pub fn opening() -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    once(std::future::ready(Ok(Bytes::from_static(b"retry: 1000\n\n"))))
}

/// The last event a returning client has seen, by its header.
pub fn last_event_id(req: &HttpRequest, query: &mut Query) -> Option<u64> {
    let text = req.headers().get("last-event-id")?.to_str().unwrap_or("?").trim();
    if text.is_empty() {
        return None;
    }
    let id = event_id(text);
    if id.is_none() {
        query.fault("Last-Event-ID", "must be a whole number from 0");
    }
    id
}

fn event_id(text: &str) -> Option<u64> {
    text.parse().ok().filter(|id| i64::try_from(*id).is_ok())
}

/// Where one stream stands.
struct Feed {
    engine: Engine,
    of: EventsOf,
    /// The last event that was handed out.
    sent: u64,
    /// All events up to here are handed out, or are not wanted.
    known: u64,
    news: watch::Receiver<u64>,
    /// The last read found the end: the next waits a little, to find more than one commit.
    at_end: bool,
    failures: u32,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// The next words for the client, as soon as there are some; `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.at_end) {
            sleep(PACE).await;
        }
        loop {
            let newest = *self.news.borrow_and_update();
            if newest <= self.known {
                match timeout(HEARTBEAT, self.news.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_journal_closed)) => return None,
                    Err(_elapsed) => return Some(Bytes::from_static(b":\n\n")),
                }
            }
            let (of, after) = (self.of.clone(), self.known.max(self.sent));
            // Written out on the reader's thread: an arbiter has more to do.
            let read = self.engine.read(move |queries| write(&queries.events(&of, after, PAGE)?));
            match read.await {
                Ok(page) => {
                    self.failures = 0;
                    self.at_end = !page.is_full;
                    if self.at_end {
                        self.known = newest;
                    }
                    if let Some(last) = page.last {
                        (self.sent, self.known) = (last, self.known.max(last));
                        return Some(Bytes::from(page.text));
                    }
                    sleep(IDLE_PACE).await;
                }
                Err(error) => {
                    self.failures += 1;
                    tracing::warn!(%error, "events could not be read for a stream");
                    if self.failures == FAILURES_MAX {
                        return None;
                    }
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Events as messages.
struct Written {
    text: Vec<u8>,
    /// The id of the last.
    last: Option<u64>,
    /// There may be more behind it.
    is_full: bool,
}

fn write(events: &[StoredEvent]) -> Result<Written, StoreError> {
    let mut text = Vec::with_capacity(events.len() * 256);
    for event in events {
        text.extend_from_slice(format!("id: {}\ndata: ", event.id).as_bytes());
        let json = serde_json::to_string(event).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        text.extend_from_slice(redacted(&json).as_bytes());
        text.extend_from_slice(b"\n\n");
    }
    Ok(Written { text, last: events.last().map(|event| event.id), is_full: events.len() >= PAGE })
}
