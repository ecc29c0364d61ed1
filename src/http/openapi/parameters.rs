//! What the parameters that many operations share must look like; said here once for all of them.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{OpenApi, RefOr};

const ID: &str = r"^(?!\.{1,2}$)[A-Za-z0-9._:~-]{1,128}$";

/// Name, pattern, and words where the operation has none of its own.
const FORMS: [(&str, &str, &str); 8] = [
    ("order_id", ID, "1 to 128 characters out of A-Z a-z 0-9 . _ : ~ -"),
    ("job_id", ID, "As the start answered it"),
    ("task_id", ID, "As the start answered it"),
    // At most four parts: a child of a child is the deepest there is.
    ("id", r"^(?!\.{1,2}(/|$))[A-Za-z0-9._:~-]{1,128}(/(?!\.{1,2}(/|$))[A-Za-z0-9._:~-]{1,80}){0,4}$", ""),
    ("payment_id", "^[!-~]{1,128}$", ""),
    ("Idempotency-Key", "^[!-~]{1,255}$", "The same key and request get the first answer again"),
    ("traceparent", "^[ -~]*$", ""),
    (
        "until",
        "^(terminal|received|validated|in_review|charging|shipping|completed|compensating|cancelled|failed|timed_out|stuck)$",
        "",
    ),
];

/// Gives each of these parameters its form, wherever it stands.
pub struct Forms;

impl Modify for Forms {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let PathItem { get, post, patch, delete, .. } = item;
            for operation in [get, post, patch, delete].into_iter().flatten() {
                shape(operation);
            }
        }
    }
}

fn shape(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Some((_, pattern, words)) = FORMS.iter().find(|(name, ..)| *name == parameter.name) else { continue };
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(*pattern)).build();
        parameter.schema = Some(RefOr::T(Schema::Object(text)));
        describe(parameter, words);
    }
}

fn describe(parameter: &mut Parameter, words: &str) {
    if parameter.description.is_none() && !words.is_empty() {
        parameter.description = Some(words.to_owned());
    }
}
