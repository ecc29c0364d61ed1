//! The commands that talk to a server about orders.

use serde_json::{Map, Value, json};

use super::CliError;
use super::args::{AddressArgs, ListArgs, OrderCommand, Output, Server, StartArgs, Target};
use super::client::{Client, encode};
use super::{out, show};

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
        OrderCommand::List(args) => list(&args).await,
        OrderCommand::Describe(target) => describe(&target).await,
        OrderCommand::History(target) => history(&target).await,
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
        OrderCommand::Health(server) => {
            let text = Client::new(&server)?.get("/readyz").await?;
            print(&server, &text, |_| "ready".to_owned())
        }
    }
}

fn path(target: &Target, what: &str) -> String {
    format!("/orders/{}/{what}", encode(&target.order))
}

/// Prints an answer: as it came, or for people.
fn print(server: &Server, text: &str, for_people: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
    if server.output == Output::Json {
        return out::line(text);
    }
    let unread = |e: serde_json::Error| CliError::Refused(format!("the server's answer cannot be read: {e}"));
    out::line(for_people(&serde_json::from_str(text).map_err(unread)?))
}

async fn show_order(target: &Target, path: &str) -> Result<(), CliError> {
    let text = Client::new(&target.server)?.get(path).await?;
    print(&target.server, &text, show::order)
}

async fn act(target: &Target, what: &str, body: Option<&Value>) -> Result<(), CliError> {
    let text = Client::new(&target.server)?.post(&path(target, what), body).await?;
    print(&target.server, &text, show::order)
}

async fn status(target: &Target, wait: Option<u32>, until: &str) -> Result<(), CliError> {
    let Some(seconds) = wait else { return show_order(target, &path(target, "status")).await };
    let path = format!("{}?wait={seconds}&until={}", path(target, "status"), encode(until));
    let text = Client::new(&target.server)?.wait(&path, seconds).await?;
    print(&target.server, &text, show::order)
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
        None => print(&args.target.server, &text, show::order),
    }
}

async fn list(args: &ListArgs) -> Result<(), CliError> {
    let mut path = format!("/orders?limit={}", args.limit);
    let options = [("state", &args.state), ("q", &args.q), ("sort", &args.sort), ("cursor", &args.cursor)];
    for (name, value) in options {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    if args.retrying {
        path.push_str("&retrying=true");
    }
    let text = Client::new(&args.server)?.get(&path).await?;
    print(&args.server, &text, show::list)
}

async fn history(target: &Target) -> Result<(), CliError> {
    let client = Client::new(&target.server)?;
    let path = if target.order.contains('/') {
        let segments: Vec<String> = target.order.split('/').map(encode).collect();
        format!("/workflows/{}/history", segments.join("/"))
    } else {
        path(target, "history")
    };
    let text = client.get(&path).await?;
    print(&target.server, &text, show::history)
}

async fn describe(target: &Target) -> Result<(), CliError> {
    let client = Client::new(&target.server)?;
    let status = client.get(&path(target, "status")).await?;
    let history = client.get(&path(target, "history")).await?;
    let policies = client.get("/policies").await?;
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let all =
        json!({ "status": read(&status), "history": read(&history)["events"], "retry": read(&policies)["retry"] });
    print(&target.server, &all.to_string(), show::describe)
}
