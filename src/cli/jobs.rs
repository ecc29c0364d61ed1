//! `ordain job …`: jobs from the command line.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::Server;
use super::client::{Client, encode};
use super::{CliError, show};

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// Start a job that sums numbers.
    ///
    /// Example: ordain job start 10 20 30 --fail-first-attempt --wait 10
    Start(JobStart),
    /// Show a job.
    Get(WorkTarget),
    /// List jobs, newest first.
    List(WorkList),
    /// Cancel a job.
    Cancel(WorkCancel),
}

#[derive(Debug, Args)]
pub(super) struct JobStart {
    /// Whole numbers of any size, and others.
    #[arg(required = true, allow_negative_numbers = true, value_parser = number)]
    pub numbers: Vec<String>,
    /// The first attempt fails on purpose.
    #[arg(long)]
    pub fail_first_attempt: bool,
    /// Wait up to so many seconds until it has ended.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u32>,
    #[command(flatten)]
    pub server: Server,
}

/// A job or a task, by its id.
#[derive(Debug, Args)]
pub(super) struct WorkTarget {
    pub id: String,
    /// Wait up to so many seconds until it has ended.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u32>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub(super) struct WorkCancel {
    pub id: String,
    #[arg(long)]
    pub reason: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub(super) struct WorkList {
    /// running, completed, failed, cancelled; several with commas.
    #[arg(long)]
    pub state: Option<String>,
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: u32,
    /// The next_cursor of the page before.
    #[arg(long)]
    pub cursor: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

fn number(text: &str) -> Result<String, String> {
    crate::workflows::job::check(text).map(|()| text.to_owned()).map_err(|e| e.to_string())
}

pub fn run(command: JobCommand) -> Result<(), CliError> {
    actix_rt::System::new().block_on(run_on(command))
}

async fn run_on(command: JobCommand) -> Result<(), CliError> {
    match command {
        JobCommand::Start(args) => start(&args).await,
        JobCommand::Get(target) => get("/jobs", &target, show::job).await,
        JobCommand::List(args) => {
            let text = Client::new(&args.server)?.get(&format!("/jobs?{}", query(&args))).await?;
            show::print(&args.server, &text, |_| show::jobs(&text))
        }
        JobCommand::Cancel(args) => cancel("/jobs", &args, show::job).await,
    }
}

async fn start(args: &JobStart) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    // Digit by digit, as they were typed: a number of the JSON library would be rounded.
    let options = json!({ "fail_first_attempt": args.fail_first_attempt });
    let body = format!(r#"{{"input":{{"numbers":[{}]}},"options":{options}}}"#, args.numbers.join(","));
    let text = client.post_text("/jobs", body).await?;
    let started: Value = show::read(&text)?;
    match (args.wait, started["job_id"].as_str()) {
        (Some(seconds), Some(id)) => {
            let text = client.wait(&format!("/jobs/{}?wait={seconds}", encode(id)), seconds).await?;
            show::print(&args.server, &text, |_| show::job(&text))
        }
        _ => show::print(&args.server, &text, |_| show::job(&text)),
    }
}

/// Gets a job or a task.
pub async fn get(at: &str, target: &WorkTarget, for_people: fn(&str) -> String) -> Result<(), CliError> {
    let client = Client::new(&target.server)?;
    let path = format!("{at}/{}", encode(&target.id));
    let text = match target.wait {
        Some(seconds) => client.wait(&format!("{path}?wait={seconds}"), seconds).await?,
        None => client.get(&path).await?,
    };
    show::print(&target.server, &text, |_| for_people(&text))
}

/// Cancels a job or a task.
pub async fn cancel(at: &str, args: &WorkCancel, for_people: fn(&str) -> String) -> Result<(), CliError> {
    let body = args.reason.as_ref().map(|reason| json!({ "reason": reason }));
    let path = format!("{at}/{}/cancel", encode(&args.id));
    let text = Client::new(&args.server)?.post(&path, body.as_ref()).await?;
    show::print(&args.server, &text, |_| for_people(&text))
}

/// The query of a list.
pub fn query(args: &WorkList) -> String {
    let mut query = format!("limit={}", args.limit);
    for (name, value) in [("state", &args.state), ("cursor", &args.cursor)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    query
}
