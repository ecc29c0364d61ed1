//! Bytes that are not what HTTP wants, or far too many of them: refused in bounded time, without effect, and the next
//! client is served as if nothing had been.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::support::client;
use super::support::server::Server;

/// No answer to any of these takes longer.
const BOUND: Duration = Duration::from_secs(5);

/// Sends bytes as they are; the status, or `None` where the connection was closed without one.
fn send(server: &Server, bytes: &[u8]) -> Option<u16> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.line().address()).unwrap();
    stream.set_read_timeout(Some(BOUND * 2)).unwrap();
    // Who is refused early is not read to the end.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        began.elapsed() < BOUND,
        "{:?} for {}",
        began.elapsed(),
        String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
    );
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

fn start(head: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /orders/evil/start HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{head}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
fn what_is_no_http_is_refused_without_effect() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    let get = |more: &str| format!("GET /orders HTTP/1.1\r\nhost: localhost\r\n{more}\r\n\r\n").into_bytes();
    let many = (0..2_000).map(|n| format!("x-{n}: 1")).collect::<Vec<_>>().join("\r\n");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", b"\x00\xff\x16\x03\x01 garbage\r\n\r\n".to_vec()),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("another protocol", b"GET /orders SMTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
        ("a version from the future", b"GET /orders HTTP/9.9\r\nhost: localhost\r\n\r\n".to_vec()),
        ("no target", b"GET HTTP/1.1\r\n\r\n".to_vec()),
        ("a header without a colon", get("nonsense")),
        ("a header's name with a blank", get("x y: 1")),
        ("a NUL in a header", get("x-y: a\0b")),
        ("a header of 1 MiB", get(&format!("x-y: {}", "a".repeat(1 << 20)))),
        ("2,000 headers", get(&many)),
        (
            "a target of 200 KiB",
            format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(200 << 10)).into_bytes(),
        ),
        ("a length that is none", start("content-length: ten", "{}")),
        ("a negative length", start("content-length: -2", "{}")),
        ("a signed length", start("content-length: +2", "{}")),
        ("a length beyond 64 bits", start("content-length: 18446744073709551618", "{}")),
        ("a length of 16 EiB", start("content-length: 18446744073709551615", "{}")),
        ("two lengths", start("content-length: 2\r\ncontent-length: 3", "{} ")),
        ("a length and chunks", start("content-length: 2\r\ntransfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n")),
        ("an unknown coding", start("transfer-encoding: sideways", "{}")),
        ("chunked, and not last", start("transfer-encoding: chunked, identity", "2\r\n{}\r\n0\r\n\r\n")),
        ("a chunk's size that is none", start("transfer-encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n")),
        ("a chunk's size beyond 64 bits", start("transfer-encoding: chunked", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        ("a chunk longer than its size", start("transfer-encoding: chunked", "1\r\n{}\r\n0\r\n\r\n")),
        ("chunks without an end", start("transfer-encoding: chunked", "2\r\n{}\r\n")),
        ("a body that is cut off", start("content-length: 20", "{}")),
    ];
    for (what, bytes) in cases {
        let status = send(&server, &bytes);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{what}: {status:?}");
    }
    assert_eq!(server.get("/orders").json()["orders"], json!([]));
    assert_eq!(server.get("/readyz").status, 200);
    assert!(!server.whole_log().contains("panicked"), "{}", server.log());
}

#[test]
fn who_sends_a_head_or_a_body_drop_by_drop_is_told_to_go_in_bounded_time() {
    let env = [("ORDAIN_REQUEST_TIMEOUT_SECONDS", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let server = Server::start(&["--review-seconds", "0"], env.into());
    let drip = |head: &str, drops: &str| {
        let began = Instant::now();
        let mut stream = TcpStream::connect(server.line().address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut chunk = [0; 1_024];
        for drop in drops.bytes().cycle() {
            let gone = stream.write_all(&[drop]).is_err();
            match stream.read(&mut chunk) {
                Ok(n) if n > 0 => answer.extend_from_slice(&chunk[..n]),
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !gone => {}
                Err(_) => break,
            }
            assert!(began.elapsed() < Duration::from_secs(12), "it is still heard");
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let body = drip(&String::from_utf8(start("content-length: 100000", "{")).unwrap(), " ");
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("body_timeout"), "{body}");
    let head = drip("GET /orders HTTP/1.1\r\nhost: localhost\r\n", "x: y\r\n");
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head}");
    assert_eq!(server.get("/orders").json()["orders"], json!([]));
}

#[test]
fn a_number_is_read_as_json_means_it_however_it_is_written() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    let start = |id: &str, body: &str| {
        let path = format!("/orders/{id}/start");
        client::raw(server.line().address(), "POST", &path, &[], body.as_bytes()).unwrap()
    };
    for (id, quantity, status) in [
        ("a", "2.0", 202),
        ("b", "2e0", 202),
        ("c", "0.2e1", 202),
        ("d", "2.5", 422),
        ("e", "2e-1", 422),
        ("f", "9223372036854775808", 422),
        ("g", "1e400", 422),
    ] {
        let answer =
            start(id, &format!("{{\"items\":[{{\"sku\":\"x\",\"quantity\":{quantity},\"unit_price\":\"3.00\"}}]}}"));
        assert_eq!(answer.status, status, "{quantity}: {}", answer.text());
        if status == 202 {
            let order = server.get(&format!("/orders/{id}/state")).json();
            assert_eq!((&order["items"][0]["quantity"], &order["payment"]["amount"]), (&json!(2), &json!("6.00")));
        }
    }
    // So small that no decimal holds it, and so many digits: still a duration.
    for (id, seconds) in [("s", "5e-324"), ("t", "1.2345678901234567e-16"), ("u", "0.10000000000000000555")] {
        assert_eq!(start(id, &format!("{{\"review_seconds\":{seconds}}}")).status, 202, "{seconds}");
    }
}

#[test]
fn the_length_of_a_text_is_counted_in_characters_as_the_document_says() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    for (id, n, status) in [("fits", 512, 202), ("long", 513, 422)] {
        let body = json!({"amount": "1.00", "address": {"city": "ü".repeat(n)}, "review": "manual"});
        assert_eq!(server.post(&format!("/orders/{id}/start"), Some(&body)).status, status);
    }
    let reason = json!({"reason": "\u{1f600}".repeat(1_024)});
    assert_eq!(server.post("/orders/fits/signals/cancel", Some(&reason)).status, 202);
}

#[test]
fn the_servers_own_cursor_is_taken_however_long_what_it_sorts_by_is() {
    let server = Server::start(&[], Vec::new());
    for n in 0..3 {
        let body = json!({"amount": "1.00", "address": format!("{}{n}", "ü".repeat(500)), "review": "manual"});
        assert_eq!(server.post(&format!("/orders/o-{n}/start"), Some(&body)).status, 202);
    }
    for sort in ["address", "-address", "amount", "state", "order_id", "-updated_at"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = server.get(&format!("/orders?limit=1&sort={sort}{cursor}"));
            assert_eq!(answer.status, 200, "{sort}: {}", answer.text());
            let page = answer.json();
            seen.extend(page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].clone()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 3, "{sort}: {seen:?}");
    }
}
