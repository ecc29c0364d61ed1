//! The files of the console, all of them in the binary. Their path carries a hash of their content, so that a browser
//! may keep them for ever.

use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::fingerprint::hash;
use crate::http::problem::Problem;
use crate::http::routes::not_found_problem;

const CSS: &str = concat!(
    include_str!("static/tokens.css"),
    include_str!("static/console.css"),
    include_str!("static/order.css"),
    include_str!("static/charts.css"),
    include_str!("static/work.css")
);

/// Name, type, content.
const FILES: [(&str, &str, &str); 6] = [
    ("console.css", "text/css; charset=utf-8", CSS),
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
