//! `ordain list`.

use super::args::{ListArgs, Output};
use super::client::{Client, encode};
use super::pages::{JsonArray, List};
use super::{CliError, out, show};

/// Orders on a page, unless --limit says otherwise: for a look, and for all of them.
const LIMIT: u32 = 20;
const LIMIT_ALL: u32 = 500;

pub async fn list(args: &ListArgs) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let query = query(args)?;
    if args.all {
        return all(args, List::new(&client, query, args.cursor.clone())).await;
    }
    let cursor = args.cursor.as_ref().map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
    let text = client.get(&format!("/orders?{query}{cursor}")).await?;
    show::print(&args.server, &text, show::list)
}

async fn all(args: &ListArgs, mut pages: List<'_>) -> Result<(), CliError> {
    // The first page is there before anything is printed: what is refused prints nothing.
    let mut page = pages.next().await?;
    if args.server.output == Output::Json {
        let mut array = JsonArray::default();
        out::bytes(b"{\"orders\":[")?;
        while let Some(orders) = page {
            array.add(&orders)?;
            page = pages.next().await?;
        }
        return out::line("],\"next_cursor\":null}");
    }
    let (mut table, mut first) = (show::Pages::of_orders(), true);
    while let Some(orders) = page {
        if first || !orders.is_empty() {
            out::line(show::orders(&show::parsed(&orders), &mut table))?;
        }
        first = false;
        page = pages.next().await?;
    }
    Ok(())
}

fn query(args: &ListArgs) -> Result<String, CliError> {
    let limit = args.limit.unwrap_or(if args.all { LIMIT_ALL } else { LIMIT });
    let mut query = format!("limit={limit}");
    let attempts_min = args.attempts_min.map(|n| n.to_string());
    let options = [
        ("state", &args.state),
        ("q", &args.q),
        ("attempts_min", &attempts_min),
        ("error", &args.error),
        ("created_after", &args.created_after),
        ("created_before", &args.created_before),
        ("sort", &args.sort),
    ];
    for (name, value) in options {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    for pair in &args.metadata {
        let wrong = || CliError::Usage(format!("--metadata {pair:?} is not KEY=VALUE"));
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        query.push_str(&format!("&metadata.{}={}", encode(key), encode(value)));
    }
    if args.retrying {
        query.push_str("&retrying=true");
    }
    Ok(query)
}
