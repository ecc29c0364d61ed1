//! The listening server: sockets, workers, timeouts.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use std::{fmt, io};

use actix_http::body::BoxBody;
use actix_http::h1::H1Service;
use actix_http::{HttpService, Request, Response};
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory, map_config};
use actix_tls::accept::max_concurrent_tls_connect;
use actix_web::App;
use actix_web::dev::{AppConfig, Server};
use actix_web::web::Data;
use rustix::net::sockopt;

use super::routes::configure;
use super::tls::{Certificate, TlsError};
use super::{Seat, ServerOptions, Site};

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {bind}: {why}")]
    Listen { bind: SocketAddr, why: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Binds and returns the server, to be awaited, with the address it listens on. It leaves signals to the caller;
/// stop it by its handle. Must be called within an actix system, and after the metrics recorder is installed.
///
/// # Errors
/// [`ServeError`]
pub fn serve(options: ServerOptions, seat: Seat) -> Result<(Server, SocketAddr), ServeError> {
    let workers = options.workers.max(1);
    // Before anything runs.
    let certificate = options.tls.clone().map(Certificate::open).transpose()?;
    let site = Data::new(Site::new(options.clone(), seat.clone()));
    let (watching, metrics) = (site.clone(), options.metrics.clone());
    actix_rt::spawn(async move {
        loop {
            if let Ok(engine) = seat.engine() {
                watching.console.watch(engine, metrics.clone()).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let not_listening = |why| ServeError::Listen { bind: options.bind, why };
    let listener = listen(&options).map_err(not_listening)?;
    let addr = listener.local_addr().map_err(not_listening)?;
    let connections = options.max_connections.div_ceil(workers);
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(options.shutdown_timeout_s)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let app = move || map_config(App::new().app_data(site.clone()).configure(configure), |()| AppConfig::default());
    let server = match certificate {
        None => server.listen("http", listener, move || http1(app(), &options, &stopping).tcp()),
        Some(certificate) => {
            let config = certificate.config()?;
            actix_rt::spawn(certificate.watch());
            // Who is silent in its handshake keeps nobody out before the connections are used up.
            max_concurrent_tls_connect(connections);
            server.listen("https", listener, move || http1(app(), &options, &stopping).rustls_0_23(config.clone()))
        }
    };
    let server = server.map_err(|why| ServeError::Listen { bind: addr, why })?;
    Ok((server.run(), addr))
}

/// A socket whose connections inherit what is set here.
fn listen(options: &ServerOptions) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(options.bind)?;
    rustix::net::listen(&listener, i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    // Who fetches nothing of an answer for so long is let go: no other timeout looks at what is being sent.
    #[cfg(target_os = "linux")]
    {
        let longest_ms = i32::try_from(options.request_timeout_ms.saturating_mul(3)).unwrap_or(i32::MAX);
        sockopt::set_tcp_user_timeout(&listener, longest_ms.unsigned_abs())?;
    }
    Ok(listener)
}

/// HTTP/1 and nothing else, under TLS too: one connection is one request at a time, so that a bound on the connections is a
/// bound on all. HTTP/2 has no bound on the requests of a connection here, nor on the answers it does not fetch.
fn http1<T, S>(app: S, options: &ServerOptions, stopping: &GracefulShutdownSignal) -> H1Service<T, S, BoxBody>
where
    S: ServiceFactory<Request, Config = (), Service: Service<Request, Future: 'static>>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<BoxBody>> + 'static,
{
    let stopping = stopping.clone();
    HttpService::build()
        .keep_alive(Duration::from_millis(options.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(options.head_timeout_ms))
        .client_disconnect_timeout(Duration::from_secs(1))
        // A client that goes away is not handed anything any more: an attempt given to a dead worker would wait for its lease.
        .h1_allow_half_closed(false)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .h1(app)
}
