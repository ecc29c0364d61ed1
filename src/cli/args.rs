//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use super::access::Access;
use super::jobs::JobCommand;
use super::keys::KeyCommand;
use super::queues::QueuesArgs;
use super::serve_args::{ServeArgs, review};
use super::sim::SimArgs;
use super::tasks::TaskCommand;
use crate::demo::DemoOptions;
use crate::load::LoadOptions;
use crate::sandbox::SandboxOptions;
use crate::worker::WorkerOptions;
use crate::workflows::order::ReviewMode;

/// Durable order orchestration in one process.
///
/// Start a server with `ordain serve`, then talk to it with the other commands or with curl.
#[derive(Debug, Parser)]
#[command(name = "ordain", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server.
    ///
    /// Every setting is also an environment variable (--review-seconds is ORDAIN_REVIEW_SECONDS) and a line of
    /// ordain.toml (review_seconds = 2). A flag wins over the environment, the environment over `.env`, that over
    /// ordain.toml.
    Serve(ServeArgs),
    /// Print the settings a server would run with, and end.
    Config(ServeArgs),
    #[command(flatten)]
    Order(OrderCommand),
    /// Start, see, list and cancel jobs.
    #[command(subcommand)]
    Job(JobCommand),
    /// Start, see, list and cancel tasks of any type.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Watch a server: the busiest orders, queues, shards, commits and rates; q ends it.
    ///
    /// Where the output is not a terminal, a frame is printed with every reading; with -o json one document a line.
    Top(TopArgs),
    /// Measure a server: run many orders, then check in SQL that it kept its promises.
    Load(LoadOptions),
    /// Tell the story of a few orders and a kill -9, with a server and a sandbox of its own; under a minute.
    ///
    /// Every claim is checked; exit 1 where one does not hold. Nothing is left behind.
    Demo(DemoOptions),
    /// Run the world outside: payment gateway, carrier and invoice portal, with a ledger and faults on purpose.
    ///
    /// It prints how to start a server that uses it. GET / lists its routes, GET /ledger shows what really happened.
    /// Payments that begin with pay-declined or tok_declined are declined; to addresses with Nowhere in them no carrier
    /// goes; the password `wrong` is wrong.
    Sandbox(SandboxOptions),
    /// Show the task queues, or change the limits of one.
    ///
    /// A worker of a queue's pool is a slot: one call under way in the server. Outside workers come on top.
    Queues(QueuesArgs),
    /// Make the calls of a server's task queue from here: the built-in activities, over HTTP.
    ///
    /// It takes from the queue beside the server's own pool and all other workers. With --burst it ends by itself when
    /// nothing is left to do. SIGTERM lets what runs end, a second one does not.
    Worker(WorkerOptions),
    /// Fold every stored history and compare it with what is stored; exit 1 where something differs.
    Verify(VerifyArgs),
    /// Show the versions of the database's schema, or bring it up to date. A server does that by itself at its start.
    Migrate(MigrateArgs),
    /// Copy the SQLite database to a file, as it is at one instant, also while a server runs on it.
    Backup(BackupArgs),
    /// Make, list and revoke API keys.
    ///
    /// With --url on a running server, by a key with the scope admin; else on the database itself, also while a server
    /// runs on it, which takes it up within seconds. Once there is a key, the server asks for one.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Subcommand)]
pub(super) enum OrderCommand {
    /// Start an order.
    ///
    /// Example: ordain start-workflow o-1 pay-1 --amount 49.90 --line "1 Main Street" --wait 30
    StartWorkflow(StartArgs),
    /// Show an order: the durable record and its live actor.
    Status {
        #[command(flatten)]
        target: Target,
        /// Wait up to so many seconds until it has ended (or is in --until).
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u32>,
        /// The state to wait for.
        #[arg(long, default_value = "terminal")]
        until: String,
    },
    /// Show the durable record of an order, as it is or as it was after a fact.
    State {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        seq: Option<u64>,
    },
    /// List orders, newest first.
    List(ListArgs),
    /// Show all that is known of an order: state, what it waits for, payment, parcel, newest history.
    Describe(Target),
    /// Show every fact of an order's history (or of a shipment's: o-1/shipping/1).
    History(Target),
    /// Approve the review of an order.
    Approve(Target),
    /// Cancel an order; what was charged is refunded.
    Cancel {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Change the address of an order that is not dispatched yet.
    UpdateAddress {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        address: AddressArgs,
    },
    /// Restart a failed or stuck order from the step that failed.
    Retry(Target),
    /// Hold an order: no new activity starts, clocks stand still.
    Pause(Target),
    /// Let a paused order go on.
    Resume(Target),
    /// Ask a server whether it is ready.
    Health(Server),
    /// Show what happened to an order and its shipments, by time; without an order, to the newest 20.
    ///
    /// One line a fact: time, service, order, fact, its data in short. With -o json one JSON document a line.
    Logs(LogsArgs),
}

#[derive(Debug, Clone, Args)]
pub(super) struct Server {
    /// The server to talk to.
    #[arg(long, env = "ORDAIN_URL", default_value = "http://127.0.0.1:8000")]
    pub url: String,
    #[command(flatten)]
    pub access: Access,
    /// How to print: tables for people, or JSON exactly as the server sent it.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// The order's id.
    pub order: String,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    pub target: Target,
    /// The payment's id; `pay-` and the order's id where it is not given.
    pub payment: Option<String>,
    #[arg(long, value_parser = review)]
    pub review: Option<ReviewMode>,
    /// How long an automatic review lasts.
    #[arg(long, value_name = "SECONDS")]
    pub review_seconds: Option<f64>,
    /// After how long an unanswered manual review ends the order; 0: never.
    #[arg(long, value_name = "SECONDS")]
    pub review_deadline_seconds: Option<f64>,
    /// Running time of the whole order; 0: no deadline.
    #[arg(long, value_name = "SECONDS")]
    pub deadline_seconds: Option<f64>,
    /// An exact decimal, such as 49.90.
    #[arg(long, allow_hyphen_values = true)]
    pub amount: Option<String>,
    #[arg(long)]
    pub currency: Option<String>,
    #[command(flatten)]
    pub address: AddressArgs,
    /// KEY=VALUE; may be given many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata: Vec<String>,
    /// Wait up to so many seconds until it has ended.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u32>,
}

/// A delivery address: one line, or fields.
#[derive(Debug, Default, Args)]
pub(super) struct AddressArgs {
    /// The whole address in one line.
    #[arg(long, conflicts_with_all = ["street", "city", "zip", "state", "country"])]
    pub line: Option<String>,
    #[arg(long)]
    pub street: Option<String>,
    #[arg(long)]
    pub city: Option<String>,
    #[arg(long)]
    pub state: Option<String>,
    #[arg(long)]
    pub zip: Option<String>,
    #[arg(long)]
    pub country: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub server: Server,
    /// One state, or several with commas.
    #[arg(long)]
    pub state: Option<String>,
    /// A part of the id.
    #[arg(short, long)]
    pub q: Option<String>,
    /// Only orders with an activity that is being tried again.
    #[arg(long)]
    pub retrying: bool,
    /// created_at, updated_at, order_id or state; a `-` before it: descending.
    #[arg(long, allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Only orders with an activity of which so many attempts were made.
    #[arg(long, value_name = "N")]
    pub attempts_min: Option<u32>,
    /// Only orders whose last error is of this kind: validation, refused, unreachable, timeout, …
    #[arg(long, value_name = "KIND")]
    pub error: Option<String>,
    /// KEY=VALUE; may be given many times, then all of them must hold.
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata: Vec<String>,
    /// Only orders created at an instant such as 2026-01-31T12:00:00Z, or later.
    #[arg(long, value_name = "INSTANT")]
    pub created_after: Option<String>,
    /// Only orders created before an instant.
    #[arg(long, value_name = "INSTANT")]
    pub created_before: Option<String>,
    /// Orders on a page [default: 20, with --all 500].
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// The next_cursor of the page before.
    #[arg(long)]
    pub cursor: Option<String>,
    /// Follow the pages to the last one.
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub(super) struct TopArgs {
    #[command(flatten)]
    pub server: Server,
    /// Print one frame, and end.
    #[arg(long)]
    pub once: bool,
    /// Between two readings.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub interval: f64,
    /// How many orders are shown.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
}

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The order's id.
    pub order: Option<String>,
    #[command(flatten)]
    pub server: Server,
    /// Only what this service did; worker: every attempt at an activity, whosever it is.
    #[arg(long, value_enum)]
    pub service: Option<Service>,
    /// Go on until the order has ended; without an order, until interrupted.
    #[arg(short, long)]
    pub follow: bool,
}

/// Who does something: app receives, validates and reviews; orders charges and refunds; shipping is the child workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Service {
    App,
    Orders,
    Shipping,
    Worker,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub sim: SimArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// The database, found as a server finds it.
#[derive(Debug, Args, Serialize)]
pub(super) struct DatabaseArgs {
    /// A configuration file, in place of ordain.toml.
    #[arg(long, env = "ORDAIN_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// sqlite://PATH or postgres://…; by default what `ordain serve` would use. It may be in use.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// What to do.
    #[arg(value_enum, default_value_t = MigrateWhat::Status)]
    pub what: MigrateWhat,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MigrateWhat {
    /// Show what is applied and what is pending.
    Status,
    /// Apply what is pending. Refused while a server runs on the database.
    Up,
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where the copy goes; nothing is overwritten.
    pub file: PathBuf,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_page_is_the_golden_one() {
        use clap::CommandFactory;
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        let flags: Vec<&str> = serve.get_arguments().filter_map(clap::Arg::get_long).collect();
        let now = crate::config::reference::markdown(|flag| flags.contains(&flag));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert!(golden == now, "the settings changed; run the test with UPDATE_GOLDEN=1");
        for flag in flags.iter().filter(|flag| **flag != "config") {
            assert!(now.contains(&format!("`--{flag}`")), "--{flag} is not told of");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
