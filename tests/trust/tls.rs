//! TLS: the server speaks it alone, takes a new certificate while connections go on, and keeps the old one where the new
//! pair does not fit. The pairs in `tls_pairs` are for these tests.

use std::fs::{copy, read_to_string};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const ADMIN: &str = "planted-admin-key-0123456789abcdef";

fn pair(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls_pairs").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pair(name)).unwrap()
}

fn ordain(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.env_clear().current_dir(folder).args(args);
    command
}

/// A server with the pair `a` in its folder.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (from, to) in [("a.pem", "cert.pem"), ("a.key", "key.pem")] {
            copy(pair(from), folder.path().join(to)).unwrap();
        }
        let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
        let bind = address.to_string();
        let args = ["serve", "--bind", &bind, "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--log-level", "debug"];
        let mut command = ordain(folder.path(), &[&args, more].concat());
        command.env("ORDAIN_ADMIN_KEY", ADMIN).stdin(Stdio::null()).stderr(log);
        let server = Self { child: command.spawn().unwrap(), folder, address };
        server
            .within_seconds("it is ready", || server.get("/readyz").is_ok_and(|text| text.starts_with("HTTP/1.1 200")));
        server
    }

    fn within_seconds(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < until, "{what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> String {
        read_to_string(self.folder.path().join("server.log")).unwrap()
    }

    fn put(&self, from: &str, to: &str) {
        copy(pair(from), self.folder.path().join(to)).unwrap();
    }

    /// A new connection, by whoever believes the tests' authority.
    fn connect(&self) -> io::Result<Line> {
        self.connect_for(&[])
    }

    /// A new connection of a client that speaks these protocols, the best one first.
    fn connect_for(&self, protocols: &[&str]) -> io::Result<Line> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Line(StreamOwned::new(client, socket)))
    }

    fn get(&self, path: &str) -> io::Result<String> {
        self.connect()?.get(path)
    }

    /// Which certificate a new connection gets.
    fn shows(&self, name: &str) -> bool {
        let mut line = self.connect().unwrap();
        line.get("/healthz").unwrap();
        line.0.conn.peer_certificates().unwrap()[0] == certificate(name)
    }

    fn cli(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let url = format!("https://{}", self.address);
        ordain(self.folder.path(), args).env("ORDAIN_URL", url).envs(env.iter().copied()).output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Line {
    /// Head and body of an answer with a length; the connection stays open.
    fn get(&mut self, path: &str) -> io::Result<String> {
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())?;
        let (mut text, mut chunk) = (String::new(), [0; 16_384]);
        loop {
            let n = self.0.read(&mut chunk)?;
            text.push_str(&String::from_utf8_lossy(&chunk[..n]));
            let length =
                text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
            match (length, body) {
                (Some(length), Some(have)) if have >= length => return Ok(text),
                _ if n == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }
}

#[test]
fn a_new_certificate_is_taken_while_connections_go_on() {
    let server = Server::start();
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _cut_off = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "it speaks TLS alone");

    let mut open = server.connect().unwrap();
    assert!(open.get("/healthz").unwrap().contains("200 OK"));
    assert!(server.shows("a.pem"));
    server.put("b.pem", "cert.pem");
    server.within_seconds("the pair is refused", || server.log().contains("the old one stays"));
    assert!(server.shows("a.pem"));
    server.put("b.key", "key.pem");
    server.within_seconds("the new certificate is shown", || server.shows("b.pem"));
    assert!(open.get("/healthz").unwrap().contains("200 OK"), "the connection goes on");
    std::fs::write(server.folder.path().join("key.pem"), "nonsense").unwrap();
    Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status().unwrap();
    server.within_seconds("the file is refused", || server.log().matches("the old one stays").count() >= 2);
    assert!(server.shows("b.pem"));
}

#[test]
fn one_connection_is_one_request_at_a_time() {
    let server = Server::start();
    let mut line = server.connect_for(&["h2", "http/1.1"]).unwrap();
    assert!(line.get("/healthz").unwrap().contains("200 OK"));
    assert_eq!(line.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    // HTTP/2 would have no bound on the requests that are open on a connection.
    let refused = server.connect_for(&["h2"]).unwrap().get("/healthz").unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn who_is_silent_in_the_handshake_keeps_nobody_out() {
    let server = Server::start_with(&["--workers", "1"]);
    let silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    assert!(server.get("/healthz").unwrap().contains("200 OK"));
    // Not because the first of them had used up their time.
    silent[0].set_nonblocking(true).unwrap();
    let still_open = (&silent[0]).read(&mut [0]).unwrap_err();
    assert_eq!(still_open.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn the_command_line_believes_an_authority_of_its_own() {
    let server = Server::start();
    let ca = pair("ca.pem");
    let ca = ca.to_str().unwrap();
    let health = server.cli(&["health"], &[]);
    assert_eq!(health.status.code(), Some(3), "{health:?}");
    assert_eq!(server.cli(&["health", "--ca-file", ca], &[]).status.code(), Some(0));
    let env = [("ORDAIN_CA_FILE", ca), ("ORDAIN_KEY", ADMIN)];
    assert_eq!(server.cli(&["start-workflow", "o-1", "p-1", "--wait", "20"], &env).status.code(), Some(0));
    assert_eq!(
        server.cli(&["worker", "--queue", "shipping", "--burst", "--idle-exit", "100ms"], &env).status.code(),
        Some(0)
    );
    assert_eq!(server.cli(&["list"], &env[..1]).status.code(), Some(1), "without a key");
    let missing = server.cli(&["list", "--ca-file", "none.pem"], &[]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
}

#[test]
fn a_pair_that_cannot_be_used_ends_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, other) = (pair("a.pem"), pair("b.key"));
    let (cert, other) = (cert.to_str().unwrap(), other.to_str().unwrap());
    for (args, word) in [
        (&["--tls-cert", cert, "--tls-key", other][..], "tls_cert"),
        (&["--tls-cert", cert], "needs tls_key"),
        (&["--tls-key", other], "needs tls_cert"),
        (&["--tls-cert", "none.pem", "--tls-key", other], "none.pem"),
        (&["--tls-cert", other, "--tls-key", other], "has no certificate"),
    ] {
        for command in ["config", "serve"] {
            let all: Vec<&str> = [command].iter().chain(args).copied().collect();
            let done = ordain(folder.path(), &all).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(2), "{said}");
            assert!(said.contains(word) && !said.contains("BEGIN"), "{said}");
        }
    }
}
