//! Looking at the ledger, and telling the sandbox how to misbehave.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use clap::ValueEnum as _;
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::faults::{FaultKind, FaultMode};
use super::fields::{self, Fields};
use super::ledger::{Ledger, Totals};
use super::record::{Kind, Record};
use super::world::World;
use crate::http::json::parse;
use crate::http::problem::Problem;
use crate::http::query::Query;

type Outcome = Result<HttpResponse, Problem>;

/// Records that are looked through under one lock.
const CHUNK: usize = 2_000;
const TIMES_MAX: u64 = 1_000_000;

/// The lists of a ledger, in the order they are written.
const LISTS: [(Kind, &str); 4] =
    [(Kind::Charge, "charges"), (Kind::Refund, "refunds"), (Kind::Prepare, "packages"), (Kind::Dispatch, "dispatches")];

/// `GET /ledger`, `?order_id=`.
pub async fn ledger(req: HttpRequest, world: Data<World>) -> Outcome {
    let order = order_id(&req)?;
    if let Some(order) = order {
        let ledger = world.ledger();
        let mut body = json!({ "totals": ledger.totals(Some(&order)) });
        for (kind, name) in LISTS {
            body[name] = ledger.of_order(&order, kind).map(|(record, double)| record.view(double)).collect();
        }
        return Ok(HttpResponse::Ok().json(body));
    }
    let (end, totals) = {
        let ledger = world.ledger();
        (ledger.len(), ledger.totals(None))
    };
    let whole = Whole { world, end, totals, list: 0, place: 0, empty: true };
    Ok(HttpResponse::Ok().content_type("application/json").streaming(whole.stream()))
}

/// `GET /ledger/totals`, `?order_id=`.
pub async fn totals(req: HttpRequest, world: Data<World>) -> Outcome {
    let order = order_id(&req)?;
    let totals = world.ledger().totals(order.as_deref());
    Ok(HttpResponse::Ok().json(totals))
}

fn order_id(req: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut query = Query::read(req.query_string());
    let order = query.take("order_id");
    Ok(query.finish().or(order)?)
}

/// The whole ledger, as it was when it was asked for, written piece by piece: it may be large.
struct Whole {
    world: Data<World>,
    end: usize,
    totals: Totals,
    list: usize,
    place: usize,
    empty: bool,
}

impl Whole {
    fn stream(self) -> impl Stream<Item = Result<Bytes, serde_json::Error>> {
        stream::unfold(Some(self), async |whole| {
            let mut whole = whole?;
            match whole.piece() {
                Ok((piece, true)) => Some((Ok(piece), Some(whole))),
                Ok((piece, false)) => Some((Ok(piece), None)),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// The next piece, and whether there are more.
    fn piece(&mut self) -> Result<(Bytes, bool), serde_json::Error> {
        let mut out = Vec::new();
        let Some((kind, name)) = LISTS.get(self.list) else {
            out.extend_from_slice(b",\"totals\":");
            serde_json::to_writer(&mut out, &self.totals)?;
            out.push(b'}');
            return Ok((out.into(), false));
        };
        if self.place == 0 {
            let open = if self.list == 0 { '{' } else { ',' };
            out.extend_from_slice(format!("{open}\"{name}\":[").as_bytes());
            self.empty = true;
        }
        let until = self.end.min(self.place + CHUNK);
        for (record, double) in views(&self.world.ledger(), self.place..until, *kind) {
            if !std::mem::replace(&mut self.empty, false) {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, &record.view(double))?;
        }
        self.place = until;
        if until == self.end {
            out.push(b']');
            (self.list, self.place) = (self.list + 1, 0);
        }
        Ok((out.into(), true))
    }
}

/// Records to be written when the lock is given back.
fn views(ledger: &Ledger, places: std::ops::Range<usize>, kind: Kind) -> Vec<(Arc<Record>, bool)> {
    ledger.range(places, kind).map(|(record, double)| (Arc::clone(record), double)).collect()
}

/// `GET /faults`.
pub async fn faults(req: HttpRequest, world: Data<World>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    Ok(HttpResponse::Ok().json(&*world.faults()))
}

/// `PUT /faults {"mode", "seed"}`.
pub async fn set_faults(req: HttpRequest, world: Data<World>, payload: Payload) -> Outcome {
    let bytes = fields::bytes(&req, payload).await?;
    let json = parse(&bytes)?;
    let mut fields = Fields::of(&json);
    let mode = fields.word("mode", |text| FaultMode::from_str(text, false).ok(), "off, light, rough");
    let seed = fields.number("seed", 0..=u64::MAX);
    fields.finish().or(())?;
    let mut faults = world.faults();
    faults.set(mode.unwrap_or_default(), seed);
    tracing::info!(?mode, ?seed, "faults are set");
    Ok(HttpResponse::Ok().json(&*faults))
}

/// `POST /faults/next {"activity", "kind", "times"}`.
pub async fn next_faults(req: HttpRequest, world: Data<World>, payload: Payload) -> Outcome {
    let bytes = fields::bytes(&req, payload).await?;
    let json = parse(&bytes)?;
    let mut fields = Fields::of(&json);
    let activities = Kind::ALL.map(Kind::as_str).join(", ");
    let kinds = FaultKind::ALL.map(FaultKind::as_str).join(", ");
    let activity = |text: &str| Kind::ALL.into_iter().find(|known| known.as_str() == text);
    let kind = |text: &str| FaultKind::ALL.into_iter().find(|known| known.as_str() == text);
    let activity = fields.word("activity", activity, &activities);
    let kind = fields.word("kind", kind, &kinds);
    let times = fields.number("times", 1..=TIMES_MAX).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    fields.finish().or(())?;
    let mut faults = world.faults();
    if let (Some(activity), Some(kind)) = (activity, kind)
        && !faults.order(activity, kind, times)
    {
        let detail = "too many different faults wait for this activity; PUT /faults forgets them";
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_faults", detail));
    }
    Ok(HttpResponse::Ok().json(&*faults))
}

/// `GET /healthz`.
pub async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// `GET /`: what is here.
pub async fn root() -> HttpResponse {
    let routes: Value = super::server::ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect();
    HttpResponse::Ok().json(json!({"name": "ordain sandbox", "version": env!("CARGO_PKG_VERSION"), "routes": routes}))
}
