//! `ordain task …`: tasks of any type from the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::args::{Output, Server};
use super::client::{Client, encode};
use super::jobs::{WorkCancel, WorkList, WorkTarget, cancel, get, query};
use super::pages::{History, JsonArray};
use super::{CliError, out, show};

const AT: &str = "/api/tasks";
/// Rows of a result in one request.
const ROWS: u32 = 500;
/// The longest file of parameters, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Start a task.
    ///
    /// Example: ordain task start checksum_text --param text=hello --param parts=2 --wait 10. Secrets are better kept out
    /// of the command line: --params-file FILE, or - for standard input.
    Start(TaskStart),
    /// Show a task.
    Get(WorkTarget),
    /// List tasks, newest first.
    List {
        #[command(flatten)]
        list: WorkList,
        /// Only tasks of this type.
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
    },
    /// Cancel a task.
    Cancel(WorkCancel),
    /// Show which types of task there are.
    Types(Server),
    /// Show every fact of a task's history.
    History(WorkTarget),
    /// Print what a task has found, one JSON text a line.
    ///
    /// Example: ordain task result TASK > invoices.ndjson. Works while the task runs, too: then it is what there is so far.
    Result(TaskResult),
}

#[derive(Debug, Args)]
pub(super) struct TaskResult {
    pub id: String,
    /// Wait up to so many seconds until the task has ended.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u32>,
    /// Only rows whose name is greater.
    #[arg(long, value_name = "NAME")]
    pub after: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub(super) struct TaskStart {
    /// One of `ordain task types`.
    pub task_type: String,
    /// NAME=VALUE; a value that is JSON is taken as JSON, any other as a text. May be given many times.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// All parameters as a JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "params_file")]
    pub params_json: Option<String>,
    /// A file with all parameters as a JSON object; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub params_file: Option<PathBuf>,
    /// The task's id; one is made where it is not given.
    #[arg(long)]
    pub id: Option<String>,
    /// Wait up to so many seconds until it has ended.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u32>,
    #[command(flatten)]
    pub server: Server,
}

pub fn run(command: TaskCommand) -> Result<(), CliError> {
    actix_rt::System::new().block_on(run_on(command))
}

async fn run_on(command: TaskCommand) -> Result<(), CliError> {
    match command {
        TaskCommand::Start(args) => start(&args).await,
        TaskCommand::Get(target) => get(AT, &target, show::task).await,
        TaskCommand::List { list, task_type } => {
            let of_type = task_type.map(|name| format!("&task_type={}", encode(&name))).unwrap_or_default();
            let text = Client::new(&list.server)?.get(&format!("{AT}?{}{of_type}", query(&list))).await?;
            show::print(&list.server, &text, |_| show::tasks(&text))
        }
        TaskCommand::Cancel(args) => cancel(AT, &args, show::task).await,
        TaskCommand::Types(server) => {
            let text = Client::new(&server)?.get(&format!("{AT}/types")).await?;
            show::print(&server, &text, |_| show::task_types(&text))
        }
        TaskCommand::History(target) => history(&target).await,
        TaskCommand::Result(args) => result(&args).await,
    }
}

async fn start(args: &TaskStart) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let mut body = json!({ "task_type": args.task_type, "task_params": params(args)? });
    if let Some(id) = &args.id {
        body["task_id"] = json!(id);
    }
    let text = client.post(&format!("{AT}/start"), Some(&body)).await?;
    let started: Value = show::read(&text)?;
    match (args.wait, started["status_url"].as_str()) {
        (Some(seconds), Some(url)) => {
            let text = client.wait(&format!("{url}?wait={seconds}"), seconds).await?;
            show::print(&args.server, &text, |_| show::task(&text))
        }
        _ => show::print(&args.server, &text, |_| show::task(&text)),
    }
}

fn params(args: &TaskStart) -> Result<Value, CliError> {
    let text = match (&args.params_file, &args.params_json) {
        (Some(path), _) => read(path)?,
        (None, Some(text)) => text.clone(),
        (None, None) => "{}".to_owned(),
    };
    // The words of the reader may repeat a secret; its place is enough.
    let wrong = |e: serde_json::Error| {
        CliError::Usage(format!("the parameters are not a JSON object (line {}, column {})", e.line(), e.column()))
    };
    let mut fields: Map<String, Value> = serde_json::from_str(&text).map_err(wrong)?;
    for pair in &args.params {
        let wrong = || CliError::Usage("a --param is not NAME=VALUE".to_owned());
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        fields.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    Ok(Value::Object(fields))
}

fn read(path: &std::path::Path) -> Result<String, CliError> {
    use std::io::Read;
    let failed = |e: std::io::Error| CliError::Usage(format!("{} cannot be read: {e}", path.display()));
    let mut text = String::new();
    let from: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    from.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Page by page, so that a connection that breaks is an error and not an end.
async fn result(args: &TaskResult) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let path = format!("{AT}/{}", encode(&args.id));
    if let Some(seconds) = args.wait {
        client.wait(&format!("{path}?wait={seconds}"), seconds).await?;
    }
    let mut after = args.after.as_deref().map(encode);
    loop {
        let behind = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let (rows, next) = client.page(&format!("{path}/result?limit={ROWS}{behind}")).await?;
        out::bytes(rows.as_bytes())?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn history(target: &WorkTarget) -> Result<(), CliError> {
    let client = Client::new(&target.server)?;
    let mut pages = History::at(&client, format!("{AT}/{}/history", encode(&target.id)));
    let mut page = pages.next().await?;
    if target.server.output == Output::Json {
        let mut array = JsonArray::default();
        out::bytes(b"{\"events\":[")?;
        while let Some(facts) = page {
            array.add(&facts)?;
            page = pages.next().await?;
        }
        return out::line("],\"next_after\":null}");
    }
    let mut table = show::Pages::of_facts();
    while let Some(facts) = page {
        if !facts.is_empty() {
            out::line(show::history(&show::parsed(&facts), &mut table))?;
        }
        page = pages.next().await?;
    }
    Ok(())
}
