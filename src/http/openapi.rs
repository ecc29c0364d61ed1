//! The OpenAPI document, made from the handlers, and Swagger UI over it, from files in the binary.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::Config;

mod parameters;

use parameters::Forms;

use super::access::rule;
use super::json::Fault;
use super::problem::{Problem, ProblemBody};
use super::{audit, debug, events, jobs, keys, orders, queues, system, tasks, workflows};
use crate::http::orders::Outcome;

const PROBLEM_TYPE: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(title = "ordain", description = "A durable orchestrator. A 2xx to a write means: it is on disk."),
    paths(
        orders::start::start,
        orders::signals::approve,
        orders::signals::cancel,
        orders::signals::update_address,
        orders::status::status,
        orders::status::state,
        orders::history::history,
        orders::list::list,
        orders::operate::retry,
        orders::operate::pause,
        orders::operate::resume,
        jobs::start::start,
        jobs::status::status,
        jobs::list::list,
        jobs::cancel::cancel,
        tasks::types::types,
        tasks::start::start,
        tasks::status::status,
        tasks::list::list,
        tasks::history::history,
        tasks::result::result,
        tasks::cancel::cancel,
        workflows::record,
        workflows::history,
        events::events,
        keys::list,
        keys::create,
        keys::revoke,
        audit::audit,
        queues::list,
        queues::show,
        queues::change,
        queues::outside::poll,
        queues::outside::complete,
        queues::outside::fail,
        queues::outside::heartbeat,
        system::root,
        system::healthz,
        system::readyz,
        system::metrics,
        system::stats,
        system::policies,
        debug::actors,
        document,
        docs,
    ),
    components(schemas(ProblemBody<'_>, Fault)),
    modifiers(&Problems, &Forms),
    tags(
        (name = "orders", description = "Start orders, signal them, see them"),
        (name = "operations", description = "An operator's hand"),
        (name = "jobs", description = "Sums of numbers"),
        (name = "tasks", description = "Tasks of any registered type"),
        (name = "workflows", description = "Any workflow, children of orders included"),
        (name = "queues", description = "Task queues, and workers in any language"),
        (name = "access", description = "API keys, and who did what"),
        (name = "system", description = "The server itself"),
    )
)]
struct Document;

/// Every operation can answer a problem; said here once for all.
struct Problems;

const OF_ALL: [(&str, &str); 2] =
    [("405", "Another method, see Allow"), ("503", "Overloaded, draining, or the database is away; see Retry-After")];
const OF_WRITES: [(&str, &str); 9] = [
    ("400", "Malformed JSON or header"),
    ("403", "`forbidden`: the key lacks the scope; `cross_origin`: a page of another origin has sent it"),
    ("404", "Unknown id"),
    ("408", "The body did not arrive in time"),
    ("409", "The state forbids it"),
    ("413", "The body is over the limit"),
    ("415", "The body is not JSON"),
    ("422", "Well-formed but invalid; `errors` has every fault"),
    ("429", "Too many requests for this one, or with this key; see Retry-After"),
];
/// Of what needs a key, once there are keys.
const OF_KEYS: [(&str, &str); 3] = [
    ("401", "There are keys, and no valid one was shown"),
    ("403", "`forbidden`: the key lacks the scope"),
    ("429", "Too many requests with this key; see Retry-After"),
];
const SCHEME: &str = "api_key";
const OF_READS: [(&str, &str); 2] = [("404", "Unknown id"), ("422", "An invalid id or parameter")];

impl Modify for Problems {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "An API key. Needed once the server has keys; its scopes are read, operate (which \
             includes read) and admin (which includes both).",
        ));
        document.components.get_or_insert_default().add_security_scheme(SCHEME, SecurityScheme::Http(bearer.build()));
        for (path, item) in &mut document.paths.paths {
            let PathItem { get, post, patch, delete, .. } = item;
            let reads = ["/orders", "/jobs", "/api", "/workflows", "/stats", "/events", "/audit", "/debug"]
                .iter()
                .any(|start| path.starts_with(start));
            if let Some(get) = get {
                add(get, &OF_ALL);
                add(get, if reads { &OF_READS } else { &[] });
            }
            for (operation, acts) in [(&mut *get, false), (&mut *post, true), (&mut *patch, true), (&mut *delete, true)]
            {
                if let (Some(operation), Some(scope)) = (operation, rule(path, acts).scope) {
                    add(operation, &OF_KEYS);
                    operation.security = Some(vec![SecurityRequirement::new(SCHEME, [scope.as_str()])]);
                }
            }
            if let Some(delete) = delete {
                add(delete, &OF_ALL);
            }
            if let Some(patch) = patch {
                add(patch, &OF_ALL);
                add(patch, &OF_WRITES);
            }
            if let Some(post) = post {
                add(post, &OF_ALL);
                add(post, &OF_WRITES);
                // Where every field is optional, so is the body.
                let needed =
                    ["/update-address", "/jobs", "/api/tasks/start", "/keys"].iter().any(|end| path.ends_with(end))
                        || path.starts_with("/api/queues")
                        || path.starts_with("/api/activities");
                if let (Some(RefOr::T(body)), false) = (&mut post.request_body, needed) {
                    body.required = Some(Required::False);
                }
            }
        }
    }
}

fn add(operation: &mut Operation, problems: &[(&str, &str)]) {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    for (status, what) in problems {
        let content = ContentBuilder::new().schema(Some(schema.clone())).build();
        let known = operation.responses.responses.get(*status);
        // Where a handler says which codes there are, its words stay.
        let words = match known {
            Some(RefOr::T(response)) => response.description.clone(),
            _ => (*what).to_owned(),
        };
        let response = ResponseBuilder::new().description(words).content(PROBLEM_TYPE, content).build();
        operation.responses.responses.insert((*status).to_owned(), RefOr::T(response));
    }
}

/// The document as JSON text.
pub fn json() -> &'static str {
    static JSON: OnceLock<String> = OnceLock::new();
    JSON.get_or_init(|| Document::openapi().to_pretty_json().unwrap_or_default())
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(json())
}

/// Swagger UI
#[utoipa::path(
    get, path = "/docs", tag = "system",
    responses((status = 308, description = "To `/docs/`, the page itself"))
)]
pub async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// Swagger UI styles inline and draws its signs from data; it runs nothing inline, and loads nothing from elsewhere.
const DOCS_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The files of Swagger UI.
pub async fn docs_file(req: HttpRequest) -> Outcome {
    let config = Arc::new(Config::from("/openapi.json"));
    let name = req.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => {
            let mut response = HttpResponse::Ok();
            response.insert_header((header::CONTENT_SECURITY_POLICY, DOCS_CSP));
            if file.gzpipped {
                response.insert_header((header::CONTENT_ENCODING, "gzip"));
            }
            // None but the one that is filled in is copied.
            let content = match file.bytes {
                Cow::Borrowed(content) => Bytes::from_static(content),
                Cow::Owned(content) => Bytes::from(content),
            };
            Ok(response.content_type(file.content_type).body(content))
        }
        Ok(None) => Err(super::routes::not_found_problem()),
        Err(_) => Err(Problem::internal()),
    }
}
