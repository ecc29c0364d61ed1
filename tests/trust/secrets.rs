//! Secrets are planted wherever one may be given, told by those outside who answer with what they were sent; then all that
//! can be asked, read or printed is searched for them.

use std::path::Path;
use std::process::Command;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::support::client;
use super::support::keys::{ADMIN, HTML, ask, cli, get, make, page, post, said, sign_in, stream};
use super::support::server::{Server, on_postgres};
use super::support::wire::{Host, Reply};

/// All begin so: one search finds every one of them, whole or in part. The name of a header's scheme is none.
const MARK: &str = "pl4nt3d";
const HEADER: &str = "Bearer pl4nt3d-header-77aa";
const PASSWORD: &str = "pl4nt3d-password-19cd";
const USER: &str = "pl4nt3d-user-55ef";
const TOKEN: &str = "pl4nt3d-token-d00d";
const WORKER: &str = "pl4nt3d-worker-beef";
const SEALING: &str = "pl4nt3d-is-no-key";
const STRAY: &str = "pl4nt3d-stray-0042";

/// A payment gateway that takes 7.00 and refuses any other charge; both with what it was sent in its words.
fn gateway() -> Host {
    Host::start(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let words = format!("no charge for {}", request.headers["authorization"]);
        let reply = match body["amount"].as_str() {
            Some("7.00") => Reply::new(200, json!({"charge_ref": words, "echo": words}).to_string()),
            _ => Reply::new(402, json!({ "detail": words }).to_string()),
        };
        async move { reply }.boxed()
    })
}

/// A portal that takes the login of one company, and whose answers repeat the token; another's it refuses, repeating
/// the password.
fn portal() -> Host {
    Host::start(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let answer = match (request.method.as_str(), request.path.as_str()) {
            ("POST", _) if body["username"] == "good" => Reply::new(200, json!({ "token": TOKEN }).to_string()),
            ("POST", _) => {
                let words = format!("{} may not in with {}", body["username"], body["password"]);
                Reply::new(401, json!({ "detail": words }).to_string())
            }
            (_, path) if path.starts_with("/invoices?") => {
                let page = json!({"invoices": [{"id": "i-1", "issued_on": "2024-01-05"}], "pages": 1});
                Reply::new(200, page.to_string())
            }
            _ => {
                let invoice = json!({
                    "id": "i-1", "asked_with": format!("Bearer {TOKEN}"), "token": TOKEN, "secret": {"of": TOKEN},
                    "total": "plain-total",
                });
                Reply::new(200, invoice.to_string())
            }
        };
        async move { answer }.boxed()
    })
}

fn import(id: &str, user: &str) -> Value {
    json!({"task_type": "gdt_invoice_import", "task_id": id, "task_params": {
        "company_id": "acme", "company_name": "plain-company", "date_range_start": "2024-01-01", "date_range_end": "2024-01-31",
        "credentials": {"username": user, "password": PASSWORD},
    }})
}

fn server(gateway: &Host, portal: &Host) -> Server {
    let env = [
        ("ORDAIN_ADMIN_KEY", ADMIN.to_owned()),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", gateway.url("/charge")),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__HEADERS__AUTHORIZATION", HEADER.to_owned()),
        ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__OUTSIDE", "true".to_owned()),
        ("ORDAIN_PORTAL__URL", portal.url("")),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).into();
    Server::start(&["--review-seconds", "0", "--log-level", "trace"], env)
}

/// What was found where.
#[derive(Default)]
struct Search {
    secrets: Vec<String>,
    places: usize,
    found: Vec<String>,
}

impl Search {
    fn look(&mut self, place: &str, bytes: &[u8]) {
        self.places += 1;
        for secret in &self.secrets {
            if let Some(at) = bytes.windows(secret.len()).position(|window| window == secret.as_bytes()) {
                let around = &bytes[at.saturating_sub(80)..(at + secret.len() + 40).min(bytes.len())];
                self.found.push(format!("{secret} in {place}: …{}…", String::from_utf8_lossy(around)));
            }
        }
    }

    fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            self.look(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}

/// Gives every secret there is to give; the keys that were made.
fn plant(server: &Server) -> Vec<String> {
    let made: Vec<String> = [Some("a"), None].map(|owner| make(server, "some key", &["operate"], owner).1).into();
    let team = &made[1];
    // Refused by the gateway, which repeats the header.
    assert_eq!(post(server, ADMIN, "/orders/o-1/start", json!({"amount": "5.00"})).status, 202);
    assert_eq!(get(server, ADMIN, "/orders/o-1/status?wait=20").json()["terminal"], true);
    // One import ends well, one is refused.
    for (id, user) in [("good", "good"), ("bad", USER)] {
        let started = post(server, team, "/api/tasks/start", import(id, user));
        assert_eq!(started.status, 202, "{}", started.text());
        let done = get(server, team, &format!("/api/tasks/{id}?wait=20")).json();
        assert_eq!(done["status"], if id == "good" { "completed" } else { "failed" }, "{done}");
    }
    // A worker tells its own secrets.
    assert_eq!(post(server, team, "/orders/o-2/start", json!({"amount": "7.00"})).status, 202);
    let poll = json!({"worker_id": "w", "wait_seconds": 20});
    let leased = post(server, team, "/api/queues/shipping/poll", poll).json();
    let token = leased["token"].as_str().expect("something to do");
    let beat = json!({"progress": {"secret": WORKER}});
    assert_eq!(post(server, team, &format!("/api/activities/{token}/heartbeat"), beat).status, 200);
    let result = json!({"result": {"package_ref": "p", "token": WORKER, "credentials": {"a": WORKER}}});
    assert_eq!(post(server, team, &format!("/api/activities/{token}/complete"), result).status, 200);
    assert_eq!(get(server, team, "/orders/o-2/status?wait=20").json()["state"], "completed");
    // What is refused, or is no request at all, is not repeated either.
    let stray = json!({"task_type": "checksum_text", "task_params": {"text": 5, "password": STRAY, "token": [STRAY]}});
    assert_eq!(post(server, team, "/api/tasks/start", stray).status, 422);
    let address = server.line().address();
    let bearer = format!("Bearer {ADMIN}");
    for body in [
        format!("{{\"task_type\":\"checksum_text\",\"task_params\":{{\"password\":\"{STRAY}\""),
        format!("{{\"password\":\"{STRAY}\",\"password\":\"{STRAY}\"}}"),
        format!("{{\"password\":{STRAY}}}"),
    ] {
        let headers = [("authorization", bearer.as_str())];
        let answer = client::raw(address, "POST", "/api/tasks/start", &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains(STRAY), "{}", answer.text());
    }
    for key in [STRAY, "", "ordain_"] {
        assert_eq!(ask(server, Some(key), "GET", "/orders", None).status, 401);
    }
    let basic = format!("Basic {STRAY}");
    let _ = client::request(address, "GET", "/orders", &[("authorization", &basic)], None);
    let _ = client::form(address, "/console/sign-in", &[("key", STRAY), ("next", "/")]);
    let _ = client::request(address, "GET", "/", &[HTML, ("cookie", &format!("ordain_session={STRAY}"))], None);
    made
}

#[test]
fn a_secret_planted_anywhere_is_found_nowhere() {
    let (gateway, portal) = (gateway(), portal());
    let mut server = server(&gateway, &portal);
    let made = plant(&server);
    let cookie = sign_in(&server, &made[1], "/");
    let session = cookie.split_once('=').unwrap().1.to_owned();
    let mut search = Search::default();
    search.secrets.extend([MARK.to_owned(), ADMIN.to_owned(), session]);
    search.secrets.extend(made.iter().cloned());

    // Every route that is read, of the API and of the console, filled with what is there.
    let fill = |route: &str, id: &str| {
        let names = ["{order_id}", "{task_id}", "{job_id}", "{id}", "{key_id}", "{token}", "{batch}"];
        names.iter().fold(route.replace("{queue}", "invoices"), |path, name| path.replace(name, id))
    };
    let document = get(&server, ADMIN, "/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let mut routes: Vec<&str> =
        paths.iter().filter(|(_, item)| item["get"].is_object()).map(|(p, _)| p.as_str()).collect();
    routes.retain(|route| *route != "/events");
    routes.extend([
        "/orders?limit=500",
        "/audit?limit=1000",
        "/workflows/o-1?seq=1",
        "/workflows/{id}/invoice_batch/1/history",
    ]);
    for id in ["o-1", "o-2", "good", "bad"] {
        for route in &routes {
            let path = fill(route, id);
            let answer = get(&server, ADMIN, &path);
            assert!(answer.status < 500, "{path}: {}", answer.status);
            search.look(&path, &answer.body);
        }
        for route in [
            "/",
            "/console/overview",
            "/console/engine",
            "/console/orders/{id}",
            "/console/work",
            "/console/work/{id}",
            "/console/queues",
            "/console/queues/invoices",
            "/console/queues/shipping",
        ] {
            let path = fill(route, id);
            search.look(&path, &page(&server, &cookie, &path).body);
        }
    }
    search.look("/events", stream(&server, ADMIN, "/events?after=0").as_bytes());

    // What is no secret is there, so what is not found is not hidden by an empty page.
    let rows = get(&server, ADMIN, "/api/tasks/good/result").text();
    assert!(rows.contains("plain-total"), "{rows}");
    let refused = get(&server, ADMIN, "/orders/o-1/status").json();
    assert!(refused["last_error"]["message"].as_str().unwrap().contains("no charge for ***"), "{refused}");

    // Every command that prints, with the secrets in its own environment.
    let url = server.url();
    let env = [
        ("ORDAIN_URL", url.as_str()),
        ("ORDAIN_KEY", ADMIN),
        ("ORDAIN_ADMIN_KEY", ADMIN),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "http://pay.example/x"),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__HEADERS__AUTHORIZATION", HEADER),
    ];
    let database = server.database_url().to_owned();
    for args in [
        &["config"][..],
        &["config", "--database-url", "postgres://me:pl4nt3d-database@db.example/ordain"],
        &["migrate", "status", "--database-url", "postgres://me:pl4nt3d-database@127.0.0.1:9/ordain"],
        &["describe", "o-1"],
        &["history", "o-1"],
        &["history", "good/invoice_batch/1"],
        &["logs"],
        &["logs", "o-1"],
        &["list"],
        &["key", "list"],
        &["queues"],
        &["task", "get", "bad"],
        &["task", "history", "good"],
        &["task", "result", "good"],
        &["verify", "--database-url", &database],
        &["backup", "copy.db"],
    ] {
        search.look(&args.join(" "), said(&cli(&server, args, &env)).as_bytes());
    }
    // A server whose database is away says so, and tries again for as long as it is let.
    let away =
        ["serve", "--database-url", "postgres://me:pl4nt3d-database@127.0.0.1:9/ordain", "--bind", "127.0.0.1:0"];
    let mut serve = Command::new("timeout");
    serve.args(["3", env!("CARGO_BIN_EXE_ordain")]).args(away).args(["--log-level", "trace"]);
    search.look(
        "serve",
        said(&serve.env_clear().env("PATH", "/usr/bin:/bin").current_dir(server.folder()).output().unwrap()).as_bytes(),
    );
    // A sealing key that is none is refused, not shown.
    for command in ["config", "serve"] {
        let refused = cli(&server, &[command], &[("ORDAIN_SECRET_KEY", SEALING)]);
        assert_eq!(refused.status.code(), Some(2));
        search.look(command, said(&refused).as_bytes());
    }

    // The files while it runs, after a kill, after what is recovered was run, and after an end in order.
    search.files(server.folder());
    server.kill9();
    search.files(server.folder());
    server.restart();
    assert_eq!(get(&server, ADMIN, "/api/tasks/good").json()["status"], "completed");
    server.sigterm();
    search.files(server.folder());
    assert!(server.folder().join("copy.db").exists() || on_postgres());
    assert!(server.whole_log().contains(" TRACE ") || server.whole_log().contains("TRACE"), "it logs at trace");
    assert!(search.places > 150, "{}", search.places);
    assert!(search.found.is_empty(), "{} finds:\n{}", search.found.len(), search.found.join("\n"));
}

#[test]
fn a_database_without_its_server_shows_no_password_either() {
    let folder = tempfile::tempdir().unwrap();
    let url = "postgres://me:pl4nt3d-database@127.0.0.1:9/ordain";
    for args in [&["verify"][..], &["key", "list"], &["migrate", "status"], &["backup", "x.db"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
        let done =
            command.env_clear().current_dir(folder.path()).args(args).args(["--database-url", url]).output().unwrap();
        assert!(!done.status.success(), "{args:?}");
        assert!(!said(&done).contains(MARK), "{args:?}: {}", said(&done));
    }
}
