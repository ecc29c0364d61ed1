//! One action on many orders: first what it would do to each and to all of them, then it is done, order by order.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{StreamExt, iter};
use maud::{Markup, html};
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::actions::{Act, act_of, command};
use super::batch_run::{Batch, Outcome};
use super::doc::Doc;
use super::layout::Shell;
use super::list_view::{paid, pill};
use super::{form, reply};
use crate::http::Site;
use crate::http::access::{Audited, Visit};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::site::by;
use crate::model::{OrderId, parse_amount};
use crate::runtime::Engine;
use crate::store::AuditEntry;

/// Orders in one batch.
const ORDERS_MAX: usize = 500;
/// Orders under way at once.
const ABREAST: usize = 16;

pub async fn batch(req: HttpRequest, site: Data<Site>, payload: Payload) -> HttpResponse {
    let outcome = run(&req, site, payload).await;
    reply::or_problem(&req, outcome)
}

async fn run(req: &HttpRequest, site: Data<Site>, payload: Payload) -> Result<HttpResponse, Problem> {
    let deadline = site.deadline();
    let mut form = form::read(req, payload, site.options.body_limit_bytes, deadline).await?;
    let action = form.take("action").unwrap_or_default();
    let mut ids = Vec::new();
    while let Some(text) = form.take("id") {
        match OrderId::parse(&text) {
            Ok(id) if ids.len() < ORDERS_MAX => ids.push(id),
            Ok(_) => form.fault("id", format!("is given more than {ORDERS_MAX} times")),
            Err(why) => form.fault("id", why.to_string()),
        }
    }
    let reason = form.take("reason").unwrap_or_default();
    let sure = form.take("sure").as_deref() == Some("yes");
    if !NAMES.iter().any(|(name, _)| *name == action) {
        form.fault("action", "is not one that can be done to many orders");
    }
    form.finish().or(())?;
    let visit = Visit::of(req);
    if sure && !ids.is_empty() {
        let batch = site.console.batches.begin(&action, ids, visit.owner().cloned());
        let mut answer = reply::see_other(&format!("/console/batch/{}", batch.id));
        // It goes on whether or not anybody waits for it, and takes longer than a request may.
        actix_web::rt::spawn(async move { work_off(&site, &visit, &batch, &reason).await });
        // Each order has its own entry.
        answer.extensions_mut().insert(Audited);
        return Ok(answer);
    }
    let main = {
        let site = &site;
        let engine = &site.engine()?;
        let docs = iter(ids).map(|id| {
            let visit = &visit;
            async move {
                let doc = look(site, engine, visit, &id, deadline).await;
                (id, doc)
            }
        });
        let docs = by_now(deadline, docs.buffered(ABREAST).collect::<Vec<_>>()).await?;
        let judged = docs.into_iter().map(|(id, doc)| match doc {
            Ok(doc) => (id, act_of(&doc, &action), Some(doc)),
            Err(problem) => (id, Err(problem.detail.to_string()), None),
        });
        preview(&action, &judged.collect::<Vec<_>>())
    };
    let shell = Shell { title: "Many orders", section: "/", stream: None, after: 0, every_s: 0 };
    let mut answer = reply::page(StatusCode::OK, shell.render(&main));
    // Each order has its own entry.
    answer.extensions_mut().insert(Audited);
    Ok(answer)
}

async fn look(site: &Site, engine: &Engine, visit: &Visit, id: &OrderId, deadline: Instant) -> Result<Doc, Problem> {
    visit.check(site, &id.workflow(), deadline).await?;
    Ok(Doc::read(&engine.status(&id.workflow(), None).await?)?)
}

async fn by_now<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Problem> {
    by(deadline, async { Ok(work.await) }).await
}

async fn work_off(site: &Site, visit: &Visit, batch: &Batch, reason: &str) {
    let all = iter(batch.orders()).map(|(index, id)| async move {
        batch.note(index, one(site, visit, id, &batch.action, reason).await);
    });
    all.buffer_unordered(ABREAST).collect::<()>().await;
}

async fn one(site: &Site, visit: &Visit, id: OrderId, action: &str, reason: &str) -> Outcome {
    let encoded: String = reason.bytes().map(|b| format!("%{b:02x}")).collect();
    let mut form = Query::read(&format!("reason={encoded}"));
    let engine = match site.engine() {
        Ok(engine) => engine,
        Err(problem) => return Err(problem.detail.to_string()),
    };
    let outcome = match command(&id, action, &mut form, visit, StatusCode::OK) {
        Ok(command) => engine.submit(command).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    if !outcome.as_ref().is_ok_and(|answer| answer.audited) {
        let status = outcome.as_ref().map_or_else(|problem| problem.status.as_u16(), |_| 200);
        engine.note(AuditEntry { order: Some(id.workflow()), ..visit.entry(status) });
    }
    outcome.map(|answer| answer.changed).map_err(|problem| problem.detail.to_string())
}

/// Actions and what they are called.
const NAMES: [(&str, &str); 5] =
    [("approve", "Approve"), ("cancel", "Cancel"), ("retry", "Retry"), ("pause", "Pause"), ("resume", "Resume")];

pub fn named(action: &str) -> &'static str {
    NAMES.iter().find(|(name, _)| *name == action).map_or("", |(_, label)| label)
}

pub fn orders(n: usize) -> String {
    if n == 1 { "1 order".to_owned() } else { format!("{n} orders") }
}

type Judged = (OrderId, Result<Act, String>, Option<Doc>);

/// What it would come to, in a few lines.
fn in_all(action: &str, judged: &[Judged]) -> Vec<String> {
    let able: Vec<&Doc> =
        judged.iter().filter(|(_, act, _)| act.is_ok()).filter_map(|(_, _, doc)| doc.as_ref()).collect();
    let mut lines = Vec::new();
    let what = match action {
        "approve" => "approved",
        "cancel" => "cancelled",
        "retry" => "tried again",
        "pause" => "paused",
        _ => "resumed",
    };
    lines.push(format!("{} will be {what}", orders(able.len())));
    let money = |wanted: &dyn Fn(&Doc) -> bool| {
        let those: Vec<&Doc> = able.iter().copied().filter(|doc| wanted(doc)).collect();
        (those.len(), sum(&those))
    };
    if action == "approve" {
        let (_, sum) = money(&|_| true);
        if !sum.is_empty() {
            lines.push(format!("charges {sum} in all"));
        }
    }
    if action == "cancel" {
        let (n, sum) = money(&|doc| doc.payment.status == "charged");
        if n > 0 {
            lines.push(format!("{n} of them {} {sum}", if n == 1 { "refunds" } else { "refund" }));
        }
        let (n, sum) = money(&|doc| doc.payment.status == "unknown" || doc.state == "charging");
        if n > 0 {
            lines.push(format!("of {n} it is found out first whether {sum} was taken"));
        }
    }
    let mut why: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for (_, act, _) in judged {
        if let Err(reason) = act {
            *why.entry(reason).or_default() += 1;
        }
    }
    let they = |why: &str, n: usize| if n == 1 { why.to_owned() } else { why.replacen("it is ", "they are ", 1) };
    lines.extend(why.into_iter().map(|(why, n)| format!("{n} cannot: {}", they(why, n))));
    lines
}

/// Their amounts, exactly, by currency: `149.70 USD, 5.00 EUR`.
fn sum(docs: &[&Doc]) -> String {
    let mut sums: std::collections::BTreeMap<&str, Decimal> = std::collections::BTreeMap::new();
    for doc in docs {
        let Ok(amount) = parse_amount(&doc.payment.amount) else { continue };
        let sum = sums.entry(&doc.payment.currency).or_default();
        *sum = sum.saturating_add(amount);
    }
    sums.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect::<Vec<_>>().join(", ")
}

fn preview(action: &str, judged: &[Judged]) -> Markup {
    let able: Vec<_> = judged.iter().filter(|(_, act, _)| act.is_ok()).collect();
    html! {
        div.head { h1 { (named(action)) " " (orders(able.len())) "?" } }
        @if !judged.is_empty() { ul.will-do { @for line in in_all(action, judged) { li { (line) } } } }
        @if judged.is_empty() { p.empty { "No order was selected. " a href="/" { "Back to the orders" } } }
        @else {
            form.confirm method="post" action="/console/batch" {
                input type="hidden" name="action" value=(action);
                input type="hidden" name="sure" value="yes";
                @for (id, ..) in &able { input type="hidden" name="id" value=(id); }
                @if action == "cancel" {
                    label for="reason" { "Reason" }
                    input #reason name="reason" maxlength="1000" placeholder="why; it is kept in the history";
                }
                @if !able.is_empty() {
                    button.primary[action != "cancel"].danger[action == "cancel"] {
                        (named(action)) " " (orders(able.len()))
                    }
                }
                a.button href="/" { "Leave them as they are" }
            }
            table.orders.results {
                thead { tr { th scope="col" { "Order" } th scope="col" { "State" } th scope="col" { "Money" }
                    th scope="col" { "What it will do" } } }
                tbody { @for (id, act, doc) in judged { tr {
                    td.id { a href=(format!("/console/orders/{id}")) { (id) } }
                    td { @if let Some(doc) = doc { (pill(doc)) } }
                    td.money { @if let Some(doc) = doc { span.sum { (doc.money()) } " " (paid(&doc.payment.status)) } }
                    td { @match act { Ok(act) => (act.will), Err(why) => span.none { "left out: " (why) } } }
                } } }
            }
        }
    }
}
