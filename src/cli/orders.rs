//! The commands that talk to a server about orders.

use serde_json::{Map, Value, json};

use super::args::{AddressArgs, OrderCommand, StartArgs, Target};
use super::client::{Client, encode};
use super::{CliError, history, list, logs, show};

pub fn run(command: OrderCommand) -> Result<(), CliError> {
    actix_rt::System::new().block_on(run_on(command))
}

async fn run_on(command: OrderCommand) -> Result<(), CliError> {
    match command {
        OrderCommand::StartWorkflow(args) => start(args).await,
        OrderCommand::Status { target, wait, until } => status(&target, wait, &until).await,
        OrderCommand::State { target, seq } => {
            let seq = seq.map(|seq| format!("?seq={seq}")).unwrap_or_default();
            show_order(&target, &format!("{}{seq}", path(&target, "state"))).await
        }
        OrderCommand::List(args) => list::list(&args).await,
        OrderCommand::Describe(target) => history::describe(&target).await,
        OrderCommand::History(target) => history::history(&target).await,
        OrderCommand::Approve(target) => act(&target, "signals/approve", None).await,
        OrderCommand::Cancel { target, reason } => {
            let body = reason.map(|reason| json!({ "reason": reason }));
            act(&target, "signals/cancel", body.as_ref()).await
        }
        OrderCommand::UpdateAddress { target, address } => {
            let address = address_of(&address);
            let none = || CliError::Usage("say the new address: --line, or --street --city --zip --country".to_owned());
            let body = json!({ "address": address.ok_or_else(none)? });
            act(&target, "signals/update-address", Some(&body)).await
        }
        OrderCommand::Retry(target) => act(&target, "retry", None).await,
        OrderCommand::Pause(target) => act(&target, "pause", None).await,
        OrderCommand::Resume(target) => act(&target, "resume", None).await,
        OrderCommand::Logs(args) => logs::logs(&args).await,
        OrderCommand::Health(server) => {
            let text = Client::new(&server)?.get("/readyz").await?;
            show::print(&server, &text, |_| "ready".to_owned())
        }
    }
}

fn path(target: &Target, what: &str) -> String {
    format!("/orders/{}/{what}", encode(&target.order))
}

async fn show_order(target: &Target, path: &str) -> Result<(), CliError> {
    let text = Client::new(&target.server)?.get(path).await?;
    show::print(&target.server, &text, show::order)
}

async fn act(target: &Target, what: &str, body: Option<&Value>) -> Result<(), CliError> {
    let text = Client::new(&target.server)?.post(&path(target, what), body).await?;
    show::print(&target.server, &text, show::order)
}

async fn status(target: &Target, wait: Option<u32>, until: &str) -> Result<(), CliError> {
    let Some(seconds) = wait else { return show_order(target, &path(target, "status")).await };
    let path = format!("{}?wait={seconds}&until={}", path(target, "status"), encode(until));
    let text = Client::new(&target.server)?.wait(&path, seconds).await?;
    show::print(&target.server, &text, show::order)
}

fn address_of(args: &AddressArgs) -> Option<Value> {
    if let Some(line) = &args.line {
        return Some(json!(line));
    }
    let fields = [
        ("street", &args.street),
        ("city", &args.city),
        ("state", &args.state),
        ("zip_code", &args.zip),
        ("country", &args.country),
    ];
    let fields: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))).collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

async fn start(args: StartArgs) -> Result<(), CliError> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("payment_id", args.payment.map(Value::from));
    put("review", args.review.map(|review| json!(review)));
    put("review_seconds", args.review_seconds.map(Value::from));
    put("review_deadline_seconds", args.review_deadline_seconds.map(Value::from));
    put("deadline_seconds", args.deadline_seconds.map(Value::from));
    put("amount", args.amount.map(Value::from));
    put("currency", args.currency.map(Value::from));
    put("address", address_of(&args.address));
    let mut metadata = Map::new();
    for pair in &args.metadata {
        let wrong = || CliError::Usage(format!("--metadata {pair:?} is not KEY=VALUE"));
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        metadata.insert(key.to_owned(), json!(value));
    }
    put("metadata", (!metadata.is_empty()).then_some(Value::Object(metadata)));
    let client = Client::new(&args.target.server)?;
    let text = client.post(&path(&args.target, "start"), Some(&Value::Object(body))).await?;
    match args.wait {
        Some(_) => status(&args.target, args.wait, "terminal").await,
        None => show::print(&args.target.server, &text, show::order),
    }
}
