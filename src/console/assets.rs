//! The files of the console, all of them in the binary. Their path carries a hash of their content, so that a browser
//! may keep them for ever. The style sheet stands in each page, for the first picture waits for it.

use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::http::fingerprint::hash;
use crate::http::problem::Problem;
use crate::http::routes::not_found_problem;

/// The style sheet of every page.
pub const CSS: &str = concat!(
    include_str!("static/tokens.css"),
    include_str!("static/console.css"),
    include_str!("static/order.css"),
    include_str!("static/charts.css"),
    include_str!("static/work.css")
);

/// Name, type, content.
const FILES: [(&str, &str, &str); 5] = [
    ("console.js", "text/javascript; charset=utf-8", include_str!("static/console.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("static/live.js")),
    ("keys.js", "text/javascript; charset=utf-8", include_str!("static/keys.js")),
    ("idiomorph.min.js", "text/javascript; charset=utf-8", include_str!("static/vendor/idiomorph.min.js")),
    ("mark.svg", "image/svg+xml", include_str!("static/mark.svg")),
];

/// The folder of this version's files.
fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| hash(&FILES.map(|(_, _, content)| content)).chars().take(12).collect())
}

/// What a page may contain and fetch: nothing from anywhere else, nothing inline but this style sheet, in nobody's frame.
pub fn csp() -> &'static str {
    static CSP: OnceLock<String> = OnceLock::new();
    CSP.get_or_init(|| {
        let css = STANDARD.encode(Sha256::digest(CSS));
        format!(
            "default-src 'none'; script-src 'self'; style-src 'sha256-{css}'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    })
}

/// The path of a file.
pub fn path(name: &str) -> String {
    format!("/console/static/{}/{name}", version())
}

pub async fn file(req: HttpRequest) -> Result<HttpResponse, Problem> {
    let wanted = req.match_info().get("file").unwrap_or_default();
    let (folder, name) = wanted.split_once('/').unwrap_or_default();
    let (_, kind, content) = FILES.iter().find(|(known, ..)| *known == name).ok_or_else(not_found_problem)?;
    let mut response = HttpResponse::Ok();
    if folder == version() {
        response.insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"));
    }
    Ok(response.content_type(*kind).body(*content))
}
