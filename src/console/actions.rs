//! What may be done to an order, what it would do, and the forms that do it. The engine has the last word.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::doc::Doc;
use super::{form, order, reply};
use crate::http::Site;
use crate::http::access::{Audited, Visit};
use crate::http::body;
use crate::http::orders::order_id;
use crate::http::orders::signals::{address_payload, cancel_payload};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::routes::not_found_problem;
use crate::http::site::by;
use crate::model::OrderId;
use crate::runtime::{Action, Command};
use crate::workflows::order::{KIND, signal};

/// Something a person may do to an order now.
pub struct Act {
    pub name: &'static str,
    pub label: &'static str,
    /// What it will bring about, as a sentence.
    pub will: String,
    pub danger: bool,
}

/// The buttons of an order.
pub fn allowed(doc: &Doc) -> Vec<Act> {
    ["approve", "cancel", "retry", "resume", "pause"].into_iter().filter_map(|name| act_of(doc, name).ok()).collect()
}

/// What an action would do to an order, or why it cannot be done.
pub fn act_of(doc: &Doc, name: &str) -> Result<Act, String> {
    let money = doc.money();
    let fine = |name, label, will| Ok(Act { name, label, will, danger: false });
    let is = format!("it is {}", super::words::state(&doc.state));
    match name {
        "approve" if doc.review.approved_at.is_some() => Err("it is approved already".to_owned()),
        "approve" => match doc.state.as_str() {
            "in_review" => fine("approve", "Approve", format!("charges {money}, then ships")),
            "received" | "validated" => {
                fine("approve", "Approve", format!("is kept until the review opens, then charges {money} and ships"))
            }
            _ => Err(is),
        },
        "cancel" if !doc.is_open() => {
            let going = !doc.terminal && doc.state != "compensating";
            Err(if going { "the parcel is being dispatched".to_owned() } else { is })
        }
        "cancel" => {
            let will = match doc.payment.status.as_str() {
                "charged" => format!("refunds {money}"),
                "unknown" => format!("finds out whether {money} was taken, and refunds it"),
                _ if doc.state == "charging" => format!("refunds {money}, if the charge under way takes it"),
                _ => "nothing is charged, nothing to refund".to_owned(),
            };
            Ok(Act { name: "cancel", label: "Cancel order", will, danger: true })
        }
        "retry" => match doc.state.as_str() {
            "failed" if doc.payment.status == "refunded" => {
                fine("retry", "Retry", format!("goes on from the step that failed and charges {money} anew"))
            }
            "failed" => fine("retry", "Retry", "goes on from the step that failed".to_owned()),
            "stuck" => fine("retry", "Retry", "goes on where it was parked; the deadline starts anew".to_owned()),
            _ => Err(is),
        },
        "pause" if doc.terminal => Err(is),
        "pause" if doc.paused => Err("it is paused already".to_owned()),
        "pause" => fine("pause", "Pause", "starts nothing new, stops its clocks; signals are kept".to_owned()),
        "resume" if doc.paused => fine("resume", "Resume", "goes on where it was, its clocks too".to_owned()),
        "resume" => Err("it is not paused".to_owned()),
        _ => Err("there is no such action".to_owned()),
    }
}

/// The command behind a button. What the form carries is read by the API's own readers.
pub fn command(
    id: &OrderId,
    name: &str,
    form: &mut Query,
    visit: &Visit,
    status: StatusCode,
) -> Result<Command, Problem> {
    let reason = form.take("reason").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    visit.because(reason.as_deref());
    let known = ["approve", "cancel", "address", "retry", "pause", "resume"].into_iter().find(|known| *known == name);
    visit.acts(known.ok_or_else(not_found_problem)?);
    let signal = |name: &'static str, payload| Action::Signal { name: name.into(), payload };
    let action = match name {
        "approve" => signal(signal::APPROVE, json!({})),
        "cancel" => {
            let text = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason})).to_string();
            signal(signal::CANCEL, cancel_payload(body::json(&Bytes::from(text))?.as_ref())?)
        }
        "address" => {
            let line = form.take("line").filter(|line| !line.trim().is_empty());
            let fields = form.take_prefixed("field.").into_iter().filter(|(_, value)| !value.trim().is_empty());
            let fields: Map<String, Value> = fields.map(|(name, value)| (name, Value::String(value))).collect();
            let address = line.map_or(Value::Object(fields), Value::String);
            let text = json!({ "address": address }).to_string();
            signal(signal::UPDATE_ADDRESS, address_payload(body::json(&Bytes::from(text))?.as_ref())?)
        }
        "retry" => Action::Retry,
        "pause" => Action::Pause,
        "resume" => Action::Resume,
        _ => return Err(not_found_problem()),
    };
    let by = visit.caller_for(&id.workflow(), status.as_u16());
    Ok(Command { id: id.workflow(), group: KIND, action, idempotency: None, by })
}

/// A button of an order's page was pressed.
pub async fn act(req: HttpRequest, site: Data<Site>, payload: Payload) -> HttpResponse {
    let outcome = do_it(&req, &site, payload).await;
    reply::or_problem(&req, outcome)
}

async fn do_it(req: &HttpRequest, site: &Site, payload: Payload) -> Result<HttpResponse, Problem> {
    let deadline = site.deadline();
    let id = order_id(req)?;
    let name = req.match_info().get("action").unwrap_or_default();
    let mut form = form::read(req, payload, site.options.body_limit_bytes, deadline).await?;
    let visit = Visit::of(req);
    let command = command(&id, name, &mut form, &visit, StatusCode::SEE_OTHER);
    form.finish().or(())?;
    let done = match command {
        Ok(command) => by(deadline, site.engine()?.submit(command)).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(done) => {
            let mut answer = reply::see_other(&format!("/console/orders/{id}?did={name}"));
            if done.audited {
                answer.extensions_mut().insert(Audited);
            }
            Ok(answer)
        }
        // The page says what was refused, and shows what is.
        Err(problem) if matches!(problem.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY) => {
            let view = order::View {
                notice: Some(order::Notice::Refused(problem.detail.to_string())),
                ..order::View::default()
            };
            order::show(site, &visit, &id, view, problem.status).await
        }
        Err(problem) => Err(problem),
    }
}
