//! A server with keys, and what the tests of keys ask it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{self, Response};
use super::server::Server;

pub const ADMIN: &str = "planted-admin-key-0123456789abcdef";

/// A server with one key, of all scopes, out of the configuration.
pub fn server(args: &[&str]) -> Server {
    server_with(args, Vec::new())
}

/// The same with more in its environment.
pub fn server_with(args: &[&str], mut env: Vec<(String, String)>) -> Server {
    let mut all = vec!["--review-seconds", "0", "--log-level", "debug"];
    all.extend(args);
    env.push(("ORDAIN_ADMIN_KEY".to_owned(), ADMIN.to_owned()));
    Server::start(&all, env)
}

pub fn ask(server: &Server, key: Option<&str>, method: &str, path: &str, body: Option<&Value>) -> Response {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    client::request(server.line().address(), method, path, &headers, body).unwrap()
}

pub fn get(server: &Server, key: &str, path: &str) -> Response {
    ask(server, Some(key), "GET", path, None)
}

pub fn post(server: &Server, key: &str, path: &str, body: Value) -> Response {
    ask(server, Some(key), "POST", path, Some(&body))
}

/// Makes a key; its id and its secret.
pub fn make(server: &Server, name: &str, scopes: &[&str], owner: Option<&str>) -> (String, String) {
    let made = post(server, ADMIN, "/keys", json!({"name": name, "scopes": scopes, "owner": owner}));
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("key_id"), text("key"))
}

pub fn until(server: &Server, key: &str, order: &str, state: &str) -> Value {
    get(server, key, &format!("/orders/{order}/status?wait=20&until={state}")).json()
}

pub fn code(response: &Response) -> String {
    response.json()["code"].as_str().unwrap_or_default().to_owned()
}

/// What a stream says within a second.
pub fn stream(server: &Server, key: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(server.line().address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1_000))).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let (mut text, mut chunk, until) = (Vec::new(), [0; 16_384], Instant::now() + Duration::from_secs(2));
    while Instant::now() < until {
        match socket.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(n) => text.extend_from_slice(&chunk[..n]),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The audit once it has as many entries; what is refused is entered a moment later.
pub fn audit(server: &Server, path: &str, at_least: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let page = get(server, ADMIN, path);
        assert_eq!(page.status, 200, "{}", page.text());
        let entries = page.json()["entries"].as_array().unwrap().clone();
        if entries.len() >= at_least {
            return entries;
        }
        assert!(Instant::now() < until, "{entries:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn cli(server: &Server, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.env_clear().current_dir(server.folder()).args(args).envs(env.iter().copied());
    command.output().unwrap()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub const HTML: (&str, &str) = ("accept", "text/html,*/*");

/// Signs in to the console; the cookie.
pub fn sign_in(server: &Server, key: &str, next: &str) -> String {
    let fields = [("key", key), ("next", next)];
    let answer = client::form(server.line().address(), "/console/sign-in", &fields).unwrap();
    assert_eq!((answer.status, answer.header("location")), (303, Some(next)), "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

pub fn page(server: &Server, cookie: &str, path: &str) -> Response {
    client::request(server.line().address(), "GET", path, &[HTML, ("cookie", cookie)], None).unwrap()
}
