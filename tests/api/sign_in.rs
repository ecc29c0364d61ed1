//! Signing in to the console, without a browser: cookies, what acts, what an owner sees; and that no secret shows anywhere.

use serde_json::json;

use super::support::client::{self, Response};
use super::support::keys::{
    ADMIN, ask, audit, cli, code, get, make, page, post, said, server, server_with, sign_in, stream, until,
};
use super::support::server::on_postgres;

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
    assert!(
        batch.contains("Cancel 1 order") && !batch.contains("Secret Street\"") && batch.contains("left out"),
        "{batch}"
    );

    assert_eq!(press(&owned, "/console/sign-out", &[]).status, 303);
    assert_eq!(page(&server, &owned, "/").status, 401);
    ask(&server, Some(ADMIN), "DELETE", &format!("/keys/{id}"), None);
    assert_eq!(page(&server, &cookie, "/").status, 401);
    server.kill9();
    server.restart();
    assert_eq!(page(&server, &reading, "/").status, 401, "a session ends with the process");
}

const HEADER: &str = "Bearer planted-header-of-a-payment-gateway";
const SEAL: &str = "c2VhbGluZy1rZXktcGxhbnRlZC0zMi1ieXRlcy0hISE=";
const PARAMETER: &str = "planted-password-of-a-portal";
const PASSWORD: &str = "planted-password-of-a-database";
const URL: &str = "postgres://me:planted-password-of-a-database@127.0.0.1:9/db?connect_timeout=2";

#[test]
fn no_secret_shows_anywhere() {
    // Nobody is there: each call is tried again, and says so.
    let set = [
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "http://127.0.0.1:9/"),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__HEADERS__AUTHORIZATION", HEADER),
        ("ORDAIN_SECRET_KEY", SEAL),
    ];
    let mut server = server_with(&["--log-format", "json"], set.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec());
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
        for path in ["/keys", "/audit", "/orders", "/metrics", "/policies", "/nowhere", "/console/engine", "/stats?x=1"]
        {
            hear(get(&server, key, path));
        }
        hear(post(&server, key, "/orders/o-1/start", json!({"review": "manual", "amount": "x"})));
        hear(post(&server, key, "/orders/o-2/start", json!({"review": "manual"})));
        hear(post(&server, key, "/orders/o-3/start", json!({})));
        hear(get(&server, key, "/orders/o-3/status?wait=2"));
        for path in
            ["/orders/o-3/history", "/events?order_id=o-3&after=0", "/debug/actors", "/api/queues", "/openapi.json"]
        {
            if path.starts_with("/events") {
                hear(Response { status: 0, headers: Vec::new(), body: stream(&server, key, path).into_bytes() });
            } else {
                hear(get(&server, key, path));
            }
        }
        // A secret as a parameter, and where none belongs.
        let params = json!({"text": "x", "parts": 0, "password": PARAMETER});
        hear(post(&server, key, "/api/tasks/start", json!({"task_type": "checksum_text", "task_params": params})));
        hear(ask(&server, Some(key), "DELETE", "/keys/key-none", None));
        hear(ask(&server, Some(key), "PATCH", "/keys", None));
        let signed = client::form(server.line().address(), "/console/sign-in", &[("key", key), ("next", "/")]).unwrap();
        hear(signed);
    }
    hear(ask(&server, Some(ADMIN), "DELETE", &format!("/keys/{id}"), None));
    let database = server.database_url().to_owned();
    let set = [("ORDAIN_SECRET_KEY", SEAL), ("ORDAIN_ADMIN_KEY", ADMIN), ("ORDAIN_DATABASE_URL", URL)];
    for args in [&["config"][..], &["verify"], &["list"], &["key", "list", "--database-url", &database]] {
        answers.push_str(&said(&cli(&server, args, &set)));
    }
    server.sigterm();
    let log = std::fs::read_to_string(server.folder().join("server.log")).unwrap();
    let mut places = vec![("the answers", answers.into_bytes()), ("the log", log.into_bytes())];
    if !on_postgres() {
        for file in std::fs::read_dir(server.folder()).unwrap() {
            places.push(("the server's folder", std::fs::read(file.unwrap().path()).unwrap()));
        }
    }
    // The session's token looks like a key, and is one browser's own; a key's secret is known here.
    for (place, bytes) in &places {
        for secret in [&secret, ADMIN, wrong, &secret[7..39], HEADER, SEAL, PARAMETER, PASSWORD].map(str::as_bytes) {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret shows in {place}");
        }
    }
}
