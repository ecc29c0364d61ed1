//! `ordain queues`, `ordain queues set`.

use serde_json::{Map, Value, json};

use super::args::{QueueSetArgs, QueuesArgs, QueuesCommand, Rate};
use super::client::{Client, encode};
use super::{CliError, show};

pub fn queues(args: &QueuesArgs) -> Result<(), CliError> {
    actix_rt::System::new().block_on(async {
        match &args.command {
            Some(QueuesCommand::Set(set)) => change(set).await,
            None => {
                let text = Client::new(&args.server)?.get("/api/queues").await?;
                let all = |page: &Value| show::queues(page["queues"].as_array().map(Vec::as_slice).unwrap_or_default());
                show::print(&args.server, &text, all)
            }
        }
    })
}

async fn change(args: &QueueSetArgs) -> Result<(), CliError> {
    let mut change = Map::new();
    if let Some(n) = args.concurrency {
        change.insert("concurrency".to_owned(), json!(n));
    }
    match args.rate_limit {
        Some(Rate::None) => {
            change.insert("rate_limit".to_owned(), Value::Null);
        }
        Some(Rate::PerSecond(n)) => {
            let mut rate = json!({ "per_second": n });
            if let Some(burst) = args.burst {
                rate["burst"] = json!(burst);
            }
            change.insert("rate_limit".to_owned(), rate);
        }
        None => {}
    }
    if args.pause || args.resume {
        change.insert("paused".to_owned(), json!(args.pause));
    }
    if change.is_empty() {
        let what = "say what to change: --concurrency, --rate-limit, --pause or --resume";
        return Err(CliError::Usage(what.to_owned()));
    }
    let path = format!("/api/queues/{}", encode(&args.queue));
    let text = Client::new(&args.server)?.patch(&path, &Value::Object(change)).await?;
    show::print(&args.server, &text, |queue| show::queues(std::slice::from_ref(queue)))
}
