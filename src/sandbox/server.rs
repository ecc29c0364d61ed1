//! The listening server and its routes.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::{HttpServiceFactory, Server};
use actix_web::guard::{Any, Get, Head};
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Route};

use super::record::Kind;
use super::world::World;
use super::{SandboxError, SandboxOptions, control, gateway, portal};
use crate::http::frame::plain;
use crate::http::problem::Problem;

const WORKERS_MAX: usize = 4;
const CONNECTIONS_MAX: usize = 20_000;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests under way may take to end; those that hang on purpose take longer.
const SHUTDOWN_S: u64 = 2;

/// What is here, for people.
pub const ROUTES: [(&str, &str); 15] = [
    ("POST", "/charge_payment"),
    ("POST", "/refund_payment"),
    ("POST", "/prepare_package"),
    ("POST", "/dispatch_carrier"),
    ("GET", "/ledger"),
    ("GET", "/ledger/totals"),
    ("GET", "/faults"),
    ("PUT", "/faults"),
    ("POST", "/faults/next"),
    ("POST", "/portal/login"),
    ("GET", "/portal/invoices"),
    ("GET", "/portal/invoices/{id}"),
    ("POST", "/portal/storm"),
    ("GET", "/portal/stats"),
    ("GET", "/healthz"),
];

/// Reads the ledger's file, binds, and returns the server, to be awaited, with the address it listens on. It leaves
/// signals to the caller; stop it by its handle. Must be called within an actix system.
///
/// # Errors
/// [`SandboxError`] where the file cannot be used or the address cannot be listened on.
pub fn listen(options: &SandboxOptions) -> Result<(Server, SocketAddr), SandboxError> {
    let wrong = |e| SandboxError::Listen(options.bind, e);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let world = Data::new(World::new(options)?);
    let server = HttpServer::new(move || App::new().app_data(world.clone()).configure(configure))
        .workers(workers)
        .max_connections(CONNECTIONS_MAX.div_ceil(workers))
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(Duration::from_secs(1))
        .shutdown_timeout(SHUTDOWN_S)
        .tcp_nodelay(true)
        .disable_signals()
        .bind(options.bind)
        .map_err(wrong)?;
    let address = server.addrs().first().copied().unwrap_or(options.bind);
    Ok((server.run(), address))
}

fn configure(cfg: &mut ServiceConfig) {
    for kind in Kind::ALL {
        let serve = move |req: HttpRequest, world: Data<World>, body: Payload| gateway::serve(kind, req, world, body);
        cfg.service(at(kind.path(), "POST", [web::post().to(serve)]));
    }
    let get = || web::route().guard(Any(Get()).or(Head()));
    let faults = [get().to(control::faults), web::put().to(control::set_faults)];
    cfg.service(at("/ledger", "GET, HEAD", [get().to(control::ledger)]))
        .service(at("/ledger/totals", "GET, HEAD", [get().to(control::totals)]))
        .service(at("/faults", "GET, HEAD, PUT", faults))
        .service(at("/faults/next", "POST", [web::post().to(control::next_faults)]))
        .service(at("/portal/login", "POST", [web::post().to(portal::login)]))
        .service(at("/portal/invoices", "GET, HEAD", [get().to(portal::list)]))
        .service(at("/portal/invoices/{id}", "GET, HEAD", [get().to(portal::invoice)]))
        .service(at("/portal/storm", "POST", [web::post().to(portal::storm)]))
        .service(at("/portal/stats", "GET, HEAD", [get().to(portal::stats)]))
        .service(at("/healthz", "GET, HEAD", [get().to(control::health)]))
        .service(at("/", "GET, HEAD", [get().to(control::root)]))
        .default_service(web::to(not_found));
}

/// A resource in its frame: a panic is a 500, a method that is not there 405, both as problems.
fn at<const N: usize>(path: &'static str, allow: &'static str, routes: [Route; N]) -> impl HttpServiceFactory {
    let not_allowed = move || async move {
        let detail = "this resource does not know the method";
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Err::<HttpResponse, _>(Problem { allow: Some(allow), ..problem })
    };
    let resource = routes.into_iter().fold(web::resource(path), actix_web::Resource::route);
    plain(resource.default_service(web::to(not_allowed)))
}

async fn not_found(req: HttpRequest) -> HttpResponse {
    let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such resource");
    problem.response(Some(req.uri().path()))
}
