//! A small blocking HTTP client: a connection for each request, so that nothing outlives a killed server.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer the server may take its time for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// If there is no connection, or no whole answer: whether it was done is not known then.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> io::Result<Response> {
    let body = body.map(|json| ("application/json", json.to_string().into_bytes()));
    send(address, method, path, headers, body)
}

/// Sends a form, as a browser does, from one of the server's own pages.
///
/// # Errors
/// As [`request`].
pub fn form(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> io::Result<Response> {
    form_with(address, path, fields, &[])
}

/// The same with headers of its own, such as a cookie.
///
/// # Errors
/// As [`request`].
pub fn form_with(
    address: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
    more: &[(&str, &str)],
) -> io::Result<Response> {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let origin = format!("http://{address}");
    let body = ("application/x-www-form-urlencoded", pairs.join("&").into_bytes());
    let headers: Vec<_> = [("origin", origin.as_str()), ("accept", "text/html")].iter().chain(more).copied().collect();
    send(address, "POST", path, &headers, Some(body))
}

/// The same with a body as it is, number by number.
///
/// # Errors
/// As [`request`].
pub fn raw(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    send(address, method, path, headers, Some(("application/json", body.to_vec())))
}

fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<(&str, Vec<u8>)>,
) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if let Some((kind, body)) = &body {
        text += &format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
    } else if method != "GET" {
        text += "content-length: 0\r\n";
    }
    text += "\r\n";
    stream.write_all(text.as_bytes())?;
    stream.write_all(body.as_ref().map_or(&[], |(_, body)| body.as_slice()))?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 65_536]);
    loop {
        let n = stream.read(&mut chunk)?;
        bytes.extend_from_slice(&chunk[..n]);
        // Not every server hangs up when it is asked to.
        let is_whole = || parse(&bytes, method).is_some_and(|r| r.header("content-length").is_some());
        if n == 0 || is_whole() {
            break;
        }
    }
    parse(&bytes, method).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no whole answer"))
}

/// A whole answer to a method, or `None` where a part is missing.
fn parse(bytes: &[u8], method: &str) -> Option<Response> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response { status, headers, body: Vec::new() };
    let rest = &bytes[end + 4..];
    response.body = if method == "HEAD" {
        Vec::new()
    } else if response.header("transfer-encoding") == Some("chunked") {
        unchunk(rest)?
    } else if let Some(length) = response.header("content-length") {
        rest.get(..length.parse().ok()?)?.to_vec()
    } else {
        rest.to_vec()
    };
    Some(response)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line_end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[line_end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[test]
fn answers_of_both_forms_are_read_whole_or_not_at_all() {
    let body = |text: &str| parse(text.as_bytes(), "GET").map(|r| r.text());
    assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Some("ok".into()));
    assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), None);
    assert_eq!(
        body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\n\r\n"),
        Some("ok!".into())
    );
    assert_eq!(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"), None);
    assert_eq!(body("HTTP/1.1 200 OK"), None);
}
