//! `ordain key`: over HTTP where a server is named, else on the database itself, beside its server if there is one.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::access::Access;
use super::args::{DatabaseArgs, Output};
use super::client::{Client, encode};
use super::terminal::{clean, now};
use super::{CliError, out, show};
use crate::access::{KEYS_MAX, Key, KeyChange, Scope, Scopes, Secret, check_name, new_id};
use crate::config;
use crate::store::{self, AuditEntry, Location, OpenError};
use crate::tasks::TaskTypes;

/// How the command line is called in the audit.
const METHOD: &str = "CLI";

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key, and print it: this is its only appearance.
    Create {
        /// What it is called, for people.
        #[arg(long)]
        name: String,
        /// What it allows, with commas: to read, to operate (and read), to administer (and everything else).
        #[arg(long, value_enum, value_delimiter = ',', required = true)]
        scope: Vec<Scope>,
        /// It sees only this owner's orders, and what it starts is this owner's. Not with admin.
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        at: KeyArgs,
    },
    /// List the keys, without their secrets.
    List {
        #[command(flatten)]
        at: KeyArgs,
    },
    /// Revoke a key: it is refused from the next request on.
    Revoke {
        /// The key's id, as it was told when it was made.
        id: String,
        #[command(flatten)]
        at: KeyArgs,
    },
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The server to ask; without it, the database itself.
    #[arg(long, env = "ORDAIN_URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub access: Access,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

pub fn run(command: &KeyCommand, tasks: &Arc<TaskTypes>) -> Result<(), CliError> {
    match command {
        KeyCommand::Create { name, scope, owner, at } => {
            let scopes = Scopes::of(scope.iter().copied());
            check(name, scopes, owner.as_deref())?;
            let made = match Remote::of(at) {
                Some(remote) => {
                    let scopes: Vec<_> = scopes.iter().collect();
                    remote.ask(Ask::Create(json!({"name": name, "scopes": scopes, "owner": owner})))?
                }
                None => create(&at.database, tasks, name, scopes, owner.as_deref())?,
            };
            tell_made(&made, at.output)
        }
        KeyCommand::List { at } => {
            let list = match Remote::of(at) {
                Some(remote) => remote.ask(Ask::List)?,
                None => list(&at.database, tasks)?,
            };
            match at.output {
                Output::Json => out::line(list),
                Output::Table => tell_list(&list),
            }
        }
        KeyCommand::Revoke { id, at } => {
            let revoked = match Remote::of(at) {
                Some(remote) => remote.ask(Ask::Revoke(id.clone()))?,
                None => revoke(&at.database, tasks, id)?,
            };
            match at.output {
                Output::Json => out::line(revoked),
                Output::Table => out::line(format!("{} is revoked", clean(id))),
            }
        }
    }
}

fn check(name: &str, scopes: Scopes, owner: Option<&str>) -> Result<(), CliError> {
    let wrong = |flag: &str, why: String| CliError::Usage(format!("{flag} {why}"));
    check_name(name).map_err(|why| wrong("--name", why))?;
    if let Some(owner) = owner {
        check_name(owner).map_err(|why| wrong("--owner", why))?;
        if scopes.contains(Scope::Admin) {
            return Err(wrong("--owner", "cannot be given with the scope admin, which concerns all orders".to_owned()));
        }
    }
    Ok(())
}

fn tell_made(made: &Value, output: Output) -> Result<(), CliError> {
    if output == Output::Json {
        return out::line(made);
    }
    let field = |name: &str| made[name].as_str().map(clean).unwrap_or_default();
    out::note(&format!("{} is made; this is its only appearance:", field("key_id")));
    out::line(field("key"))
}

fn tell_list(list: &Value) -> Result<(), CliError> {
    let rows = list["keys"].as_array().into_iter().flatten().map(|key| {
        let field = |name: &str| key[name].as_str().map(clean).unwrap_or_default();
        let scopes: Vec<String> =
            key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).map(clean).collect();
        [field("key_id"), field("name"), scopes.join(","), field("owner"), field("created_at"), field("revoked_at")]
    });
    let mut table = show::table(&["key", "name", "scopes", "owner", "created", "revoked"]);
    table.add_rows(rows);
    out::line(table)
}

/// A server that is asked.
struct Remote<'a>(&'a KeyArgs, &'a str);

enum Ask {
    List,
    Create(Value),
    Revoke(String),
}

impl<'a> Remote<'a> {
    fn of(args: &'a KeyArgs) -> Option<Self> {
        args.url.as_deref().map(|url| Self(args, url))
    }

    fn ask(&self, what: Ask) -> Result<Value, CliError> {
        let text = actix_rt::System::new().block_on(async {
            let client = Client::at(self.1, &self.0.access)?;
            match what {
                Ask::List => client.get("/keys").await,
                Ask::Create(body) => client.post("/keys", Some(&body)).await,
                Ask::Revoke(id) => client.delete(&format!("/keys/{}", encode(&id))).await,
            }
        })?;
        show::read(&text)
    }
}

fn document(key: &Key) -> Value {
    json!({
        "key_id": key.id, "name": key.name, "scopes": key.scopes.iter().collect::<Vec<_>>(), "owner": key.owner,
        "configured": false, "created_at": key.created_at, "revoked_at": key.revoked_at,
    })
}

/// Changes the keys of the database itself: as its owner, or beside the server that owns it, which takes it up within
/// seconds. Whether there is such a key.
fn change(location: &Location, change: &KeyChange, entry: &AuditEntry) -> Result<bool, CliError> {
    match store::open(location, 1) {
        Ok(mut store) => {
            let full = store.api_keys.len() >= KEYS_MAX && matches!(change, KeyChange::Create(_));
            if full {
                return Err(too_many());
            }
            store.journal.change_keys(change, Some(entry)).map_err(failed)
        }
        Err(OpenError::InUse { .. }) => {
            let known = store::open_read_only(location)?.key_counts().map_err(failed)?;
            if matches!(change, KeyChange::Create(_)) && known.0 >= KEYS_MAX as i64 {
                return Err(too_many());
            }
            Ok(store::change_keys_beside(location, change, entry)?)
        }
        Err(other) => Err(other.into()),
    }
}

fn too_many() -> CliError {
    CliError::Refused(format!("there are {KEYS_MAX} keys already, revoked ones included"))
}

fn location(args: &DatabaseArgs, tasks: &Arc<TaskTypes>) -> Result<Location, CliError> {
    Ok(config::load(args.config.as_deref(), args, Arc::clone(tasks))?.location)
}

fn entry(route: &'static str, reason: String) -> AuditEntry {
    let at = now();
    AuditEntry {
        at,
        method: METHOD.into(),
        route: route.into(),
        order: None,
        key: None,
        status: 200,
        reason: Some(reason),
        remote: None,
    }
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::Refused(error.to_string())
}

fn create(
    args: &DatabaseArgs,
    tasks: &Arc<TaskTypes>,
    name: &str,
    scopes: Scopes,
    owner: Option<&str>,
) -> Result<Value, CliError> {
    let secret = Secret::generate().map_err(failed)?;
    let key = Arc::new(Key {
        id: new_id().map_err(failed)?,
        name: name.into(),
        digest: secret.digest(),
        scopes,
        owner: owner.map(Into::into),
        created_at: now(),
        revoked_at: None,
    });
    let entry = entry("key create", format!("made {}", key.id));
    change(&location(args, tasks)?, &KeyChange::Create(Arc::clone(&key)), &entry)?;
    let mut made = document(&key);
    made["key"] = json!(secret.reveal());
    Ok(made)
}

fn list(args: &DatabaseArgs, tasks: &Arc<TaskTypes>) -> Result<Value, CliError> {
    let mut keys = store::open_read_only(&location(args, tasks)?)?.keys().map_err(failed)?;
    keys.sort_by_key(|key| key.created_at);
    Ok(json!({ "keys": keys.iter().map(document).collect::<Vec<_>>() }))
}

fn revoke(args: &DatabaseArgs, tasks: &Arc<TaskTypes>, id: &str) -> Result<Value, CliError> {
    let location = location(args, tasks)?;
    let entry = entry("key revoke", format!("revoked {}", id.chars().take(64).collect::<String>()));
    if !change(&location, &KeyChange::Revoke { id: id.to_owned(), at: now() }, &entry)? {
        return Err(CliError::Refused(format!("there is no key {id:?} in the database (key_not_found)")));
    }
    let key = store::open_read_only(&location)?.keys().map_err(failed)?.into_iter().find(|key| *key.id == *id);
    Ok(key.as_ref().map(document).unwrap_or_default())
}
