//! How one order's page looks.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::actions::{Act, allowed};
use super::doc::{Doc, line};
use super::history::history;
use super::list_view::{grouped, paid, pill, rail};
use super::order::{Moment, Notice, Sheet, View};
use super::span::{instant, since, until};
use super::timeline::timeline;
use super::who::who;
use super::words;
use crate::model::{Address, Timestamp};

pub fn sheet(sheet: &Sheet, view: &View) -> Markup {
    let (doc, now) = (&sheet.doc, sheet.now);
    let wait = words::wait(doc, now);
    html! {
        @match &view.notice {
            Some(Notice::Done(text)) => p.notice role="status" { (text) },
            Some(Notice::Refused(why)) => p.notice.bad role="alert" { "Refused: " (why) "." },
            None => {}
        }
        div.order-head {
            p.crumbs { a href="/" { "Orders" } " / " }
            h1 { (doc.order_id) }
            p.status { (rail(doc)) " " (pill(doc)) span class=(format!("wait mood-{}", wait.mood.as_str())) {
                span { (wait.text) } } }
            p.lead { (words::headline(doc, now)) }
        }
        (buttons(doc))
        @if let Some(last) = sheet.life.facts.last().filter(|last| last.seq < doc.seq) {
            p.what.note { "Below are the first " (grouped(last.seq as i64)) " facts of " (grouped(doc.seq as i64)) "; all of them are "
                a href=(format!("/orders/{}/history", doc.order_id)) { "here as JSON" } "." }
        }
        (timeline(doc, &sheet.life, &sheet.shipments, now))
        div.cards { (money(doc)) (parcel(sheet)) (address(doc)) (actor(sheet)) }
        (errors(doc, now))
        (who(&sheet.audit))
        (history(&doc.order_id, &sheet.life, &sheet.shipments, view.from))
        (moment(doc, &sheet.moment, view))
    }
}

fn buttons(doc: &Doc) -> Markup {
    let acts = allowed(doc);
    html! {
        @if !acts.is_empty() {
            section.acts aria-label="What you can do" { @for act in &acts { (act_form(doc, act)) } }
        }
    }
}

fn act_form(doc: &Doc, act: &Act) -> Markup {
    html! {
        form.act method="post" action=(format!("/console/orders/{}/{}", doc.order_id, act.name)) {
            input #(format!("reason-{}", act.name)) name="reason" maxlength="1000" placeholder="Reason (optional)"
                aria-label=(format!("{}: reason", act.label)) autocomplete="off";
            button.danger[act.danger].primary[act.name == "approve"] aria-describedby=(format!("will-{}", act.name)) {
                (act.label)
            }
            span.will id=(format!("will-{}", act.name)) { (act.will) }
        }
    }
}

fn money(doc: &Doc) -> Markup {
    html! {
        section.card {
            h2 { "Money" }
            p.big { (doc.payment.amount) " " small { (doc.payment.currency) } " " (paid(&doc.payment.status)) }
            dl {
                div { dt { "Payment" } dd { code { (doc.payment.payment_id) } } }
                @for name in ["charge_payment", "refund_payment"] {
                    @if let Some(n) = doc.attempts.get(name) { div { dt { (words::who(name)) } dd { (attempts(*n)) } } }
                }
            }
            @if !doc.items.is_empty() {
                ul.items { @for item in &doc.items { li {
                    span { (item.quantity) " × " (item.sku) }
                    @if let Some(price) = &item.unit_price { span.num { (price) } }
                } } }
            }
        }
    }
}

fn attempts(n: u32) -> String {
    if n == 1 { "1 attempt".to_owned() } else { format!("{n} attempts") }
}

fn parcel(sheet: &Sheet) -> Markup {
    let doc = &sheet.doc;
    html! {
        section.card {
            h2 { "Parcel" }
            @match &doc.shipping {
                None => p.big.none { "no shipment yet" },
                Some(shipping) => {
                    p.big { (words::state(&shipping.state)) }
                    dl {
                        div { dt { "Shipment" } dd { a href=(format!("/workflows/{}", shipping.shipment_id)) {
                            code { (shipping.shipment_id) } } } }
                        div { dt { "Carrier's number" } dd { @match &shipping.carrier_ref {
                            Some(number) => code { (number) }, None => span.none { "none yet" } } } }
                        @for name in ["prepare_package", "dispatch_carrier"] {
                            @if let Some(n) = doc.attempts.get(name) { div { dt { (words::who(name)) } dd { (attempts(*n)) } } }
                        }
                        @if sheet.shipments.len() > 1 { div { dt { "Shipments in all" } dd { (sheet.shipments.len()) } } }
                    }
                }
            }
        }
    }
}

/// The lines of an address form: what it has, and what an envelope needs.
const FIELDS: [&str; 4] = ["street", "city", "zip_code", "country"];

fn address(doc: &Doc) -> Markup {
    html! {
        section.card {
            h2 { "Address" }
            @match &doc.address {
                None => p.big.none { "none" },
                Some(Address::Line(line)) => address.big { (line) },
                Some(Address::Fields(fields)) => address { @for (name, value) in envelope(fields) {
                    span.field { small { (words::state(name)) } span { (value) } } } },
            }
            @if doc.is_open() {
                details.change { summary { "Change it" }
                    form method="post" action=(format!("/console/orders/{}/address", doc.order_id)) { (address_fields(doc)) }
                }
            } @else { p.what { "It cannot be changed any more." } }
        }
    }
}

/// The fields in the order in which an envelope has them.
fn envelope(fields: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    Address::FIELDS.iter().filter_map(|name| Some((*name, fields.get(*name)?.as_str())))
}

fn address_fields(doc: &Doc) -> Markup {
    html! {
        @match &doc.address {
            Some(Address::Fields(fields)) => {
                @let more = fields.keys().map(String::as_str).filter(|name| !FIELDS.contains(name));
                @for name in FIELDS.into_iter().chain(more) {
                    label { (words::state(name))
                        input name=(format!("field.{name}")) value=[fields.get(name)] maxlength="512" autocomplete="off"; }
                }
            }
            other => {
                @let now = other.as_ref().map(line);
                label { "In one line" input name="line" required maxlength="512" value=[now] autocomplete="off"; }
            }
        }
        button { "Change the address" }
    }
}

fn actor(sheet: &Sheet) -> Markup {
    let doc = &sheet.doc;
    let live = &doc.live;
    html! {
        section.card {
            h2 { "Actor and record" }
            p.big { (live.actor) }
            dl {
                div { dt { "Mailbox" } dd.num { (live.mailbox) } }
                div { dt { "Rebuilt after a panic" } dd.num { (live.restarts) } }
                div { dt { "Last fact" } dd.num { (doc.seq) } }
                div { dt { "Run" } dd { code { (doc.run_id) } } }
                div { dt { "Began" } dd { (instant(doc.created_at)) " UTC" } }
                @if let Some(at) = doc.ended_at { div { dt { "Ended" } dd { (instant(at)) " UTC" } } }
                @if let Some(at) = doc.deadline_at.filter(|_| !doc.terminal) {
                    div { dt { "Deadline" } dd { "in " (until(at, sheet.now)) } } }
                @if let Some(why) = &doc.stuck_reason { div { dt { "Stuck" } dd { (why) } } }
                @for (name, value) in &doc.metadata { div { dt { (name) } dd { @match value.as_str() {
                    Some(text) => (text), None => code { (value) } } } } }
            }
        }
    }
}

fn errors(doc: &Doc, now: Timestamp) -> Markup {
    html! {
        @if !doc.recent_errors.is_empty() {
            section.part {
                h2 { "What went wrong, newest first" }
                ul.errors { @for error in doc.recent_errors.iter().rev() { li {
                    b { (words::failure(error)) } " attempt " (error.attempt) ", " (since(error.at, now)) " ago"
                    span.msg { (error.message) }
                } } }
            }
        }
    }
}

fn moment(doc: &Doc, moment: &Moment, view: &View) -> Markup {
    let path = format!("/console/orders/{}", doc.order_id);
    let raw = serde_json::to_string_pretty(&moment.state).unwrap_or_default();
    html! {
        section.part #moment {
            h2 { "As it was after any fact" }
            form.slider method="get" action=(format!("{path}#moment")) {
                label for="at" { "Fact" }
                input #at type="range" name="at" min="1" max=(doc.seq) value=(moment.seq) data-latest[view.at.is_none()];
                output for="at" { (moment.seq) " of " (doc.seq) }
                button { "Show" }
            }
            div #moment-body {
                @if moment.changes.is_empty() { p.what { "Nothing in the record differs from the fact before." } }
                @else {
                    table.changes {
                        caption { "What fact " (moment.seq) " changed" }
                        thead { tr { th scope="col" { "Field" } th scope="col" { "Before" } th scope="col" { "After" } } }
                        tbody { @for change in &moment.changes { tr {
                            th scope="row" { code { (change.path) } }
                            td { @if let Some(text) = &change.before { del { (text) } } @else { span.none { "–" } } }
                            td { @if let Some(text) = &change.after { ins { (text) } } @else { span.none { "–" } } }
                        } } }
                    }
                }
                details { summary { "The whole record after fact " (moment.seq) } pre tabindex="0" { (raw) } }
            }
        }
    }
}
