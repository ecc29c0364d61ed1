//! `ordain queues`, `ordain queues set`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::args::Server;
use super::client::{Client, encode};
use super::{CliError, show};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct QueuesArgs {
    #[command(subcommand)]
    pub command: Option<QueuesCommand>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub(super) enum QueuesCommand {
    /// Change the limits of a queue; they hold at once, and over a restart.
    ///
    /// Example: ordain queues set shipping --concurrency 64 --rate-limit 20
    Set(QueueSetArgs),
}

#[derive(Debug, Args)]
pub(super) struct QueueSetArgs {
    /// The queue's name.
    pub queue: String,
    /// Calls the server has under way at once, at most; 0: outside workers do them all.
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// Starts a second, or none for no limit.
    #[arg(long, value_name = "N|none", value_parser = rate)]
    pub rate_limit: Option<Rate>,
    /// Starts at once after a rest [default: what comes in a second].
    #[arg(long, value_name = "N", requires = "rate_limit")]
    pub burst: Option<u32>,
    /// Nothing new starts; what runs may end.
    #[arg(long, conflicts_with = "resume")]
    pub pause: bool,
    /// What waits may start again.
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub server: Server,
}

/// What `--rate-limit` says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rate {
    None,
    PerSecond(f64),
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "none" | "off" => Ok(Rate::None),
        number => number.parse().map(Rate::PerSecond).map_err(|_| "is a number of starts a second, or none".to_owned()),
    }
}

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
