//! The listening server: sockets, workers, timeouts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

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
    let server = HttpServer::new(move || App::new().app_data(site.clone()).configure(configure))
        .workers(workers)
        .backlog(options.backlog)
        .max_connections(options.max_connections.div_ceil(workers))
        .keep_alive(Duration::from_millis(options.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(options.head_timeout_ms))
        .client_disconnect_timeout(Duration::from_secs(1))
        .shutdown_timeout(options.shutdown_timeout_s)
        // A client that goes away is not handed anything any more: an attempt given to a dead worker would wait for its lease.
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .disable_signals();
    let server = match certificate {
        None => server.bind(options.bind),
        Some(certificate) => {
            let config = certificate.config()?;
            actix_rt::spawn(certificate.watch());
            server.bind_rustls_0_23(options.bind, config)
        }
    };
    let server = server.map_err(|why| ServeError::Listen { bind: options.bind, why })?;
    let addr = server.addrs().first().copied().unwrap_or(options.bind);
    Ok((server.run(), addr))
}
