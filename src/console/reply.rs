//! Answers with a page: strict headers, and problems as pages for people.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::{assets, layout};
use crate::http::problem::Problem;

pub fn page(status: StatusCode, body: Markup) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_SECURITY_POLICY, assets::csp()))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .insert_header((header::VARY, "accept"))
        .content_type("text/html; charset=utf-8")
        .body(body.into_string())
}

/// To another page, after a form: a reload then sends nothing again.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// The page, or the problem as a page.
pub fn or_problem(req: &HttpRequest, outcome: Result<HttpResponse, Problem>) -> HttpResponse {
    outcome.unwrap_or_else(|problem| {
        let mut response = page(problem.status, problem_page(req, &problem));
        if let Some(seconds) = problem.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    })
}

fn problem_page(req: &HttpRequest, problem: &Problem) -> Markup {
    let status = problem.status;
    let title = status.canonical_reason().unwrap_or("Problem");
    let main = html! {
        section.plain {
            p.eyebrow { (status.as_u16()) " · " code { (problem.code) } }
            h1 { (title) }
            p.lead { (problem.detail) }
            @if !problem.errors.is_empty() {
                ul { @for fault in &problem.errors { li { code { (fault.pointer) } " " (fault.message) } } }
            }
            p { @if req.method() == Method::GET { a href=(req.path()) { "Try again" } " · " } a href="/" { "All orders" } }
        }
    };
    layout::Shell { title, section: "", stream: None, after: 0, every_s: 0 }.render(&main)
}
