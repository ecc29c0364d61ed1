//! The server side of HTTP/1.1 by hand, on a thread of its own, so that it can misbehave in every way a real one can.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// The connection is closed without a byte.
    Close,
    /// More body is promised than is sent before the connection is closed.
    Torn {
        status: u16,
        body: Vec<u8>,
    },
    /// The same of a body in chunks: one of them at most, and no end.
    TornChunks {
        status: u16,
        body: Vec<u8>,
    },
    /// Nothing is ever said; the connection stays open until the client leaves.
    Silence,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

pub type Handler = dyn Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync;
/// Is told of each request whose whole answer was sent.
pub type Replied = dyn Fn(&Request) + Send + Sync;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Up,
    Down,
    Ended,
}

/// A running server; dropped, it ends.
pub struct Host {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    pub fn start(handler: impl Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync + 'static) -> Self {
        Self::watched(handler, |_| {})
    }

    pub fn watched(
        handler: impl Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
        replied: impl Fn(&Request) + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (mode, modes) = watch::channel(Mode::Up);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                host(listener, address, Arc::new(handler), Arc::new(replied), modes).await;
            });
        };
        Self { address, mode, thread: Some(thread::spawn(run)) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Refuses connections from now on, and cuts those that are open.
    pub fn down(&self) {
        self.change(Mode::Down);
    }

    /// Takes connections again, at the same address.
    pub fn up(&self) {
        self.change(Mode::Up);
    }

    fn change(&self, mode: Mode) {
        self.mode.send_replace(mode);
        let until = Instant::now() + Duration::from_secs(10);
        while StdStream::connect(self.address).is_ok() != (mode == Mode::Up) {
            assert!(Instant::now() < until, "the outside world does not become {mode:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::Ended);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn host(
    first: TcpListener,
    address: SocketAddr,
    handler: Arc<Handler>,
    replied: Arc<Replied>,
    mut modes: watch::Receiver<Mode>,
) {
    let mut listening = Some(first);
    loop {
        let mode = *modes.borrow_and_update();
        match mode {
            Mode::Ended => return,
            Mode::Down => {
                listening = None;
                let _ = modes.changed().await;
                continue;
            }
            Mode::Up => {}
        }
        let Some(listener) = &listening else {
            match TcpListener::bind(address).await {
                Ok(listener) => listening = Some(listener),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            continue;
        };
        tokio::select! {
            _ = modes.changed() => {}
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (handler, replied, mut modes) = (Arc::clone(&handler), Arc::clone(&replied), modes.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = modes.wait_for(|mode| *mode != Mode::Up) => {}
                        _ = connection(stream, handler.as_ref(), replied.as_ref()) => {}
                    }
                });
            },
        }
    }
}

/// Serves one connection until the client leaves or the handler wants it closed.
async fn connection(mut stream: TcpStream, handler: &Handler, replied: &Replied) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    while let Some(request) = read(&mut stream, &mut bytes).await? {
        match handler(request.clone()).await {
            Reply::Answer { status, headers, body } => {
                let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                // A 204 has no length, as RFC 9110 wants it.
                let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
                stream.write_all(format!("HTTP/1.1 {status} x\r\n{length}{more}\r\n").as_bytes()).await?;
                stream.write_all(&body).await?;
                replied(&request);
            }
            Reply::Close => return Ok(()),
            Reply::Torn { status, body } => {
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", body.len() + 10);
                stream.write_all(head.as_bytes()).await?;
                return stream.write_all(&body).await;
            }
            Reply::TornChunks { status, body } => {
                let mut bytes = format!("HTTP/1.1 {status} x\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
                if !body.is_empty() {
                    bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
                    bytes.extend_from_slice(&body);
                    bytes.extend_from_slice(b"\r\n");
                }
                return stream.write_all(&bytes).await;
            }
            Reply::Silence => while stream.read(&mut [0; 256]).await? > 0 {},
        }
    }
    Ok(())
}

/// Reads one request; `None` where the client has left.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
    let body = bytes[head_end..head_end + length].to_vec();
    bytes.drain(..head_end + length);
    Ok(Some(Request { method, path, headers, body }))
}
