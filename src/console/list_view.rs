//! How the list of orders looks.

use maud::{Markup, html};

use super::doc::{Doc, line};
use super::list::{Listing, Place, ROWS};
use super::span::{since, until};
use super::words::{self, Mood};
use crate::http::query::decode;
use crate::model::Timestamp;
use crate::store::SortField;

/// The states in the order of an order's life.
const STATES: [&str; 11] = [
    "received",
    "validated",
    "in_review",
    "charging",
    "shipping",
    "compensating",
    "stuck",
    "completed",
    "cancelled",
    "failed",
    "timed_out",
];

pub fn list(place: &Place, listing: &Listing) -> Markup {
    html! {
        div.head {
            h1 { "Orders" }
            (search(place))
        }
        (chips(place, listing))
        (sort_by(place))
        (sorted(place, listing))
        form method="post" action="/console/batch" #batch {
            @if listing.orders.is_empty() {
                p.empty { "No order fits. " @if !place.without(&[]).is_empty() { a href="/" { "Show all" } } }
            } @else {
                (rows(Some(place), &listing.orders, listing.now))
                (batch_bar())
            }
        }
        nav.pages aria-label="Pages" {
            @if place.filter.cursor.is_some() { a href=(place.link("cursor", None)) rel="first" { "First page" } }
            @if let Some(next) = &listing.next { a href=(place.link("cursor", Some(next))) rel="next" { "Next page" } }
            @if listing.next.is_some() || place.filter.limit > ROWS {
                span.lengths { "Rows" @for n in [ROWS, 100, 500] {
                    " " a href=(place.link("limit", Some(&n.to_string())))
                        aria-current=[(n == place.filter.limit).then_some("true")] { (n) }
                } }
            }
        }
    }
}

/// The sorts where the table has no heads: on a phone.
fn sort_by(place: &Place) -> Markup {
    let now =
        place.without(&[]).into_iter().find(|(name, _)| *name == "sort").map_or("-created_at", |(_, value)| value);
    html! {
        form.sortby method="get" action="/" {
            @for (name, value) in place.without(&["sort", "cursor"]) {
                input type="hidden" name=(name) value=(decode(value).unwrap_or_default());
            }
            label for="sort" { "Sort" }
            select #sort name="sort" { @for (value, name) in SORTS {
                option value=(value) selected[value == now] { (name) }
            } }
            button { "Sort" }
        }
    }
}

const SORTS: [(&str, &str); 9] = [
    ("-created_at", "newest first"),
    ("created_at", "oldest first"),
    ("-updated_at", "changed last"),
    ("-amount", "largest amount"),
    ("deadline", "least time left"),
    ("-attempts", "most attempts"),
    ("state", "by state"),
    ("order_id", "by id"),
    ("address", "by address"),
];

/// What a sort leaves out is said.
fn sorted(place: &Place, listing: &Listing) -> Markup {
    html! {
        @if place.filter.sort.field == SortField::Deadline {
            p.what.note { "Only open orders whose clock runs have time left; the others are left out. "
                a href=(place.link("sort", None)) { "All orders" } }
        }
        @if let Some(n) = listing.sorted_within {
            p.what.note { "More orders fit than are sorted at once: these are the newest " (grouped(n as i64))
                " of them in this order. A filter makes them fewer." }
        }
    }
}

fn search(place: &Place) -> Markup {
    html! {
        form.search method="get" action="/" role="search" {
            @for (name, value) in place.without(&["q", "cursor"]) {
                input type="hidden" name=(name) value=(decode(value).unwrap_or_default());
            }
            label.sr for="q" { "Part of an order id" }
            input #q type="search" name="q" value=[place.filter.q.as_deref()] placeholder="Order id" maxlength="128"
                autocomplete="off" spellcheck="false";
            button { "Search" }
        }
    }
}

fn chips(place: &Place, listing: &Listing) -> Markup {
    let all: i64 = listing.counts.values().sum();
    let chosen = |state: &str| place.filter.states.iter().any(|s| s == state);
    let retrying = place.filter.retrying == Some(true);
    html! {
        nav.chips aria-label="Filter by state" {
            a href=(place.link("state", None)) aria-current=[place.filter.states.is_empty().then_some("true")] {
                "all" b { (grouped(all)) }
            }
            @for state in STATES {
                @let n = listing.counts.get(state).copied().unwrap_or_default();
                a class=(format!("st-{state}")) data-none[n == 0] href=(place.link("state", Some(state)))
                    aria-current=[chosen(state).then_some("true")] { (words::state(state)) b { (grouped(n)) } }
            }
            a.toggle href=(place.link("retrying", (!retrying).then_some("true")))
                aria-current=[retrying.then_some("true")] { "only retrying" }
        }
    }
}

/// 12 345 678
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if n < 0 { format!("-{out}") } else { out }
}

/// The table. `place`: where its heads may sort; without it, they are plain.
pub fn rows(place: Option<&Place>, orders: &[Doc], now: Timestamp) -> Markup {
    let head = |name: &str, field: Option<(&str, SortField)>| match (place, field) {
        (Some(place), Some((param, field))) => sortable(place, name, param, field),
        _ => html! { th scope="col" { (name) } },
    };
    let columns = ["pick", "order", "state", "wait", "money", "addr", "age", "changed", "left"];
    html! {
        table.orders.list {
            // Widths are known before the rows: a long list is laid out at once.
            colgroup { @for column in columns { col.(format!("c-{column}")); } }
            thead { tr {
                th.pick scope="col" { span.sr { "Select" } }
                (head("Order", Some(("order_id", SortField::OrderId))))
                (head("State", Some(("state", SortField::State))))
                (head("Waits for", Some(("attempts", SortField::Attempts))))
                (head("Money", Some(("amount", SortField::Amount))))
                (head("Address", Some(("address", SortField::Address))))
                (head("Age", Some(("created_at", SortField::CreatedAt))))
                (head("Changed", Some(("updated_at", SortField::UpdatedAt))))
                (head("Time left", Some(("deadline", SortField::Deadline))))
            } }
            tbody { @for doc in orders { (row(doc, now)) } }
        }
    }
}

fn sortable(place: &Place, name: &str, param: &str, field: SortField) -> Markup {
    let sort = place.filter.sort;
    let current = sort.field == field;
    // The newest first where it is time; the other way round when it is so already.
    let time = matches!(field, SortField::CreatedAt | SortField::UpdatedAt);
    let most_first = time || matches!(field, SortField::Amount | SortField::Attempts);
    let descending = if current { !sort.descending } else { most_first };
    let to = if descending { format!("-{param}") } else { param.to_owned() };
    // An old order has a great age, and an early instant.
    let grows = if time { !sort.descending } else { sort.descending };
    let order = current.then_some(if grows { "descending" } else { "ascending" });
    let by = (field == SortField::Attempts).then_some("By the number of attempts");
    html! {
        th scope="col" aria-sort=[order] {
            a href=(place.link("sort", Some(&to))) title=[by] { (name) @if current { span.dir aria-hidden="true" {
                (if grows { "▾" } else { "▴" })
            } } }
        }
    }
}

fn row(doc: &Doc, now: Timestamp) -> Markup {
    let wait = words::wait(doc, now);
    let id = &doc.order_id;
    html! {
        tr id=(format!("o:{id}")) data-seq=(doc.seq) {
            td.pick { label { input type="checkbox" name="id" value=(id) aria-label=(format!("Select {id}")); } }
            td.id { a href=(format!("/console/orders/{id}")) { (id) } }
            td.where_ { (rail(doc)) (state_pill(doc)) }
            td class=(format!("wait mood-{}", wait.mood.as_str())) { span { (wait.text) } }
            td.money { span.sum { (doc.payment.amount) " " small { (doc.payment.currency) } } (paid(&doc.payment.status)) }
            @match &doc.address {
                Some(address) => { @let line = line(address); td.addr title=(line) { (line) } }
                None => td.addr { span.none { "none" } }
            }
            td.num data-label="age" { (since(doc.created_at, now)) }
            td.num.changed data-label="changed" { (since(doc.updated_at, now)) }
            td.num data-label="left" { (time_left(doc, wait.mood, now)) }
        }
    }
}

pub fn paid(status: &str) -> Markup {
    html! { span class=(format!("paid paid-{status}")) { (status) } }
}

fn state_pill(doc: &Doc) -> Markup {
    html! { span class=(format!("pill st-{}", doc.state)) { (words::state(&doc.state)) } }
}

pub fn pill(doc: &Doc) -> Markup {
    html! { (state_pill(doc)) @if doc.paused { " " span.pill.st-paused { "paused" } } }
}

/// Running time until the deadline.
fn time_left(doc: &Doc, mood: Mood, now: Timestamp) -> Markup {
    match doc.deadline_at {
        _ if doc.terminal || doc.state == "compensating" => html! { span.none { "–" } },
        Some(at) => until(at, now),
        None if matches!(mood, Mood::Human | Mood::Paused) => html! { span.none { "stands still" } },
        None => html! { span.none { "no deadline" } },
    }
}

/// The way of an order in one glance: five stops, how far it is, which way it goes.
pub fn rail(doc: &Doc) -> Markup {
    let stop = match doc.state.as_str() {
        "received" => 1,
        "validated" | "in_review" => 2,
        "charging" => 3,
        "shipping" => 4,
        "completed" => 5,
        _ if doc.shipping.is_some() => 4,
        _ if doc.payment.status != "pending" => 3,
        _ if doc.review.opened_at.is_some() => 2,
        _ => 1,
    };
    let mood = match doc.state.as_str() {
        "compensating" => "back",
        "cancelled" | "failed" | "timed_out" => "ended",
        "stuck" => "stuck",
        "completed" => "done",
        _ if doc.paused => "paused",
        _ if doc.waits_for_person() => "human",
        _ if doc.live.waiting_for.iter().any(|w| w.last_error.is_some()) => "retrying",
        _ => "going",
    };
    // One element: a list has one in each row, and the stops are painted by the style sheet.
    html! { span class=(format!("rail at-{stop} rail-{mood}")) aria-hidden="true" {} }
}

/// The buttons for the rows that are selected.
pub fn batch_bar() -> Markup {
    html! {
        div.batch role="group" aria-label="With the selected orders" {
            span.count { "selected" }
            @for (action, name) in [("approve", "Approve"), ("cancel", "Cancel"), ("retry", "Retry"),
                ("pause", "Pause"), ("resume", "Resume")] {
                button name="action" value=(action) { (name) "…" }
            }
        }
    }
}
