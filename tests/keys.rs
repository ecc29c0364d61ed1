//! API keys over real HTTP: who is let in, what an owner sees, what is entered of it, and that no secret shows.

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::client::{self, Response};
use support::server::{Server, on_postgres};

const ADMIN: &str = "planted-admin-key-0123456789abcdef";

/// A server with one key, of all scopes, out of the configuration.
fn server(args: &[&str]) -> Server {
    let mut all = vec!["--review-seconds", "0", "--log-level", "debug"];
    all.extend(args);
    Server::start(&all, vec![("ORDAIN_ADMIN_KEY".to_owned(), ADMIN.to_owned())])
}

fn ask(server: &Server, key: Option<&str>, method: &str, path: &str, body: Option<&Value>) -> Response {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    client::request(server.line().address(), method, path, &headers, body).unwrap()
}

fn get(server: &Server, key: &str, path: &str) -> Response {
    ask(server, Some(key), "GET", path, None)
}

fn post(server: &Server, key: &str, path: &str, body: Value) -> Response {
    ask(server, Some(key), "POST", path, Some(&body))
}

/// Makes a key; its id and its secret.
fn make(server: &Server, name: &str, scopes: &[&str], owner: Option<&str>) -> (String, String) {
    let made = post(server, ADMIN, "/keys", json!({"name": name, "scopes": scopes, "owner": owner}));
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("key_id"), text("key"))
}

fn until(server: &Server, key: &str, order: &str, state: &str) -> Value {
    get(server, key, &format!("/orders/{order}/status?wait=20&until={state}")).json()
}

fn code(response: &Response) -> String {
    response.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_route_asks_for_its_scope_and_for_no_other() {
    let server = server(&[]);
    let document = ask(&server, None, "GET", "/openapi.json", None).json();
    let keys: BTreeMap<&str, String> =
        ["read", "operate", "admin"].map(|scope| (scope, make(&server, scope, &[scope], None).1)).into();
    let (mut open, mut closed) = (Vec::new(), 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // A stream never ends; its head does.
            let method = if path == "/events" { "HEAD".to_owned() } else { method.to_uppercase() };
            let filled = path.replace("{order_id}", "nobody").replace("{id}", "nobody").replace("{key_id}", "key-none");
            let name = format!("{method} {path}");
            let nobody = ask(&server, None, &method, &filled, None);
            let Some(needed) = operation["security"][0]["api_key"][0].as_str() else {
                assert!(!matches!(nobody.status, 401 | 403), "{name}: {}", nobody.status);
                open.push(name);
                continue;
            };
            closed += 1;
            assert_eq!(nobody.status, 401, "{name}");
            assert!(nobody.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{name}");
            for wrong in ["", "nothing", &keys["admin"][..70]] {
                assert_eq!(ask(&server, Some(wrong), &method, &filled, None).status, 401, "{name}");
            }
            for (scope, key) in &keys {
                let status = ask(&server, Some(key), &method, &filled, None).status;
                if *scope == needed {
                    assert!(!matches!(status, 401 | 403), "{name} with {scope}: {status}");
                } else {
                    assert_eq!(status, 403, "{name} with {scope}");
                }
            }
        }
    }
    assert_eq!(open, ["GET /", "GET /docs", "GET /healthz", "GET /openapi.json", "GET /readyz"]);
    assert!(closed >= 20, "{closed}");
    for path in ["/console/overview", "/console/live", "/console/orders/o-1", "/console/engine"] {
        assert_eq!(ask(&server, None, "GET", path, None).status, 401, "{path}");
    }
    assert_eq!(code(&ask(&server, None, "GET", "/orders", None)), "unauthorized");
    assert_eq!(code(&get(&server, &keys["operate"], "/orders")), "forbidden");
}

#[test]
fn a_revoked_key_is_refused_at_once_and_the_server_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    // Without any key everything is open; the first one closes it.
    let mut server = Server::start(&["--review-seconds", "0"], Vec::new());
    assert_eq!(server.get("/orders").status, 200);
    let made = server.post("/keys", Some(&json!({"name": "first", "scopes": ["read", "admin"]}))).json();
    let (id, key) = (made["key_id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(server.get("/orders").status, 401);
    assert_eq!(get(&server, key, "/orders").status, 200);
    server.kill9();
    server.restart();
    assert_eq!((server.get("/orders").status, get(&server, key, "/orders").status), (401, 200));
    let listed = get(&server, key, "/keys").json();
    assert_eq!((&listed["keys"][0]["key_id"], &listed["keys"][0]["revoked_at"]), (&json!(id), &Value::Null));
    let gone = ask(&server, Some(key), "DELETE", &format!("/keys/{id}"), None);
    assert_eq!((gone.status, gone.json()["revoked_at"].is_string()), (200, true), "{}", gone.text());
    assert_eq!((get(&server, key, "/orders").status, server.get("/orders").status), (401, 401));
    server.kill9();
    server.restart();
    assert_eq!((get(&server, key, "/orders").status, server.get("/orders").status), (401, 401));
    drop(folder);
}

#[test]
fn another_owners_order_is_not_there() {
    let server = server(&[]);
    let scopes = ["read", "operate"];
    let (_, a) = make(&server, "shop a", &scopes, Some("a"));
    let (_, b) = make(&server, "shop b", &scopes, Some("b"));
    let (_, all) = make(&server, "team", &scopes, None);
    let manual = json!({"review": "manual", "amount": "7.00", "address": "1 Secret Street"});
    for (key, order) in [(&a, "a-1"), (&a, "a-2"), (&b, "b-1"), (&all, "t-1")] {
        assert_eq!(post(&server, key, &format!("/orders/{order}/start"), manual.clone()).status, 202);
        until(&server, key, order, "in_review");
    }
    post(&server, &a, "/orders/a-2/signals/approve", json!({}));
    assert_eq!(until(&server, &a, "a-2", "terminal")["state"], "completed");
    // Alive in memory, and at rest.
    for order in ["a-1", "a-2", "t-1"] {
        for path in ["status", "status?wait=1", "state", "state?seq=1", "history"] {
            let answer = get(&server, &b, &format!("/orders/{order}/{path}"));
            assert_eq!((answer.status, code(&answer).as_str()), (404, "order_not_found"), "{order}/{path}");
        }
        for path in [format!("/workflows/{order}"), format!("/workflows/{order}/shipping/1/history")] {
            assert_eq!(get(&server, &b, &path).status, 404, "{path}");
        }
        assert_eq!(get(&server, &b, &format!("/events?order_id={order}")).status, 404);
        for (path, body) in [
            ("signals/approve", json!({})),
            ("signals/cancel", json!({"reason": "mine now"})),
            ("signals/update-address", json!({"address": "2 Other"})),
            ("pause", json!({})),
            ("resume", json!({})),
            ("retry", json!({})),
        ] {
            let answer = post(&server, &b, &format!("/orders/{order}/{path}"), body);
            assert_eq!((answer.status, code(&answer).as_str()), (404, "order_not_found"), "{order}/{path}");
        }
        // An id is one for all: it is taken, and nothing else is said.
        let answer = post(&server, &b, &format!("/orders/{order}/start"), manual.clone());
        assert_eq!((answer.status, code(&answer).as_str()), (409, "order_exists"));
        assert!(!answer.text().contains("Secret"), "{}", answer.text());
    }
    let ids = |key: &str, path: &str| -> Vec<String> {
        let list = get(&server, key, path).json();
        let mut ids: Vec<_> =
            list["orders"].as_array().unwrap().iter().map(|o| o["order_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&a, "/orders"), ["a-1", "a-2"]);
    assert_eq!(ids(&b, "/orders"), ["b-1"]);
    assert_eq!(ids(&b, "/orders?q=a-&sort=order_id"), Vec::<String>::new());
    assert_eq!(ids(&all, "/orders"), ["a-1", "a-2", "b-1", "t-1"]);
    let stats = |key: &str| get(&server, key, "/stats").json()["orders"].clone();
    assert_eq!((&stats(&a)["completed"], &stats(&a)["in_review"]), (&json!(1), &json!(1)));
    assert_eq!((&stats(&b)["completed"], &stats(&b)["in_review"]), (&json!(0), &json!(1)));
    assert_eq!(stats(&all)["in_review"], 3);
    // What is about all orders is not for an owner.
    for path in ["/metrics", "/audit", "/keys", "/console/engine", "/console/overview"] {
        assert_eq!(get(&server, &a, path).status, 403, "{path}");
    }
    let events = stream(&server, &a, "/events?after=0");
    assert!(events.contains("\"order_id\":\"a-2\"") && events.contains("a-2/shipping/1"), "{events}");
    assert!(!events.contains("b-1") && !events.contains("t-1"), "{events}");
    assert_eq!(post(&server, ADMIN, "/keys", json!({"name": "x", "scopes": ["admin"], "owner": "a"})).status, 422);
    // The owner is read back, by whoever brings the order to life.
    assert_eq!(post(&server, &a, "/orders/a-1/signals/cancel", json!({})).status, 202);
    let row = get(&server, &all, "/orders/a-1/state");
    assert_eq!(row.json()["state"], "cancelled", "{}", row.text());
}

/// What a stream says within a second.
fn stream(server: &Server, key: &str, path: &str) -> String {
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

#[test]
fn an_idempotency_key_is_its_owners_own() {
    let server = server(&[]);
    let start = |key: &str, order: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "same")];
        let body = json!({"review": "manual", "address": "1 Secret Street"});
        client::request(server.line().address(), "POST", &format!("/orders/{order}/start"), &headers, Some(&body)).unwrap()
    };
    let (_, a) = make(&server, "a", &["operate"], Some("a"));
    let (_, b) = make(&server, "b", &["operate"], Some("b"));
    assert_eq!((start(&a, "o-1").status, start(&a, "o-1").status), (202, 202));
    let other = start(&b, "o-1");
    assert_eq!((other.status, code(&other).as_str()), (409, "order_exists"), "{}", other.text());
    assert_eq!(start(&b, "o-2").status, 422, "the key was used for o-1 by this owner, too");
    assert_eq!(start(ADMIN, "o-3").status, 202);
}

/// The audit once it has as many entries; what is refused is entered a moment later.
fn audit(server: &Server, path: &str, at_least: usize) -> Vec<Value> {
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

#[test]
fn every_call_that_asks_for_a_change_is_entered_once() {
    let mut server = server(&[]);
    let (operator, key) = make(&server, "anna", &["operate"], None);
    let (_, reader) = make(&server, "reader", &["read"], None);
    let manual = json!({"review": "manual"});
    let mut statuses = vec![
        post(&server, &key, "/orders/o-1/start", manual.clone()).status,
        post(&server, &key, "/orders/o-1/start", manual.clone()).status,
        post(&server, &key, "/orders/o-1/start", json!({"review": "auto"})).status,
        post(&server, &reader, "/orders/o-1/pause", json!({})).status,
        post(&server, &key, "/orders/o-1/signals/cancel", json!({"reason": "changed \u{1f600} my mind"})).status,
        post(&server, &key, "/orders/o-1/signals/approve", json!({})).status,
        post(&server, &key, "/orders/o-1/signals/cancel", json!({"why": 1})).status,
    ];
    assert_eq!(statuses, [202, 200, 409, 403, 202, 409, 422]);
    // Neither looking nor a method that is not there asks for a change; who has no key is nobody.
    ask(&server, Some(&key), "PUT", "/orders/o-1/start", None);
    get(&server, &reader, "/orders/o-1/status");
    ask(&server, None, "POST", "/orders/o-1/retry", None);
    let entries = audit(&server, "/audit?order_id=o-1", 7);
    let mut entered: Vec<_> = entries.iter().map(|e| e["status"].as_u64().unwrap() as u16).collect();
    (statuses.sort_unstable(), entered.sort_unstable());
    assert_eq!(entered, statuses);
    let cancel = entries.iter().find(|e| e["status"] == 202 && e["route"].as_str().unwrap().ends_with("cancel")).unwrap();
    assert_eq!(
        (&cancel["key_id"], &cancel["key_name"], &cancel["reason"], &cancel["remote"], &cancel["method"]),
        (&json!(operator), &json!("anna"), &json!("changed \u{1f600} my mind"), &json!("127.0.0.1"), &json!("POST"))
    );
    assert_eq!(entries.iter().find(|e| e["status"] == 403).unwrap()["key_name"], "reader");
    let keys = audit(&server, "/audit?limit=2", 2);
    assert_eq!((&keys[0]["route"], &keys[0]["key_id"]), (&json!("/keys"), &json!("configured:admin")));
    assert_eq!(keys[0]["reason"], format!("made {operator}"));
    // Page by page, and the same after a crash.
    let all = audit(&server, "/audit", 9);
    let next = get(&server, ADMIN, "/audit?limit=4").json()["next_after"].as_u64().unwrap();
    assert_eq!(get(&server, ADMIN, &format!("/audit?after={next}")).json()["entries"], json!(all[4..]));
    server.kill9();
    server.restart();
    assert_eq!(audit(&server, "/audit", 9), all);
    assert_eq!(get(&server, ADMIN, "/audit?order_id=%00").status, 422);
    assert_eq!(get(&server, ADMIN, "/audit?limit=0").status, 422);
}

#[test]
fn without_keys_everything_is_entered_as_nobodys() {
    let server = Server::start(&["--review-seconds", "0"], Vec::new());
    server.post("/orders/o-1/start", None);
    let entries = server.get("/audit?order_id=o-1").json();
    let entry = &entries["entries"][0];
    assert_eq!((&entry["status"], &entry["key_id"], &entry["remote"]), (&json!(202), &Value::Null, &json!("127.0.0.1")));
}

#[test]
fn each_key_has_a_rate_of_its_own() {
    let server = server(&["--rate-limit-per-second", "5"]);
    let (_, key) = make(&server, "busy", &["read"], None);
    let mut limited = None;
    for _ in 0..50 {
        let answer = get(&server, &key, "/orders");
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        assert_eq!(answer.status, 200);
    }
    let limited = limited.expect("it is limited");
    assert_eq!((limited.header("retry-after"), code(&limited).as_str()), (Some("1"), "rate_limited"));
    assert_eq!(get(&server, ADMIN, "/orders").status, 200, "another key is not");
    assert_eq!(get(&server, &key, "/healthz").status, 200, "what is open is not");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(get(&server, &key, "/orders").status, 200);
}

#[test]
fn on_loopback_only_its_own_names_are_answered() {
    let server = Server::start(&[], vec![("ORDAIN_ALLOWED_HOSTS".to_owned(), "shop.example, other".to_owned())]);
    for (host, status) in
        [("localhost", 200), ("127.0.0.1:80", 200), ("[::1]:1", 200), ("shop.example:8000", 200), ("evil.example", 421)]
    {
        let mut socket = TcpStream::connect(server.line().address()).unwrap();
        let head = format!("GET /stats HTTP/1.1\r\nhost: {host}\r\nx-forwarded-host: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {text}");
        assert_eq!(text.contains("host_not_allowed"), status == 421);
    }
}

fn cli(server: &Server, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.env_clear().current_dir(server.folder()).args(args).envs(env.iter().copied());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_command_line_makes_lists_and_revokes_keys_with_a_server_and_without() {
    let mut server = Server::start(&["--review-seconds", "0"], Vec::new());
    let (url, database) = (server.url(), server.database_url().to_owned());
    let offline = ["--database-url", &database];
    let run = |server: &Server, args: &[&str], more: &[&str], env: &[(&str, &str)]| {
        let all: Vec<&str> = args.iter().chain(more).copied().collect();
        cli(server, &all, env)
    };
    // A server owns the database: it must be asked.
    let refused = run(&server, &["key", "create", "--name", "x", "--scope", "read"], &offline, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("--url"), "{}", said(&refused));
    server.sigterm();
    let made = run(&server, &["key", "create", "--name", "first", "--scope", "read,operate,admin"], &offline, &[]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let first = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    assert!(first.starts_with("ordain_") && first.len() == 71, "{first}");
    server.restart();
    let env = [("ORDAIN_API_KEY", first.as_str()), ("ORDAIN_URL", url.as_str())];
    assert_eq!(run(&server, &["list"], &["--url", &url], &[]).status.code(), Some(1));
    assert_eq!(run(&server, &["list"], &[], &env).status.code(), Some(0));
    assert_eq!(run(&server, &["list", "--url", &url, "--api-key", &first], &[], &[]).status.code(), Some(0));
    let second = run(&server, &["key", "create", "--name", "shop", "--scope", "read", "--owner", "a", "-o", "json"], &[], &env);
    let second: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!((&second["owner"], &second["scopes"]), (&json!("a"), &json!(["read"])));
    let list = run(&server, &["key", "list"], &[], &env);
    assert!(said(&list).contains("first") && said(&list).contains("shop") && !said(&list).contains(&first));
    // To look, the database may be read beside its server.
    assert!(said(&run(&server, &["key", "list"], &offline, &[])).contains("shop"));
    let id = second["key_id"].as_str().unwrap();
    assert_eq!(run(&server, &["key", "revoke", id], &[], &env).status.code(), Some(0));
    assert_eq!(run(&server, &["key", "revoke", "key-none"], &[], &env).status.code(), Some(1));
    assert_eq!(get(&server, second["key"].as_str().unwrap(), "/orders").status, 401);
    server.sigterm();
    let listed: Value = serde_json::from_slice(&run(&server, &["key", "list", "-o", "json"], &offline, &[]).stdout).unwrap();
    let first_id = listed["keys"][0]["key_id"].as_str().unwrap();
    assert_eq!(run(&server, &["key", "revoke", first_id], &offline, &[]).status.code(), Some(0));
    assert_eq!(run(&server, &["key", "revoke", "key-none"], &offline, &[]).status.code(), Some(1));
    server.restart();
    assert_eq!(get(&server, &first, "/orders").status, 401);
    for wrong in [
        &["key", "create", "--name", "x", "--scope", "write"][..],
        &["key", "create", "--name", "x", "--scope", "admin", "--owner", "a"],
        &["key", "create", "--name", "", "--scope", "read"],
        &["key", "create", "--scope", "read"],
    ] {
        assert_eq!(cli(&server, wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn beyond_loopback_a_key_is_enough() {
    let mut server = Server::start(&[], Vec::new());
    server.sigterm();
    let database = server.database_url().to_owned();
    let config = ["config", "--bind", "0.0.0.0:0", "--database-url", &database];
    let refused = cli(&server, &config, &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("ordain key create"), "{}", said(&refused));
    let serve = cli(&server, &["serve", "--bind", "0.0.0.0:0", "--database-url", &database], &[]);
    assert_eq!(serve.status.code(), Some(2), "{}", said(&serve));
    let with = |name: &str, value: &str| cli(&server, &config, &[(name, value)]);
    let configured = with("ORDAIN_ADMIN_KEY", ADMIN);
    assert_eq!(configured.status.code(), Some(0), "{}", said(&configured));
    assert!(!said(&configured).contains(ADMIN), "{}", said(&configured));
    let weak = with("ORDAIN_ADMIN_KEY", "planted-and-short");
    assert_eq!(weak.status.code(), Some(2));
    assert!(said(&weak).contains("ORDAIN_ADMIN_KEY") && !said(&weak).contains("planted"), "{}", said(&weak));
    let toml = "[[keys]]\nname = \"planted\"\nkey = 5\n";
    std::fs::write(server.folder().join("ordain.toml"), toml).unwrap();
    assert_eq!(cli(&server, &config, &[]).status.code(), Some(2));
    let toml = format!("[[keys]]\nname = \"shop\"\nkey = \"{ADMIN}\"\nscopes = [\"read\"]\nowner = \"a\"\n");
    std::fs::write(server.folder().join("ordain.toml"), toml).unwrap();
    let configured = cli(&server, &config, &[]);
    assert_eq!(configured.status.code(), Some(0), "{}", said(&configured));
    assert!(!said(&configured).contains(ADMIN), "{}", said(&configured));
    std::fs::remove_file(server.folder().join("ordain.toml")).unwrap();
    let made = cli(&server, &["key", "create", "--name", "k", "--scope", "read", "--database-url", &database], &[]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    assert_eq!(cli(&server, &config, &[]).status.code(), Some(0));
}

const HTML: (&str, &str) = ("accept", "text/html,*/*");

/// Signs in to the console; the cookie.
fn sign_in(server: &Server, key: &str, next: &str) -> String {
    let fields = [("key", key), ("next", next)];
    let answer = client::form(server.line().address(), "/console/sign-in", &fields).unwrap();
    assert_eq!((answer.status, answer.header("location")), (303, Some(next)), "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn page(server: &Server, cookie: &str, path: &str) -> Response {
    client::request(server.line().address(), "GET", path, &[HTML, ("cookie", cookie)], None).unwrap()
}

#[test]
fn the_console_asks_for_a_key_and_a_cookie_stands_for_it() {
    let mut server = server(&[]);
    let address = server.line().address();
    let (id, anna) = make(&server, "anna", &["read", "operate"], None);
    let (_, reader) = make(&server, "reader", &["read"], None);
    let (_, shop) = make(&server, "shop", &["read", "operate"], Some("a"));
    let manual = json!({"review": "manual", "address": "1 Secret Street"});
    post(&server, &anna, "/orders/o-1/start", manual.clone());
    post(&server, &shop, "/orders/mine/start", manual);
    until(&server, &anna, "o-1", "in_review");
    for path in ["/", "/?state=in_review", "/console/orders/o-1", "/console/needs"] {
        let asked = page(&server, "ordain_session_0=planted", path);
        let text = asked.text();
        assert_eq!(asked.status, 401, "{path}");
        assert!(text.contains("Sign in") && !text.contains("o-1<") && !text.contains("Secret"), "{path}");
    }
    assert!(page(&server, "", "/console/orders/o-1?at=2").text().contains("value=\"/console/orders/o-1?at=2\""));
    let refused = client::form(address, "/console/sign-in", &[("key", "planted"), ("next", "/")]).unwrap();
    assert_eq!((refused.status, refused.header("set-cookie")), (401, None));
    let elsewhere = client::request(address, "POST", "/console/sign-in", &[("origin", "http://evil.example")], None);
    assert_eq!(elsewhere.unwrap().status, 403);

    let cookie = sign_in(&server, &anna, "/console/orders/o-1");
    for path in ["/", "/console/orders/o-1", "/console/needs", "/console/engine", "/orders/o-1/history"] {
        assert_eq!(page(&server, &cookie, path).status, 200, "{path}");
    }
    // A cookie comes along by itself: what acts must come from one of our own pages.
    for path in ["/console/orders/o-1/approve", "/orders/o-1/signals/approve"] {
        let forged = client::request(address, "POST", path, &[("cookie", cookie.as_str())], None).unwrap();
        assert_eq!((forged.status, code(&forged).as_str()), (403, "cross_origin"), "{path}");
    }
    let press = |cookie: &str, path: &str, fields: &[(&str, &str)]| {
        client::form_with(address, path, fields, &[("cookie", cookie)]).unwrap()
    };
    let reading = sign_in(&server, &reader, "/");
    assert_eq!(press(&reading, "/console/orders/o-1/approve", &[]).status, 403);
    let done = press(&cookie, "/console/orders/o-1/cancel", &[("reason", "<b>changed her mind</b>")]);
    assert_eq!(done.status, 303, "{}", done.text());
    until(&server, &anna, "o-1", "cancelled");
    let text = page(&server, &cookie, "/console/orders/o-1").text();
    for part in ["Who did what", "anna", "cancellation", "&lt;b&gt;changed her mind&lt;/b&gt;", "127.0.0.1"] {
        assert!(text.contains(part), "{part} is missing");
    }
    let entries = audit(&server, "/audit?order_id=o-1", 2);
    let cancel = entries.iter().find(|e| e["route"] == "/console/orders/{order_id}/cancel").unwrap();
    assert_eq!((&cancel["key_name"], &cancel["status"]), (&json!("anna"), &json!(303)));

    // A key with an owner shows its own orders alone here, too.
    let owned = sign_in(&server, &shop, "/");
    let list = page(&server, &owned, "/").text();
    assert!(list.contains("/console/orders/mine") && !list.contains("/console/orders/o-1"), "{list}");
    assert_eq!(page(&server, &owned, "/console/orders/o-1").status, 404);
    assert_eq!(page(&server, &owned, "/console/overview").status, 403);
    let batch = press(&owned, "/console/batch", &[("action", "cancel"), ("id", "o-1"), ("id", "mine")]).text();
    assert!(batch.contains("Cancel 1 order") && !batch.contains("Secret Street\"") && batch.contains("left out"), "{batch}");

    assert_eq!(press(&owned, "/console/sign-out", &[]).status, 303);
    assert_eq!(page(&server, &owned, "/").status, 401);
    ask(&server, Some(ADMIN), "DELETE", &format!("/keys/{id}"), None);
    assert_eq!(page(&server, &cookie, "/").status, 401);
    server.kill9();
    server.restart();
    assert_eq!(page(&server, &reading, "/").status, 401, "a session ends with the process");
}

#[test]
fn no_secret_shows_anywhere() {
    let mut server = server(&[]);
    let (id, secret) = make(&server, "planted", &["read", "operate", "admin"], None);
    let wrong = "ordain_planted_and_wrong_0123456789abcdef";
    let mut answers = String::new();
    let mut hear = |response: Response| {
        for (name, value) in &response.headers {
            answers.push_str(&format!("{name}: {value}\n"));
        }
        answers.push_str(&response.text());
    };
    for key in [secret.as_str(), ADMIN, wrong] {
        for path in ["/keys", "/audit", "/orders", "/metrics", "/policies", "/nowhere", "/console/engine", "/stats?x=1"] {
            hear(get(&server, key, path));
        }
        hear(post(&server, key, "/orders/o-1/start", json!({"review": "manual", "amount": "x"})));
        hear(post(&server, key, "/orders/o-2/start", json!({"review": "manual"})));
        hear(ask(&server, Some(key), "DELETE", "/keys/key-none", None));
        hear(ask(&server, Some(key), "PATCH", "/keys", None));
        let signed = client::form(server.line().address(), "/console/sign-in", &[("key", key), ("next", "/")]).unwrap();
        hear(signed);
    }
    hear(ask(&server, Some(ADMIN), "DELETE", &format!("/keys/{id}"), None));
    server.sigterm();
    let log = std::fs::read_to_string(server.folder().join("server.log")).unwrap();
    let mut places = vec![("the answers", answers.into_bytes()), ("the log", log.into_bytes())];
    if !on_postgres() {
        places.push(("the database", std::fs::read(server.database()).unwrap()));
    }
    // The session's token looks like a key, and is one browser's own; a key's secret is known here.
    for (place, bytes) in &places {
        for secret in [secret.as_bytes(), ADMIN.as_bytes(), wrong.as_bytes(), &secret.as_bytes()[7..39]] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret shows in {place}");
        }
    }
}
