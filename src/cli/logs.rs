//! `ordain logs`: the histories of orders and of their shipments as one stream, by time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use comfy_table::Color;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::args::{LogsArgs, Output, Service};
use super::client::{Client, encode};
use super::pages::{History, List};
use super::terminal::{clean, cut, now, paint, width};
use super::{CliError, out, show};
use crate::workflows::order::activity;

const POLL: Duration = Duration::from_millis(500);
/// Orders that are told of where none is named, and how many facts of each workflow.
const ORDERS: u32 = 20;
const FACTS: u64 = 10;
/// The longest line where there is no terminal to say it, in characters.
const LINE_MAX: usize = 200;
/// Facts of a shipment that its order brought about, so that they follow the order's own of the same instant.
const FROM_ORDER: [&str; 3] = ["ShipmentRequested", "DispatchAuthorized", "CancelRequested"];

/// One line.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    at: String,
    service: Service,
    order_id: String,
    workflow_id: String,
    seq: u64,
    #[serde(rename = "type")]
    kind: String,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Fact {
    seq: u64,
    at: String,
    #[serde(rename = "type")]
    kind: String,
    data: Box<RawValue>,
}

/// What is used of a status document.
#[derive(Deserialize)]
struct Status {
    order_id: String,
    terminal: bool,
    seq: u64,
    shipping: Option<Shipping>,
}

#[derive(Deserialize)]
struct Shipping {
    shipment_id: String,
}

pub async fn logs(args: &LogsArgs) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    match &args.order {
        Some(order) => one(&client, args, order).await,
        None => newest(&client, args).await,
    }
}

/// One order from its beginning; followed until it has ended.
async fn one(client: &Client, args: &LogsArgs, order: &str) -> Result<(), CliError> {
    let mut trail = Trail::new(order, 0);
    loop {
        // Asked for before the facts: if it has ended by then, none of them is missed.
        let status: Status = client.read(&format!("/orders/{}/status", encode(order))).await?;
        print(args, trail.news(client, None).await?)?;
        if !args.follow || status.terminal {
            return Ok(());
        }
        actix_rt::time::sleep(POLL).await;
    }
}

/// The last of the newest orders; followed until somebody ends it.
async fn newest(client: &Client, args: &LogsArgs) -> Result<(), CliError> {
    let mut trails: BTreeMap<String, Trail> = BTreeMap::new();
    let mut first = true;
    loop {
        let page = List::new(client, format!("limit={ORDERS}"), None).next().await?.unwrap_or_default();
        let mut kept = BTreeMap::new();
        let mut news = Vec::new();
        for raw in page {
            let status: Status = show::read(raw.get())?;
            let known = trails.remove(&status.order_id);
            // An order that comes up later is told from its beginning.
            let begin = if first { status.seq.saturating_sub(FACTS) } else { 0 };
            let mut trail = known.unwrap_or_else(|| Trail::new(&status.order_id, begin));
            if !trail.is_done(&status) {
                trail.expect(status.shipping.map(|shipping| shipping.shipment_id));
                news.push(trail.news(client, first.then_some(FACTS)).await?.into());
                trail.ended = status.terminal;
            }
            kept.insert(status.order_id, trail);
        }
        print(args, merge(news))?;
        if !args.follow {
            return Ok(());
        }
        (trails, first) = (kept, false);
        actix_rt::time::sleep(POLL).await;
    }
}

/// How far an order and its shipments have been told.
struct Trail {
    order: String,
    /// The order itself and its shipments, each with the last seq that was told.
    after: BTreeMap<String, u64>,
    /// It had ended when it was told last.
    ended: bool,
}

impl Trail {
    fn new(order: &str, after: u64) -> Self {
        Self { order: order.to_owned(), after: BTreeMap::from([(order.to_owned(), after)]), ended: false }
    }

    fn expect(&mut self, shipment: Option<String>) {
        if let Some(shipment) = shipment {
            self.after.entry(shipment).or_insert(0);
        }
    }

    fn is_done(&self, status: &Status) -> bool {
        self.ended && self.after.get(&self.order) == Some(&status.seq)
    }

    /// All that has not been told yet, by time; `newest`: at most so many of each workflow.
    async fn news(&mut self, client: &Client, newest: Option<u64>) -> Result<Vec<Entry>, CliError> {
        let order = self.order.clone();
        let own = self.read(client, &order, newest).await?;
        for entry in own.iter().filter(|entry| entry.kind == "ShippingStarted") {
            let data: Value = show::read(entry.data.get())?;
            self.expect(data["shipment_id"].as_str().map(str::to_owned));
        }
        let mut all = vec![own];
        let shipments: Vec<String> = self.after.keys().filter(|id| **id != order).cloned().collect();
        for shipment in shipments {
            all.push(self.read(client, &shipment, newest).await?);
        }
        Ok(merge(all))
    }

    async fn read(&mut self, client: &Client, id: &str, newest: Option<u64>) -> Result<VecDeque<Entry>, CliError> {
        let after = self.after.entry(id.to_owned()).or_insert(0);
        let mut pages = History::new(client, id, *after);
        let mut entries = VecDeque::new();
        while let Some(page) = pages.next().await? {
            for raw in page {
                let fact: Fact = show::read(raw.get())?;
                *after = fact.seq;
                entries.push_back(Entry {
                    service: service(id != self.order, &fact)?,
                    order_id: self.order.clone(),
                    workflow_id: id.to_owned(),
                    at: fact.at,
                    seq: fact.seq,
                    kind: fact.kind,
                    data: fact.data,
                });
            }
            while newest.is_some_and(|newest| entries.len() as u64 > newest) {
                entries.pop_front();
            }
        }
        Ok(entries)
    }
}

/// Whose work a fact tells of: the payments', a shipment's, or else the application's.
fn service(is_shipment: bool, fact: &Fact) -> Result<Service, CliError> {
    if is_shipment {
        return Ok(Service::Shipping);
    }
    let data: Value = show::read(fact.data.get())?;
    let pays = data["activity"].as_str().is_some_and(|name| [activity::CHARGE, activity::REFUND].contains(&name));
    Ok(if pays || fact.kind.starts_with("Payment") { Service::Orders } else { Service::App })
}

/// Merges by time. Each list stays in its order, whatever the clock did; of one instant, what a shipment tells its
/// order comes before the order's own facts, and what follows from those after them.
fn merge(mut lists: Vec<VecDeque<Entry>>) -> Vec<Entry> {
    let rank = |entry: &Entry| match entry.workflow_id == entry.order_id {
        true => 1,
        false if FROM_ORDER.contains(&entry.kind.as_str()) => 2,
        false => 0,
    };
    let mut merged = Vec::new();
    loop {
        let heads = lists.iter().enumerate().filter_map(|(index, list)| Some((index, list.front()?)));
        let next = heads.min_by(|(_, a), (_, b)| a.at.cmp(&b.at).then_with(|| rank(a).cmp(&rank(b))));
        let Some(index) = next.map(|(index, _)| index) else { return merged };
        merged.extend(lists.get_mut(index).and_then(VecDeque::pop_front));
    }
}

fn print(args: &LogsArgs, entries: Vec<Entry>) -> Result<(), CliError> {
    let wanted = |entry: &Entry| match args.service {
        None => true,
        Some(Service::Worker) => entry.kind.starts_with("Activity"),
        Some(service) => entry.service == service,
    };
    for entry in entries.iter().filter(|entry| wanted(entry)) {
        match args.server.output {
            Output::Json => {
                out::line(serde_json::to_string(entry).map_err(|e| CliError::Refused(e.to_string()))?)?;
            }
            Output::Table => out::line(line(entry, width().unwrap_or(LINE_MAX))?)?,
        }
    }
    Ok(())
}

/// The time of day where it is today's, for terminals are narrow.
fn clock<'a>(at: &'a str, now: &str) -> &'a str {
    match (at.split_once('T'), now.split_once('T')) {
        (Some((day, time)), Some((today, _))) if day == today => time,
        _ => at,
    }
}

/// One entry for people, in so many columns.
fn line(entry: &Entry, columns: usize) -> Result<String, CliError> {
    let (name, colour) = match entry.service {
        Service::App => ("app", Color::Cyan),
        Service::Orders => ("orders", Color::Green),
        Service::Shipping => ("shipping", Color::Magenta),
        Service::Worker => ("worker", Color::Blue),
    };
    let rest =
        format!("{}  {}  {}", clean(&entry.order_id), clean(&entry.kind), show::short(&show::read(entry.data.get())?));
    let at = if columns < LINE_MAX { clock(&entry.at, &now().to_string()) } else { &entry.at };
    let at = clean(at);
    let left = columns.saturating_sub(at.chars().count() + 12).max(20);
    Ok(format!("{at}  {}  {}", paint(&format!("{name:<8}"), colour), cut(rest.trim_end(), left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(workflow: &str, at: &str, kind: &str) -> Entry {
        Entry {
            at: at.into(),
            service: Service::App,
            order_id: "o".into(),
            workflow_id: workflow.into(),
            seq: 1,
            kind: kind.into(),
            data: RawValue::from_string(r#"{"b":"x y","a":1,"c":null,"d":"z"}"#.into()).unwrap(),
        }
    }

    #[test]
    fn facts_of_one_instant_stand_in_the_order_of_cause_and_effect() {
        let order = ["ShippingStarted", "DispatchStarted", "OrderCompleted"];
        let order = order.into_iter().zip(["1", "2", "3"]).map(|(kind, at)| entry("o", at, kind)).collect();
        let child = [("ShipmentRequested", "1"), ("PackagePrepared", "2"), ("DispatchAuthorized", "2")];
        let child = child.into_iter().chain([("ShipmentDispatched", "3")]);
        let child = child.map(|(kind, at)| entry("o/shipping/1", at, kind)).collect();
        let kinds: Vec<String> = merge(vec![order, child]).into_iter().map(|entry| entry.kind).collect();
        let story = "ShippingStarted ShipmentRequested PackagePrepared DispatchStarted DispatchAuthorized \
                     ShipmentDispatched OrderCompleted";
        assert_eq!(kinds.join(" "), story);
    }

    #[test]
    fn a_line_is_short_and_fits() {
        let entry = entry("o", "2026-01-01T00:00:00.000Z", "Paused");
        assert_eq!(line(&entry, 200).unwrap(), "2026-01-01T00:00:00.000Z  app       o  Paused  a=1 b=\"x y\" d=z");
        assert_eq!(line(&entry, 60).unwrap().chars().count(), 60);
        assert_eq!(clock(&entry.at, "2026-01-01T23:00:00.000Z"), "00:00:00.000Z");
        assert_eq!(clock(&entry.at, "2026-01-02T23:00:00.000Z"), entry.at);
    }
}
