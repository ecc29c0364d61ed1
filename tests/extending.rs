//! A type of task that is defined outside the library: `examples/document_processor.rs`, started through the API. And
//! its secrets, which must not be found anywhere.

#[path = "../examples/document_processor.rs"]
mod document_processor;
mod support;

use std::process::ExitCode;

use serde_json::{Value, json};
use support::server::{Server, played_arguments};

/// Long and odd enough to be found nowhere by chance.
const PASSWORD: &str = "planted-hunter2-9f3c";
const USER: &str = "planted-user-77ab";

#[test]
#[ignore = "the server of the other tests, played by this program"]
fn plays_the_server() {
    let arguments = played_arguments().into_iter().map(Into::into);
    let code = ordain::cli::run_from(document_processor::types(), arguments);
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

fn server(env: &[(&str, &str)]) -> Server {
    Server::played("plays_the_server", &["--log-level", "debug"], owned(env))
}

fn owned(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn body(id: &str, password: &str, archive_ms: u64) -> Value {
    json!({"task_type": "document_processor", "task_id": id, "task_params": {
        "title": "Report", "text": "One two, TWO.", "archive_ms": archive_ms,
        "credentials": {"user": USER, "password": password},
    }})
}

fn start(server: &Server, body: &Value) -> Value {
    let answer = server.post("/api/tasks/start", Some(body));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()
}

fn end(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/tasks/{id}?wait=20"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Every file beside the database, and what can be asked of the server.
fn nowhere(server: &Server, id: &str, planted: &[&str]) {
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in std::fs::read_dir(server.folder()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    assert!(
        places.iter().any(|(name, _)| name.ends_with("ordain.db"))
            && places.iter().any(|(n, _)| n.ends_with("server.log"))
    );
    for path in [
        format!("/api/tasks/{id}"),
        format!("/api/tasks/{id}/history"),
        format!("/workflows/{id}"),
        format!("/workflows/{id}?seq=1"),
        format!("/workflows/{id}/history"),
        "/api/tasks".to_owned(),
        "/metrics".to_owned(),
    ] {
        places.push((path.clone(), server.get(&path).body));
    }
    // What is no secret is found, so what is not found is not there.
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(places.iter().filter(|(_, bytes)| holds(bytes, "One two, TWO.")).count() >= 3);
    for (place, bytes) in places {
        for secret in planted {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {place}");
        }
    }
}

#[test]
fn a_type_from_outside_is_started_through_the_api_and_its_secrets_are_nowhere() {
    let server = server(&[]);
    let types = server.get("/api/tasks/types").json();
    let types = types["types"].as_array().unwrap();
    let names: Vec<&str> = types.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"checksum_text") && names.contains(&"document_processor"), "{names:?}");
    let started = start(&server, &body("doc-1", PASSWORD, 0));
    assert_eq!(
        started,
        json!({"task_id": "doc-1", "task_type": "document_processor", "status": "running", "status_url": "/api/tasks/doc-1"})
    );
    let done = end(&server, "doc-1");
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["result"]["terms"], json!({"one": 1, "two": 2}));
    assert!(done["result"]["receipt"].as_str().unwrap().starts_with("Report:"));
    assert_eq!(done["progress"], json!({"done": 2, "total": 2, "message": "completed"}));
    assert_eq!(done["task_params"]["credentials"], json!({"user": "***", "password": "***"}));
    assert_eq!(done["attempts"], json!({"extract_terms": 1, "archive_document": 1}));
    // The token of its result is as secret as what it was got with; so is a refusal that repeats the password.
    let facts = server.history("/api/tasks/doc-1");
    let step = facts.iter().rfind(|fact| fact["type"] == "StepCompleted").unwrap();
    assert_eq!(step["data"]["memory"]["token"], "***", "{step}");
    nowhere(&server, "doc-1", &[PASSWORD, USER]);
    start(&server, &body("doc-2", "wrong", 0));
    let refused = end(&server, "doc-2");
    assert_eq!((&refused["status"], &refused["error"]["kind"]), (&json!("failed"), &json!("refused")));
    assert_eq!(refused["error"]["message"], "the archive refuses *** with ***");
    nowhere(&server, "doc-2", &[USER]);
    // The same again, and another under the same id.
    let again = server.post("/api/tasks/start", Some(&body("doc-1", PASSWORD, 0)));
    assert_eq!(again.status, 200, "{}", again.text());
    let other = server.post("/api/tasks/start", Some(&body("doc-1", "another", 0)));
    assert_eq!((other.status, other.json()["code"].clone()), (409, json!("task_exists")));
    assert!(server.verify().status.success());
}

#[test]
fn what_does_not_fit_is_refused_without_repeating_a_secret() {
    let server = server(&[]);
    let mut bad = body("doc-1", PASSWORD, 0);
    bad["task_params"]["credentials"]["user"] = json!([PASSWORD]);
    bad["task_params"]["archive_ms"] = json!(-1);
    bad["task_params"]["credentials"]["pin"] = json!(4_711_815);
    let answer = server.post("/api/tasks/start", Some(&bad));
    let pointers: Vec<String> =
        answer.json()["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap().to_owned()).collect();
    assert_eq!(answer.status, 422);
    for pointer in ["/task_params/archive_ms", "/task_params/credentials/pin", "/task_params/credentials/user"] {
        assert!(pointers.iter().any(|p| p == pointer), "{pointer} in {pointers:?}");
    }
    assert!(!answer.text().contains(PASSWORD) && !answer.text().contains("4711815"));
    assert_eq!(server.get("/api/tasks/doc-1").status, 404);
    assert!(!server.folder().join("ordain.key").exists(), "no key is made for what is refused");
}

#[test]
fn a_kill_in_the_middle_changes_nothing_and_a_lost_key_is_a_clear_end() {
    let mut server = server(&[]);
    start(&server, &body("doc-1", PASSWORD, 700));
    while server.get("/api/tasks/doc-1").json()["progress"]["done"] != 1 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    server.kill9();
    server.restart();
    assert_eq!(end(&server, "doc-1")["status"], "completed");
    start(&server, &body("doc-2", PASSWORD, 3_000));
    while server.get("/api/tasks/doc-2").json()["progress"]["done"] != 1 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    server.kill9();
    let key = server.folder().join("ordain.key");
    std::fs::remove_file(&key).unwrap();
    server.restart();
    let failed = end(&server, "doc-2");
    assert_eq!(
        (&failed["status"], &failed["error"]["kind"]),
        (&json!("failed"), &json!("secrets_unreadable")),
        "{failed}"
    );
    assert!(!key.exists(), "a key is not made up for what cannot be opened");
    // What needs no secret goes on, and so does a new task, with a new key.
    let text = json!({"task_type": "checksum_text", "task_params": {"text": "x"}, "task_id": "sum-1"});
    start(&server, &text);
    assert_eq!(end(&server, "sum-1")["status"], "completed");
    start(&server, &body("doc-3", PASSWORD, 0));
    assert_eq!(end(&server, "doc-3")["status"], "completed");
    nowhere(&server, "doc-2", &[PASSWORD, USER]);
    assert!(server.verify().status.success());
}

#[test]
fn what_an_outside_worker_tells_is_sealed_and_cleaned_like_what_an_activity_of_our_own_gives() {
    const TOKEN: &str = "planted-session-41c0";
    let server = server(&[("ORDAIN_ACTIVITIES__ARCHIVE_DOCUMENT__OUTSIDE", "true")]);
    let polled = |id: &str| {
        start(&server, &body(id, PASSWORD, 0));
        let poll = json!({"worker_id": "w", "wait_seconds": 10});
        let leased = server.post("/api/queues/documents/poll", Some(&poll)).json();
        assert_eq!(leased["input"]["credentials"], json!({"user": USER, "password": PASSWORD}));
        leased["token"].as_str().unwrap().to_owned()
    };
    let token = polled("doc-1");
    let beat = json!({"progress": {"secret": TOKEN, "n": 1}});
    assert_eq!(server.post(&format!("/api/activities/{token}/heartbeat"), Some(&beat)).status, 200);
    let shown = server.get("/api/queues/documents");
    assert!(shown.text().contains("\"progress\":{") && !shown.text().contains(TOKEN), "{}", shown.text());
    let number = json!({"result": {"token": 4_711}});
    let refused = server.post(&format!("/api/activities/{token}/complete"), Some(&number));
    assert_eq!((refused.status, refused.json()["errors"][0]["pointer"].clone()), (422, json!("/result/token")));
    let result = json!({"result": {"receipt": format!("by {USER} with {PASSWORD}"), "token": TOKEN}});
    let complete = |body: &Value| server.post(&format!("/api/activities/{token}/complete"), Some(body)).status;
    assert_eq!(complete(&result), 200);
    let done = end(&server, "doc-1");
    assert_eq!(done["result"]["receipt"], "by *** with ***", "{done}");
    let facts = server.history("/api/tasks/doc-1");
    let step = facts.iter().rfind(|fact| fact["type"] == "StepCompleted").unwrap();
    assert_eq!(step["data"]["memory"]["token"], "***", "{step}");
    // The same again is answered the same; anything else comes too late.
    assert_eq!((complete(&result), complete(&json!({"result": {}}))), (200, 409));
    nowhere(&server, "doc-1", &[PASSWORD, USER, TOKEN]);
    let token = polled("doc-2");
    let failure = json!({"message": format!("{PASSWORD} is wrong"), "kind": "refused"});
    assert_eq!(server.post(&format!("/api/activities/{token}/fail"), Some(&failure)).status, 200);
    let failed = end(&server, "doc-2");
    assert_eq!(failed["error"]["message"], "*** is wrong", "{failed}");
    nowhere(&server, "doc-2", &[PASSWORD, USER, TOKEN]);
}

#[test]
fn a_configured_key_is_used_and_another_one_opens_nothing() {
    let (one, other) = ("0f".repeat(32), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let mut server = server(&[("ORDAIN_SECRET_KEY", &one)]);
    start(&server, &body("doc-1", PASSWORD, 3_000));
    while server.get("/api/tasks/doc-1").json()["progress"]["done"] != 1 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    server.kill9();
    assert!(!server.folder().join("ordain.key").exists());
    server.set_env(owned(&[("ORDAIN_SECRET_KEY", other)]));
    server.restart();
    let failed = end(&server, "doc-1");
    assert_eq!(failed["error"]["kind"], "secrets_unreadable", "{failed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("the key at hand is"), "{failed}");
    nowhere(&server, "doc-1", &[PASSWORD, USER, &one, other]);
}
