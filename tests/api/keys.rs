//! API keys over real HTTP: who is let in, what is entered of it, and the command line that makes them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::client;
use super::support::keys::{ADMIN, ask, audit, cli, code, get, make, post, said, server, server_with};
use super::support::server::Server;

/// Each scope allows what those before it do.
fn rank(scope: &str) -> Option<usize> {
    ["read", "operate", "admin"].iter().position(|known| *known == scope)
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
            let filled = path.replace(['{', '}'], "");
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
                if rank(scope) >= rank(needed) {
                    assert!(!matches!(status, 401 | 403), "{name} with {scope}: {status}");
                } else {
                    assert_eq!(status, 403, "{name} with {scope}");
                }
            }
        }
    }
    assert_eq!(open, ["GET /", "GET /docs", "GET /healthz", "GET /openapi.json", "GET /readyz"]);
    assert!(closed >= 35, "{closed}");
    for path in ["/console/overview", "/console/live", "/console/orders/o-1", "/console/engine"] {
        assert_eq!(ask(&server, None, "GET", path, None).status, 401, "{path}");
    }
    assert_eq!(code(&ask(&server, None, "GET", "/orders", None)), "unauthorized");
    assert_eq!(get(&server, &keys["operate"], "/orders").status, 200, "who may operate may look");
    assert_eq!(code(&get(&server, &keys["operate"], "/audit")), "forbidden");
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
    statuses.sort_unstable();
    entered.sort_unstable();
    assert_eq!(entered, statuses);
    let cancel =
        entries.iter().find(|e| e["status"] == 202 && e["route"].as_str().unwrap().ends_with("cancel")).unwrap();
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
    assert_eq!(
        (&entry["status"], &entry["key_id"], &entry["remote"]),
        (&json!(202), &Value::Null, &json!("127.0.0.1"))
    );
}

#[test]
fn each_key_has_a_rate_of_its_own() {
    let server = server_with(&[], vec![("ORDAIN_LIMITS__REQUESTS_PER_SECOND_PER_KEY".to_owned(), "5".to_owned())]);
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
        let head =
            format!("GET /stats HTTP/1.1\r\nhost: {host}\r\nx-forwarded-host: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {text}");
        assert_eq!(text.contains("host_not_allowed"), status == 421);
    }
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
    // Beside the server that owns the database: it takes the key up by itself.
    let made = run(&server, &["key", "create", "--name", "first", "--scope", "admin"], &offline, &[]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let first = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    assert!(first.starts_with("ordain_") && first.len() == 71, "{first}");
    within_seconds("the server is closed", || server.get("/orders").status == 401);
    assert_eq!(get(&server, &first, "/orders").status, 200);
    let env = [("ORDAIN_KEY", first.as_str()), ("ORDAIN_URL", url.as_str())];
    assert_eq!(run(&server, &["list"], &["--url", &url], &[]).status.code(), Some(1));
    assert_eq!(run(&server, &["list"], &[], &env).status.code(), Some(0));
    assert_eq!(run(&server, &["list", "--url", &url, "--key", &first], &[], &[]).status.code(), Some(0));
    let second =
        run(&server, &["key", "create", "--name", "shop", "--scope", "read", "--owner", "a", "-o", "json"], &[], &env);
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
    // Revoked beside the server.
    let other = run(&server, &["key", "create", "--name", "other", "--scope", "read", "-o", "json"], &offline, &[]);
    let other: Value = serde_json::from_slice(&other.stdout).unwrap();
    let secret = other["key"].as_str().unwrap();
    within_seconds("the new key is taken", || get(&server, secret, "/orders").status == 200);
    assert_eq!(
        run(&server, &["key", "revoke", other["key_id"].as_str().unwrap()], &offline, &[]).status.code(),
        Some(0)
    );
    within_seconds("the revoked key is refused", || get(&server, secret, "/orders").status == 401);
    let entered = get(&server, &first, "/audit").json();
    let routes: Vec<_> = entered["entries"].as_array().unwrap().iter().map(|e| e["route"].as_str().unwrap()).collect();
    assert_eq!(routes.iter().filter(|route| **route == "key create").count(), 2, "{routes:?}");
    server.sigterm();
    let listed: Value =
        serde_json::from_slice(&run(&server, &["key", "list", "-o", "json"], &offline, &[]).stdout).unwrap();
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

/// What another process writes is seen soon.
fn within_seconds(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
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

#[test]
fn what_a_worker_tells_is_entered_and_that_it_asks_is_not() {
    let outside = ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__OUTSIDE".to_owned(), "true".to_owned());
    let server = server_with(&[], vec![outside]);
    let (worker, key) = make(&server, "packer", &["operate"], None);
    post(&server, &key, "/orders/o-1/start", json!({}));
    let poll = json!({"worker_id": "w", "wait_seconds": 20, "activities": ["prepare_package"]});
    let leased = post(&server, &key, "/api/queues/shipping/poll", poll).json();
    let tell = |what: &str, body: Value| {
        let token = leased["token"].as_str().unwrap();
        post(&server, &key, &format!("/api/activities/{token}/{what}"), body).status
    };
    assert_eq!(tell("heartbeat", json!({})), 200);
    assert_eq!(tell("complete", json!({"result": {"package_ref": "p"}})), 200);
    let entries = audit(&server, "/audit?order_id=o-1", 2);
    let told: Vec<_> = entries.iter().map(|e| (e["route"].as_str().unwrap(), e["key_id"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [("/orders/{order_id}/start", worker.as_str()), ("/api/activities/{token}/complete", worker.as_str())]
    );
    let all = audit(&server, "/audit", 3);
    assert!(all.iter().all(|e| !e["route"].as_str().unwrap().ends_with("/poll")), "{all:?}");
}

#[test]
fn every_answer_has_strict_headers_and_none_for_another_origin() {
    let server = server(&[]);
    let page = ask(&server, None, "GET", "/console/sign-in", None).text();
    let script = page.split("src=\"").filter_map(|rest| rest.split('"').next()).find(|path| path.ends_with(".js"));
    for (path, key, status) in [
        (script.unwrap(), None, 200),
        ("/healthz", None, 200),
        ("/orders", Some(ADMIN), 200),
        ("/orders", None, 401),
        ("/nowhere", Some(ADMIN), 404),
        ("/docs/", None, 200),
        ("/console/sign-in", None, 200),
        ("/metrics", Some(ADMIN), 200),
    ] {
        let answer = ask(&server, key, "GET", path, None);
        assert_eq!(answer.status, status, "{path}");
        let has = |name: &str, part: &str| answer.header(name).is_some_and(|value| value.contains(part));
        assert!(
            has("content-security-policy", "default-src 'none'")
                && has("content-security-policy", "frame-ancestors 'none'"),
            "{path}"
        );
        assert!(has("x-content-type-options", "nosniff") && has("x-frame-options", "DENY"), "{path}");
        assert!(has("referrer-policy", "") && has("cross-origin-resource-policy", "same-origin"), "{path}");
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{path}");
    }
    let preflight = [("origin", "http://evil.example"), ("access-control-request-method", "POST")];
    let asked = client::request(server.line().address(), "OPTIONS", "/orders/o-1/start", &preflight, None);
    let asked = asked.unwrap();
    assert!(asked.status >= 400 && asked.header("access-control-allow-origin").is_none(), "{}", asked.status);
}
