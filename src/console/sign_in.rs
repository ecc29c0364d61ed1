//! Signing in with an API key, once there are keys. The key is sent once; from then on a cookie stands for it.

use actix_web::dev::ServiceRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::layout::Shell;
use super::{form, reply};
use crate::access::{Digest, Scope};
use crate::http::Site;
use crate::http::access::{Asker, SESSION_LASTS_S, Visit};
use crate::http::problem::Problem;
use crate::http::query::{Query, decode};

const PATH: &str = "/console/sign-in";
const NEXT_BYTES_MAX: usize = 1_024;

/// Whether whoever sent this is a person at a page of the console.
pub fn is_for(req: &ServiceRequest) -> bool {
    let accept = req.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && req.path().starts_with("/console/")
}

/// The page that is shown in place of one that needs a key.
pub fn instead(req: &ServiceRequest) -> HttpResponse {
    let looked = req.method().is_safe();
    let next = if looked { here(req.path(), req.query_string()) } else { "/".to_owned() };
    page(StatusCode::UNAUTHORIZED, &question(&next, None))
}

/// The front page of one who has not signed in.
pub fn at_the_door(req: &HttpRequest) -> HttpResponse {
    page(StatusCode::UNAUTHORIZED, &question(&here(req.path(), req.query_string()), None))
}

fn here(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Where one stands: signed in, not yet, or no need to.
pub async fn show(req: HttpRequest, site: Data<Site>) -> HttpResponse {
    let mut query = Query::read(req.query_string());
    let next = own(query.take("next"));
    if let Err(faults) = query.finish().or(()) {
        return reply::or_problem(&req, Err(faults.into()));
    }
    let main = match &Visit::of(&req).asker {
        _ if !site.needs_keys() => html! {
            section.plain { h1 { "No key is needed" } p.lead { "This server has no API keys: who reaches it may do everything." } }
        },
        Asker::Key(key) => html! {
            section.plain {
                p.eyebrow { "Signed in" }
                h1 { (key.name) }
                p.lead { "May " (key.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(", "))
                    @if let Some(owner) = &key.owner { "; sees the orders of " code { (owner) } " alone" } "." }
                form method="post" action="/console/sign-out" { button { "Sign out" } }
            }
        },
        Asker::Anyone | Asker::Nobody => question(&next, None),
    };
    page(StatusCode::OK, &main)
}

/// A key was typed in.
pub async fn sign_in(req: HttpRequest, site: Data<Site>, payload: Payload) -> HttpResponse {
    let outcome = take(&req, &site, payload).await;
    reply::or_problem(&req, outcome)
}

async fn take(req: &HttpRequest, site: &Site, payload: Payload) -> Result<HttpResponse, Problem> {
    let deadline = site.deadline();
    let mut form = form::read(req, payload, site.options.body_limit_bytes, deadline).await?;
    let secret = form.take("key").unwrap_or_default();
    let next = own(form.take("next"));
    form.finish().or(())?;
    let digest = Digest::of(secret.trim().as_bytes());
    if !site.needs_keys() {
        return Ok(reply::see_other("/"));
    }
    let Some(key) = site.key(&digest) else {
        return Ok(page(StatusCode::UNAUTHORIZED, &question(&next, Some("This key is not known, or was revoked."))));
    };
    let cookie = site.gate.sessions.open(digest).map_err(|error| {
        tracing::error!(%error, "no session can be opened");
        Problem::internal()
    })?;
    tracing::info!(key_id = %key.id, "signed in to the console");
    let mut answer = reply::see_other(&next);
    answer
        .headers_mut()
        .insert(header::SET_COOKIE, header::HeaderValue::from_str(&cookie).map_err(|_| Problem::internal())?);
    Ok(answer)
}

/// Ends the session.
pub async fn sign_out(req: HttpRequest, site: Data<Site>, payload: Payload) -> HttpResponse {
    let outcome = async {
        form::read(&req, payload, site.options.body_limit_bytes, site.deadline()).await?.finish().or(())?;
        let cookie = site.gate.sessions.close(req.headers());
        let mut answer = reply::see_other(PATH);
        let cookie = header::HeaderValue::from_str(&cookie).map_err(|_| Problem::internal())?;
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(answer)
    };
    let outcome = outcome.await;
    reply::or_problem(&req, outcome)
}

/// A page of our own to go to; anything else is the front page.
fn own(next: Option<String>) -> String {
    let is_own = |path: &String| {
        let plain = path.len() <= NEXT_BYTES_MAX && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        plain && (path == "/" || path.starts_with("/?") || path.starts_with("/console/")) && decode(path).is_some()
    };
    next.filter(is_own).unwrap_or_else(|| "/".to_owned())
}

fn question(next: &str, wrong: Option<&str>) -> Markup {
    let hours = SESSION_LASTS_S / 3_600;
    html! {
        section.plain {
            h1 { "Sign in" }
            p.lead { "This server has API keys. Show one: it is sent once and kept nowhere, neither here nor there." }
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
            form.sign-in method="post" action=(PATH) {
                input type="hidden" name="next" value=(next);
                label for="key" { "API key" }
                input #key name="key" type="password" required autocomplete="off" spellcheck="false" autofocus;
                button.primary { "Sign in" }
            }
            p.what { "A cookie stands for it, for " (hours) " hours or until the server is started again. "
                code { "ordain key create" } " makes a key." }
        }
    }
}

fn page(status: StatusCode, main: &Markup) -> HttpResponse {
    let shell = Shell { title: "Sign in", section: PATH, stream: None, after: 0, every_s: 0 };
    reply::page(status, shell.render(main))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_one_gets_to_our_own_pages_alone() {
        for path in ["/", "/?state=failed", "/console/orders/o-1?at=2"] {
            assert_eq!(own(Some(path.to_owned())), path);
        }
        for other in
            ["", "//evil.example", "https://evil.example", "/\\evil", "/docs", "/console/\r\nx", "javascript:0"]
        {
            assert_eq!(own(Some(other.to_owned())), "/", "{other}");
        }
    }
}
