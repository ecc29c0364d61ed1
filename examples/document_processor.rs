//! A type of task of one's own, complete in this file: two activities, secrets in the parameters, no line of the engine.
//!
//! ```sh
//! cargo run --example document_processor -- serve
//! curl -X POST localhost:8000/api/tasks/start -H 'content-type: application/json' -d '{
//!   "task_type":"document_processor","task_params":{"title":"Report","text":"one two two","credentials":{"user":"me","password":"hunter2"}}}'
//! curl 'localhost:8000/api/tasks/TASK_ID?wait=10'
//! ```
//!
//! Everything else of the command line works too: `-- task types`, `-- verify`, …

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use ordain::activities::Activity;
use ordain::kernel::ActivityCall;
use ordain::model::{Failure, FailureKind};
use ordain::tasks::{self, TaskTypes};
use ordain::workflows::task::{Next, TaskType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The parameters: the schema of the API is made from this type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentProcessor {
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    pub text: String,
    /// For the archive. Sealed by its name: here it is never seen open.
    pub credentials: Credentials,
    /// How long the archive takes, in ms, to watch it at work.
    #[schemars(range(max = 60_000))]
    #[serde(default)]
    pub archive_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// How it goes: extract, archive, done. Pure; asked again after a crash, it says the same.
impl TaskType for DocumentProcessor {
    const NAME: &'static str = "document_processor";
    const DESCRIPTION: &'static str = "Finds the terms of a document and archives it.";
    const QUEUE: &'static str = "documents";

    fn total(&self) -> Option<u32> {
        Some(2)
    }

    fn next(&self, done: u32, memory: &Value) -> Next {
        match done {
            0 => Next::Call {
                activity: "extract_terms",
                input: json!({ "text": self.text }),
                message: "finding terms".to_owned(),
            },
            1 => Next::Call {
                activity: "archive_document",
                input: json!({
                    "title": self.title, "terms": memory["terms"], "credentials": self.credentials,
                    "archive_ms": self.archive_ms,
                }),
                message: "archiving".to_owned(),
            },
            _ => Next::Done(json!({ "terms": memory["terms"], "receipt": memory["receipt"] })),
        }
    }

    /// The results of both calls, one object.
    fn remember(&self, _done: u32, memory: &Value, result: &Value) -> Value {
        let fields = [memory, result].into_iter().filter_map(Value::as_object).flatten();
        Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// Counts words.
struct ExtractTerms;

impl Activity for ExtractTerms {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        async move {
            let text = call.input["text"].as_str().unwrap_or_default().to_lowercase();
            let mut terms: BTreeMap<&str, u32> = BTreeMap::new();
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                *terms.entry(word).or_default() += 1;
            }
            if terms.is_empty() {
                // This kind is final; an `Error` is tried again.
                return Err(Failure::new(FailureKind::Validation, "the document has no words"));
            }
            Ok(json!({ "terms": terms }))
        }
        .boxed_local()
    }
}

#[derive(Deserialize)]
struct ToArchive {
    title: String,
    /// Opened for this call.
    credentials: Credentials,
    archive_ms: u64,
}

/// Stands for a service outside. It is called at least once: a real one is sent `call.idempotency_key`.
struct ArchiveDocument;

impl Activity for ArchiveDocument {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        async move {
            let wrong = |e: serde_json::Error| Failure::new(FailureKind::Validation, e.to_string());
            let document: ToArchive = serde_json::from_value(call.input).map_err(wrong)?;
            tokio::time::sleep(Duration::from_millis(document.archive_ms)).await;
            let Credentials { user, password } = document.credentials;
            if password == "wrong" {
                return Err(Failure::new(FailureKind::Refused, format!("the archive refuses {user} with {password}")));
            }
            let digest = Sha256::digest(format!("{password} {}", call.idempotency_key));
            let receipt: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
            // A `token` in a result is sealed before it is stored.
            Ok(json!({ "receipt": format!("{}:{receipt}", document.title), "token": format!("session-of-{password}") }))
        }
        .boxed_local()
    }
}

/// The built-in types and this one.
pub fn types() -> TaskTypes {
    let mut types = tasks::builtin();
    types
        .add::<DocumentProcessor>()
        .activity("extract_terms", ExtractTerms)
        .activity("archive_document", ArchiveDocument);
    types
}

#[allow(dead_code, reason = "its test takes it in as a module")]
fn main() -> ExitCode {
    ordain::cli::run_with(types())
}
