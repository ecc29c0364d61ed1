//! The table of routes: one line for each. Whatever is not here is 404, whatever method is not here is 405.

use std::time::Instant;

use actix_web::dev::HttpServiceFactory;
use actix_web::guard::{Any, Get, Head};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder};

use super::frame::{Meter, framed};
use super::problem::Problem;
use super::{debug, events, jobs, openapi, orders, queues, system, tasks, workflows};
use crate::console;

/// Patterns by the path they are known under, the busiest first: the router tries them in this order.
pub fn configure(cfg: &mut ServiceConfig) {
    cfg.service(post("/orders/{order_id}/start", &[], orders::start::start))
        .service(get("/orders/{order_id}/status", orders::status::status))
        .service(post(
            "/orders/{order_id}/signals/approve",
            &["approve_order", "approve-order", "Approve", "ApproveOrder"],
            orders::signals::approve,
        ))
        .service(post(
            "/orders/{order_id}/signals/cancel",
            &["cancel_order", "cancel-order", "Cancel", "CancelOrder"],
            orders::signals::cancel,
        ))
        .service(post(
            "/orders/{order_id}/signals/update-address",
            &["update_address", "UpdateAddress"],
            orders::signals::update_address,
        ))
        .service(get("/orders/{order_id}/state", orders::status::state))
        .service(get("/orders/{order_id}/history", orders::history::history))
        .service(get("/orders", orders::list::list))
        .service(post("/orders/{order_id}/retry", &[], orders::operate::retry))
        .service(post("/orders/{order_id}/pause", &[], orders::operate::pause))
        .service(post("/orders/{order_id}/resume", &[], orders::operate::resume))
        .service(both("/jobs", jobs::list::list, jobs::start::start))
        .service(get("/jobs/{job_id}", jobs::status::status))
        .service(post("/jobs/{job_id}/cancel", &[], jobs::cancel::cancel))
        .service(get("/api/tasks/types", tasks::types::types))
        .service(post("/api/tasks/start", &[], tasks::start::start))
        .service(get("/api/tasks", tasks::list::list))
        .service(get("/api/tasks/{task_id}/history", tasks::history::history))
        .service(post("/api/tasks/{task_id}/cancel", &[], tasks::cancel::cancel))
        .service(get("/api/tasks/{task_id}", tasks::status::status))
        .service(get("/workflows/{id}/history", workflows::history))
        .service(get("/workflows/{id}", workflows::record))
        .service(get("/events", events::events))
        .service(post("/api/queues/{queue}/poll", &[], queues::outside::poll))
        .service(post("/api/activities/{token}/complete", &[], queues::outside::complete))
        .service(post("/api/activities/{token}/fail", &[], queues::outside::fail))
        .service(post("/api/activities/{token}/heartbeat", &[], queues::outside::heartbeat))
        .service(get("/api/queues", queues::list))
        .service(get_and_patch("/api/queues/{queue}", queues::show, queues::change))
        .service(get("/stats", system::stats))
        .service(get("/policies", system::policies))
        .service(get("/healthz", system::healthz))
        .service(get("/readyz", system::readyz))
        .service(get("/metrics", system::metrics))
        .service(get("/debug/actors", debug::actors))
        .service(get("/openapi.json", openapi::document))
        .service(get("/docs", openapi::docs))
        .service(get("/docs/{file}", openapi::docs_file))
        .configure(console::configure)
        .service(get("/", system::root))
        .default_service(web::to(not_found));
}

/// A documented path as the router's pattern: an order id may be empty, which is told as invalid and not as an
/// unknown route, and other ids contain slashes.
fn pattern(path: &str) -> String {
    path.replace("{order_id}", "{order_id:[^/]*}")
        .replace("{job_id}", "{job_id:[^/]*}")
        .replace("{task_id}", "{task_id:[^/]*}")
        .replace("{id}", "{id:.+}")
        .replace("{file}", "{file:.*}")
}

/// A route that is read; HEAD works where GET does.
pub(crate) fn get<F, Args>(path: &'static str, handler: F) -> impl HttpServiceFactory
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = web::route().guard(Any(Get()).or(Head())).to(handler);
    let resource = web::resource(pattern(path))
        .route(route)
        .default_service(web::to(|| async { Err::<HttpResponse, _>(not_allowed("GET, HEAD")) }));
    framed(resource, Meter::new(path, Method::GET))
}

/// A route that is written to; `aliases` are other names of the last segment.
pub(crate) fn post<F, Args>(path: &'static str, aliases: &[&str], handler: F) -> impl HttpServiceFactory
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut patterns = vec![pattern(path)];
    patterns.extend(aliases.iter().map(|alias| pattern(&format!("{parent}/{alias}"))));
    let resource = web::resource(patterns)
        .route(web::post().to(handler))
        .default_service(web::to(|| async { Err::<HttpResponse, _>(not_allowed("POST")) }));
    framed(resource, Meter::new(path, Method::POST))
}

/// A resource that is read, and changed in part.
fn get_and_patch<F, A, G, B>(path: &'static str, read: F, change: G) -> impl HttpServiceFactory
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<B>,
    B: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    let resource = web::resource(pattern(path))
        .route(web::route().guard(Any(Get()).or(Head())).to(read))
        .route(web::patch().to(change))
        .default_service(web::to(|| async { Err::<HttpResponse, _>(not_allowed("GET, HEAD, PATCH")) }));
    framed(resource, Meter::new(path, Method::GET))
}

/// A route that is read and written to.
pub(crate) fn both<F, A, G, B>(path: &'static str, read: F, write: G) -> impl HttpServiceFactory
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<B>,
    B: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    let resource = web::resource(pattern(path))
        .route(web::route().guard(Any(Get()).or(Head())).to(read))
        .route(web::post().to(write))
        .default_service(web::to(|| async { Err::<HttpResponse, _>(not_allowed("GET, HEAD, POST")) }));
    framed(resource, Meter::new(path, Method::POST))
}

fn not_allowed(methods: &'static str) -> Problem {
    let detail = "this resource does not know the method";
    Problem { allow: Some(methods), ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail) }
}

pub fn not_found_problem() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such resource")
}

async fn not_found(req: HttpRequest) -> HttpResponse {
    let response = not_found_problem().response(Some(req.uri().path()));
    Meter::new("unmatched", Method::GET).record(req.method(), response.status(), Instant::now());
    response
}
