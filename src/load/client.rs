//! One keep-alive connection, one request in flight on it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::response::{self, Body, Malformed, Response};
use super::target::Target;

/// No usable answer. The connection is gone and the next request makes a new one; whether the server did what it was
/// asked is not known.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the connection closed before the answer")]
    Closed,
    #[error("no answer in time")]
    Timeout,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

pub struct Line<'a> {
    target: &'a Target,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

/// An answer, valid until the next request on its line.
pub struct Answer<'a> {
    pub status: u16,
    pub retry_after: Option<Duration>,
    body: Body,
    bytes: &'a [u8],
}

impl Answer<'_> {
    pub fn body(&self) -> &[u8] {
        self.body.of(self.bytes)
    }
}

impl<'a> Line<'a> {
    pub fn new(target: &'a Target) -> Self {
        Self { target, stream: None, bytes: Vec::with_capacity(4_096) }
    }

    /// Sends a whole request and reads the whole answer.
    ///
    /// # Errors
    /// [`LineError`]; the line can be used again.
    pub async fn exchange(&mut self, request: &[u8], timeout: Duration) -> Result<Answer<'_>, LineError> {
        // The stream is put back only after a clean answer: an error or a dropped future closes it.
        let stream = self.stream.take();
        let talk = talk(self.target, stream, request, &mut self.bytes);
        let (response, stream) = tokio::time::timeout(timeout, talk).await.map_err(|_| LineError::Timeout)??;
        if response.keep_alive && response.length == self.bytes.len() {
            self.stream = Some(stream);
        }
        let Response { status, retry_after, body, .. } = response;
        Ok(Answer { status, retry_after, body, bytes: &self.bytes })
    }
}

async fn talk(
    target: &Target,
    stream: Option<TcpStream>,
    request: &[u8],
    bytes: &mut Vec<u8>,
) -> Result<(Response, TcpStream), LineError> {
    let mut stream = match stream {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(target.address).await?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    bytes.clear();
    stream.write_all(request).await?;
    loop {
        bytes.reserve(2_048);
        let closed = stream.read_buf(bytes).await? == 0;
        match response::parse(bytes, closed)? {
            Some(response) => return Ok((response, stream)),
            None if closed => return Err(LineError::Closed),
            None => {}
        }
    }
}
