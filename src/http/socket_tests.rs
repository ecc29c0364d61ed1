//! What only a real socket shows: large bodies, slow clients, HEAD, requests that are not HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::ServerOptions;
use super::server::serve;
use crate::http::Seat;

/// Runs a server without an engine, and `client` on a thread of its own against it.
fn with_server(options: ServerOptions, client: impl FnOnce(SocketAddr) + Send + 'static) {
    actix_web::rt::System::new().block_on(async move {
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        let (server, addr) = serve(ServerOptions { bind, workers: 1, ..options }, Seat::default()).unwrap();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        let outcome = actix_web::rt::task::spawn_blocking(move || client(addr)).await;
        handle.stop(false).await;
        running.await.unwrap().unwrap();
        outcome.unwrap();
    });
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _reset = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_body_of_20_mb_is_answered_413() {
    with_server(ServerOptions::default(), |addr| {
        let mut stream = connect(addr);
        let head = "POST /orders/o-1/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b' '; 100_000];
        for _ in 0..200 {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        let text = answer(stream);
        assert!(text.starts_with("HTTP/1.1 413") && text.contains("body_too_large"), "{text}");
    });
}

#[test]
fn a_body_that_does_not_come_is_answered_in_time() {
    let options = ServerOptions { request_timeout_ms: 300, ..ServerOptions::default() };
    with_server(options, |addr| {
        let mut stream = connect(addr);
        let head = "POST /orders/o-1/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
        let text = answer(stream);
        assert!(text.starts_with("HTTP/1.1 408") && text.contains("body_timeout"), "{text}");
    });
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let options = ServerOptions { head_timeout_ms: 300, ..ServerOptions::default() };
    with_server(options, |addr| {
        let mut stream = connect(addr);
        stream.write_all(b"GET /healthz HT").unwrap();
        let text = answer(stream);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    });
}

#[test]
fn a_head_request_gets_the_head_alone() {
    with_server(ServerOptions::default(), |addr| {
        let mut stream = connect(addr);
        stream.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let text = answer(stream);
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("content-length: 15"), "{text}");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
    });
}

#[test]
fn dots_in_a_raw_path_reach_the_check_of_the_id() {
    with_server(ServerOptions::default(), |addr| {
        for path in ["/orders/../start", "/orders/%00/start", "/orders/%2F/start", "/orders/%ff/start"] {
            let mut stream = connect(addr);
            let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let text = answer(stream);
            assert!(text.starts_with("HTTP/1.1 422") && text.contains("invalid_order_id"), "{text}");
        }
    });
}
