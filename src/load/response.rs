//! Reads HTTP/1.1 answers out of bytes as they arrive. Knows framing, the status and three headers, and nothing else.

use std::ops::Range;
use std::time::Duration;

/// An answer is refused beyond these.
const HEAD_MAX: usize = 64 * 1024;
const BODY_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The connection may carry another request.
    pub keep_alive: bool,
    pub body: Body,
    /// Bytes the answer took.
    pub length: usize,
}

/// Where the body is: in the bytes that were read, or put together from chunks.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    Within(Range<usize>),
    Joined(Vec<u8>),
}

impl Body {
    pub fn of<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Within(range) => bytes.get(range.clone()).unwrap_or_default(),
            Self::Joined(body) => body,
        }
    }
}

/// What came is not HTTP/1.1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an HTTP/1.1 answer: {0}")]
pub struct Malformed(pub &'static str);

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// The answer at the beginning of `bytes`; `None` while it is not complete. `closed`: nothing more will come.
///
/// # Errors
/// [`Malformed`] if it can never become one.
pub fn parse(bytes: &[u8], closed: bool) -> Result<Option<Response>, Malformed> {
    let mut skipped = 0;
    loop {
        let rest = bytes.get(skipped..).unwrap_or_default();
        let Some(mut found) = parse_one(rest, skipped, closed)? else { return Ok(None) };
        if (100..200).contains(&found.status) {
            skipped = found.length;
            continue;
        }
        found.keep_alive &= !closed;
        return Ok(Some(found));
    }
}

/// Parses the answer that begins at `offset` of the buffer; its ranges and length are those of the whole buffer.
fn parse_one(bytes: &[u8], offset: usize, closed: bool) -> Result<Option<Response>, Malformed> {
    let Some(head_end) = find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MAX { Err(Malformed("the head does not end")) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| Malformed("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let (version, rest) = status_line.split_once(' ').ok_or(Malformed("no status line"))?;
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(Malformed("another version of HTTP")),
    };
    let status: u16 = rest.get(..3).and_then(|s| s.parse().ok()).ok_or(Malformed("no status"))?;
    let bodiless = status < 200 || status == 204 || status == 304;
    let mut framing = if bodiless { Framing::Length(0) } else { Framing::UntilClose };
    let mut retry_after = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Malformed("a header without a colon"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") && !bodiless {
            let length = value.parse().map_err(|_| Malformed("content-length is not a number"))?;
            if length > BODY_MAX {
                return Err(Malformed("the body is too long"));
            }
            if !matches!(framing, Framing::Chunked) {
                framing = Framing::Length(length);
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") && !bodiless {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(Malformed("an unknown transfer-encoding"));
            }
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            keep_alive =
                !value.eq_ignore_ascii_case("close") && (keep_alive || value.eq_ignore_ascii_case("keep-alive"));
        } else if name.eq_ignore_ascii_case("retry-after") {
            retry_after = value.parse().ok().map(Duration::from_secs);
        }
    }
    let body_at = head_end + 4;
    let (body, end) = match framing {
        Framing::Length(length) if bytes.len() < body_at + length => return Ok(None),
        Framing::Length(length) => (Body::Within(offset + body_at..offset + body_at + length), body_at + length),
        Framing::Chunked => match join_chunks(&bytes[body_at..])? {
            None => return Ok(None),
            Some((joined, used)) => (Body::Joined(joined), body_at + used),
        },
        Framing::UntilClose if !closed => return Ok(None),
        Framing::UntilClose => (Body::Within(offset + body_at..offset + bytes.len()), bytes.len()),
    };
    Ok(Some(Response { status, retry_after, keep_alive, body, length: offset + end }))
}

/// The body out of its chunks and the bytes they took, trailers included; `None` while it is not complete.
fn join_chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let mut joined = Vec::new();
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let Some(line_end) = find(rest, b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(&rest[..line_end]).map_err(|_| Malformed("a chunk size is not text"))?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| Malformed("a chunk size is not a number"))?;
        let data_at = line_end + 2;
        if size == 0 {
            return Ok(end_of_trailers(rest, data_at).map(|end| (joined, at + end)));
        }
        if size > BODY_MAX - joined.len() {
            return Err(Malformed("the body is too long"));
        }
        let Some(chunk) = rest.get(data_at..data_at + size + 2) else { return Ok(None) };
        let Some(data) = chunk.strip_suffix(b"\r\n") else { return Err(Malformed("a chunk is longer than its size")) };
        joined.extend_from_slice(data);
        at += data_at + size + 2;
    }
}

/// Where the trailers that begin at `at` end: with an empty line.
fn end_of_trailers(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes one at a time: nothing before the last, the answer with it.
    fn byte_by_byte(bytes: &[u8]) -> Response {
        for n in 0..bytes.len() {
            assert_eq!(parse(&bytes[..n], false), Ok(None), "after {n} bytes");
        }
        parse(bytes, false).unwrap().unwrap()
    }

    #[test]
    fn an_answer_with_a_length_may_come_in_any_pieces() {
        let bytes = b"HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\nDate: x\r\n\r\nhello";
        let found = byte_by_byte(bytes);
        assert_eq!((found.status, found.keep_alive, found.length), (202, true, bytes.len()));
        assert_eq!(found.body.of(bytes), b"hello");
    }

    #[test]
    fn a_chunked_answer_may_come_in_any_pieces() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, world\r\n!\r\n0\r\nT: v\r\n\r\n";
        let found = byte_by_byte(bytes);
        assert_eq!(found.body.of(bytes), b"hello, world\r\n!");
        assert_eq!(found.length, bytes.len());
        let plain = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(byte_by_byte(plain).body, Body::Joined(Vec::new()));
    }

    #[test]
    fn what_follows_an_answer_is_left_alone() {
        let one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let two = [one.as_slice(), one].concat();
        assert_eq!(parse(&two, false).unwrap().unwrap().length, one.len());
        let none = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(byte_by_byte(none).length, none.len());
    }

    #[test]
    fn an_interim_answer_is_skipped() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let found = byte_by_byte(bytes);
        assert_eq!((found.status, found.length), (200, bytes.len()));
        assert_eq!(found.body.of(bytes), b"ok");
    }

    #[test]
    fn close_and_retry_after_are_seen() {
        let bytes = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
        let found = byte_by_byte(bytes);
        assert_eq!((found.keep_alive, found.retry_after), (false, Some(Duration::from_secs(2))));
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let bytes = b"HTTP/1.0 200 OK\r\n\r\nall of it";
        assert_eq!(parse(bytes, false), Ok(None));
        let found = parse(bytes, true).unwrap().unwrap();
        assert_eq!((found.body.of(bytes), found.keep_alive), (b"all of it".as_slice(), false));
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        for bytes in [
            b"SSH-2.0-x y\r\n\r\n".as_slice(),
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert!(parse(bytes, false).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(parse(&vec![b'x'; HEAD_MAX + 1], false).is_err());
    }
}
