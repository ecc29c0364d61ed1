//! `ordain history` and `ordain describe`: histories to their end, however long they are.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::args::{Output, Target};
use super::client::{Client, encode};
use super::pages::{History, JsonArray};
use super::{CliError, out, show};

/// Facts that `describe` shows to people.
const NEWEST: u64 = 10;

pub async fn history(target: &Target) -> Result<(), CliError> {
    let client = Client::new(&target.server)?;
    let mut pages = History::new(&client, &target.order, 0);
    let mut page = pages.next().await?;
    if target.server.output == Output::Json {
        let kind = if target.order.contains('/') { "workflow_id" } else { "order_id" };
        out::bytes(format!("{{\"{kind}\":{},\"events\":", json!(target.order)).as_bytes())?;
        return rest(page, pages, ",\"next_after\":null}").await;
    }
    let (mut table, mut first) = (show::Pages::of_facts(), true);
    while let Some(facts) = page {
        if first || !facts.is_empty() {
            out::line(show::history(&show::parsed(&facts), &mut table))?;
        }
        first = false;
        page = pages.next().await?;
    }
    Ok(())
}

/// Prints a page and all that follow as an array, and then `end`.
async fn rest(mut page: Option<Vec<Box<RawValue>>>, mut pages: History<'_>, end: &str) -> Result<(), CliError> {
    let mut array = JsonArray::default();
    out::bytes(b"[")?;
    while let Some(facts) = page {
        array.add(&facts)?;
        page = pages.next().await?;
    }
    out::line(format!("]{end}"))
}

#[derive(Deserialize)]
struct Policies {
    retry: Box<RawValue>,
}

pub async fn describe(target: &Target) -> Result<(), CliError> {
    let client = Client::new(&target.server)?;
    let status: Box<RawValue> = client.read(&format!("/orders/{}/status", encode(&target.order))).await?;
    let policies: Policies = client.read("/policies").await?;
    if target.server.output == Output::Json {
        let mut pages = History::new(&client, &target.order, 0);
        let page = pages.next().await?;
        let head = format!("{{\"status\":{},\"retry\":{},\"history\":", status.get(), policies.retry.get());
        out::bytes(head.as_bytes())?;
        return rest(page, pages, "}").await;
    }
    let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let status = read(&status);
    let after = status["seq"].as_u64().unwrap_or_default().saturating_sub(NEWEST);
    let newest = History::new(&client, &target.order, after).next().await?.unwrap_or_default();
    out::line(show::describe(&status, &read(&policies.retry), &show::parsed(&newest)))
}
