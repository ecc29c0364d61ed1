//! Payment gateway and carrier: a request, its key, the fault that befalls it, the effect, the answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::faults::{Fault, FaultKind};
use super::fields::{self, Fields};
use super::ledger::{KEYS_MAX, Stopped};
use super::record::{Intent, Kind, Outcome, Payment, Record, Refusal};
use super::world::World;
use crate::http::fingerprint::idempotency_key;
use crate::http::json::{Json, parse};
use crate::http::problem::Problem;
use crate::model::{Currency, parse_amount};

/// How long a hang lasts before the connection is closed.
const HANG: Duration = Duration::from_secs(30);
/// No carrier goes where the address says this.
const NOWHERE: &str = "Nowhere";
/// How much of an address the ledger keeps.
const ADDRESS_CHARS_MAX: usize = 200;

/// `POST /charge_payment` and its three siblings.
pub async fn serve(
    kind: Kind,
    req: HttpRequest,
    world: Data<World>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let bytes = fields::bytes(&req, payload).await?;
    let intent = read(kind, &req, &bytes)?;
    let begun = world.ledger().begin(&intent).map_err(stopped)?;
    let held = begun.decided.is_none().then(|| Held { world: world.clone(), key: Arc::clone(&intent.key) });
    let fault = world.faults().draw(kind, &intent.key, begun.attempt);
    if let Some(fault) = &fault {
        world.ledger().fault(&intent.order_id);
        tracing::debug!(order_id = %intent.order_id, key = %intent.key, attempt = begun.attempt, ?fault, "a fault");
    }
    match fault {
        Some(Fault { kind: FaultKind::RateLimited, .. }) => return Err(rate_limited()),
        Some(Fault { kind: FaultKind::ErrorBefore, .. }) => return Err(failed("nothing was done")),
        Some(Fault { kind: FaultKind::Hang, done: false, .. }) => {
            drop(held);
            return Ok(hang().await);
        }
        _ => {}
    }
    let delay = fault.filter(|f| f.kind == FaultKind::Slow).map(|f| f.delay);
    let replayed = begun.decided.is_some();
    // A task of its own: what was begun is done even if the client leaves meanwhile.
    let done = actix_rt::spawn(async move {
        if let Some(delay) = delay {
            actix_rt::time::sleep(delay).await;
        }
        match begun.decided {
            Some(record) => Ok(record),
            None => commit(&world, intent, held).await,
        }
    });
    let record = done.await.map_err(|_| Problem::internal())??;
    match fault.map(|f| f.kind) {
        Some(FaultKind::ErrorAfter) => Err(failed("it was done all the same")),
        Some(FaultKind::LostReply) => Ok(closed()),
        Some(FaultKind::Hang) => Ok(hang().await),
        Some(FaultKind::Garbage) => Ok(HttpResponse::Ok().content_type("text/html").body("<html><body>502 Bad Gat")),
        _ => answer(&record, replayed),
    }
}

/// Gives a key back that nothing was decided under.
struct Held {
    world: Data<World>,
    key: Arc<str>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.world.ledger().release(&self.key);
    }
}

/// File first, then memory: what the ledger shows survives a restart of the sandbox.
async fn commit(world: &World, intent: Intent, _held: Option<Held>) -> Result<Arc<Record>, Problem> {
    let record = Arc::new(world.ledger().decide(intent));
    if let Some(writer) = &world.writer {
        let written = writer.append(&record).await;
        written.map_err(|_| Problem::unavailable("ledger_unavailable", "the ledger's file cannot be written"))?;
    }
    world.ledger().apply(Arc::clone(&record));
    Ok(record)
}

fn answer(record: &Record, replayed: bool) -> Result<HttpResponse, Problem> {
    match &record.outcome {
        Outcome::Done(_) => {
            let mut response = HttpResponse::Ok();
            if replayed {
                response.insert_header(("Idempotent-Replayed", "true"));
            }
            Ok(response.json(record.view(false)))
        }
        Outcome::Refused(Refusal::CardDeclined) => {
            Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "card_declined", "card declined"))
        }
        Outcome::Refused(Refusal::AddressRefused) => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "address_refused", "no carrier goes to this address"))
        }
    }
}

fn stopped(why: Stopped) -> Problem {
    match why {
        Stopped::KeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "the Idempotency-Key was used for another request",
        ),
        Stopped::UnderWay => Problem::new(
            StatusCode::CONFLICT,
            "request_under_way",
            "the first request with this Idempotency-Key is being done; ask again",
        ),
        Stopped::Full => Problem::unavailable("ledger_full", format!("the ledger has room for {KEYS_MAX} keys")),
    }
}

fn failed(what: &'static str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", format!("an error on purpose; {what}"))
}

fn rate_limited() -> Problem {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests, on purpose");
    Problem { retry_after_s: Some(1), ..problem }
}

/// The connection is closed without a byte of an answer: a body that fails before its head was sent.
fn closed() -> HttpResponse {
    let lost = stream::once(async { Err::<Bytes, _>(io::Error::other("the reply is lost on purpose")) });
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).streaming(lost)
}

async fn hang() -> HttpResponse {
    actix_rt::time::sleep(HANG).await;
    closed()
}

/// What is asked for. Fields that are not known are none of the gateway's business.
fn read(kind: Kind, req: &HttpRequest, bytes: &Bytes) -> Result<Intent, Problem> {
    let json = parse(bytes)?;
    let mut canonical = String::with_capacity(bytes.len());
    json.write_canonical(&mut canonical);
    let key = idempotency_key(req, &[kind.as_str(), &canonical])?.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", "the header Idempotency-Key is missing")
    })?;
    let mut fields = Fields::of(&json);
    let order_id: Arc<str> = fields.needed("order_id").into();
    let payment = kind.is_payment().then(|| payment(&mut fields));
    let shipment_id = if kind.is_payment() { None } else { fields.text("shipment_id").map(Into::into) };
    let address = if kind.is_payment() { None } else { fields.take("address").map(one_line) };
    let nowhere = address.as_ref().is_some_and(|line| line.contains(NOWHERE));
    let address = address.map(|line| line.chars().take(ADDRESS_CHARS_MAX).collect::<String>().into());
    fields.faults.or(())?;
    let (key, request) = (key.key.into(), key.fingerprint.into());
    Ok(Intent { kind, key, request, order_id, payment, shipment_id, address, nowhere })
}

fn payment(fields: &mut Fields<'_, '_>) -> Payment {
    let payment_id = fields.needed("payment_id").into();
    let amount = match fields.take("amount") {
        Some(Json::Number(text)) => *text,
        Some(Json::Text(text)) => text.as_ref(),
        _ => "",
    };
    match parse_amount(amount) {
        Ok(number) if number.is_sign_negative() && !number.is_zero() => fields.fault("amount", "must not be negative"),
        Ok(_) => {}
        Err(why) => fields.fault("amount", why.to_string()),
    }
    let currency = fields.needed("currency");
    if let Err(why) = Currency::parse(currency) {
        fields.fault("currency", why.to_string());
    }
    Payment { payment_id, amount: amount.into(), currency: currency.into() }
}

/// The texts of an address, whatever its form.
fn one_line(address: &Json<'_>) -> String {
    match address {
        Json::Text(text) => text.to_string(),
        Json::Object(entries) => {
            let texts: Vec<String> = entries.iter().map(|(_, value)| one_line(value)).collect();
            texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}
