//! Tasks over real HTTP and a real database: types, parameters, progress, lists, cancels, and a kill -9 in the middle.

use serde_json::{Value, json};

use super::support::client;
use super::support::server::Server;

fn checksum(text: &str, parts: u32) -> Value {
    json!({"task_type": "checksum_text", "task_params": {"text": text, "parts": parts}})
}

fn start(server: &Server, body: &Value) -> String {
    let answer = server.post("/api/tasks/start", Some(body));
    assert_eq!(answer.status, 202, "{}", answer.text());
    let started = answer.json();
    let id = started["task_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/api/tasks/{id}").as_str()));
    let url = format!("/api/tasks/{id}");
    assert_eq!(started, json!({"task_id": id, "task_type": body["task_type"], "status": "running", "status_url": url}));
    id
}

fn end(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/tasks/{id}?wait=20"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// A world in which two of three attempts fail or hang, and in which one is patient.
fn flaky() -> Server {
    let env =
        [("ORDAIN_RETRY__INITIAL_MS", "5"), ("ORDAIN_RETRY__CAP_MS", "10"), ("ORDAIN_RETRY__MAX_ATTEMPTS", "1000")];
    let args = ["--chaos", "flaky", "--chaos-seed", "3", "--attempt-timeout-seconds", "0.05"];
    Server::start(&args, env.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec())
}

#[test]
fn the_types_are_told_with_the_schema_of_their_parameters() {
    let server = Server::start(&[], Vec::new());
    let types = server.get("/api/tasks/types").json();
    let checksum = types["types"].as_array().unwrap().iter().find(|t| t["name"] == "checksum_text").unwrap().clone();
    assert!(checksum["description"].is_string() && checksum["queue"] == "checksums");
    let schema = &checksum["params_schema"];
    assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["text"])));
    assert_eq!(schema["properties"]["parts"]["maximum"], 100);
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn a_task_goes_step_by_step_and_shows_its_progress_result_and_history() {
    let server = Server::start(&[], Vec::new());
    let id = start(&server, &checksum("abc", 3));
    assert!(id.starts_with("task-"));
    let done = end(&server, &id);
    let whole = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((&done["status"], &done["result"]["sha256"]), (&json!("completed"), &json!(whole)));
    assert_eq!(done["result"]["parts"].as_array().unwrap().len(), 3);
    assert_eq!(done["progress"], json!({"done": 3, "total": 3, "message": "completed"}));
    assert_eq!((&done["attempts"], &done["error"]), (&json!({"checksum_part": 3}), &Value::Null));
    assert!(done["created_at"].is_string() && done["completed_at"].is_string());
    let history = server.get(&format!("/api/tasks/{id}/history?limit=2")).json();
    assert_eq!((&history["task_id"], &history["next_after"]), (&json!(id), &json!(2)));
    let facts = server.history(&format!("/api/tasks/{id}"));
    assert_eq!((&facts[0]["type"], &facts.last().unwrap()["type"]), (&json!("TaskStarted"), &json!("TaskCompleted")));
    assert!(facts.iter().zip(1..).all(|(fact, seq)| fact["seq"] == seq));
}

#[test]
fn what_does_not_fit_is_refused_with_every_fault_and_nothing_is_started() {
    let server = Server::start(&[], Vec::new());
    let refused = |body: Value| {
        let answer = server.post("/api/tasks/start", Some(&body));
        assert_eq!(answer.status, 422, "{}", answer.text());
        let problem = answer.json();
        let pointers = problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap().to_owned());
        (problem["code"].as_str().unwrap().to_owned(), pointers.collect::<Vec<_>>())
    };
    let (code, pointers) = refused(json!({"task_type": "checksum_text", "task_params": {"parts": "2", "x": 1}}));
    assert_eq!((code.as_str(), pointers.len()), ("invalid_request", 3), "{pointers:?}");
    assert!(pointers.iter().all(|pointer| pointer.starts_with("/task_params/")));
    assert_eq!(refused(json!({"task_type": "none", "task_params": {}})).0, "unknown_task_type");
    assert_eq!(refused(json!({"task_params": {}})).1, ["/task_type"]);
    assert_eq!(
        refused(json!({"task_type": "checksum_text", "task_params": {"text": "a"}, "task_id": "a b"})).1,
        ["/task_id"]
    );
    assert_eq!(server.post("/api/tasks/start", None).status, 422);
    assert_eq!(server.get("/api/tasks").json(), json!({"tasks": [], "next_cursor": null}));
    for path in ["/api/tasks/none", "/api/tasks/none/history"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.json()["code"].clone()), (404, json!("task_not_found")), "{path}");
    }
    assert_eq!(server.post("/api/tasks/none/cancel", None).json()["code"], "task_not_found");
}

#[test]
fn the_same_start_is_the_same_task_and_ids_and_keys_are_kept_apart() {
    let server = Server::start(&[], Vec::new());
    let named = |text: &str| {
        let mut body = checksum(text, 1);
        body["task_id"] = json!("t-1");
        body
    };
    start(&server, &named("a"));
    assert_eq!(server.post("/api/tasks/start", Some(&named("a"))).status, 200);
    let other = server.post("/api/tasks/start", Some(&named("b")));
    assert_eq!((other.status, other.json()["code"].clone()), (409, json!("task_exists")));
    let keyed = |body: &Value| {
        let headers = [("idempotency-key", "k-1")];
        client::request(server.line().address(), "POST", "/api/tasks/start", &headers, Some(body)).unwrap()
    };
    let first = keyed(&checksum("a", 1));
    assert_eq!((first.status, keyed(&checksum("a", 1)).json()), (202, first.json()));
    assert_eq!(keyed(&checksum("b", 1)).json()["code"], "idempotency_key_reused");
    // An id belongs to one thing, and is not found as another.
    let order = server.post("/orders/t-1/start", None);
    assert_eq!((order.status, order.json()["code"].clone()), (409, json!("id_in_use")));
    for path in ["/orders/t-1/status", "/orders/t-1/state", "/orders/t-1/history", "/jobs/t-1"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.post("/orders/o-1/start", None).status, 202);
    let mut taken = checksum("a", 1);
    taken["task_id"] = json!("o-1");
    assert_eq!(server.post("/api/tasks/start", Some(&taken)).json()["code"], "id_in_use");
    assert_eq!(server.get("/api/tasks/o-1").status, 404);
}

#[test]
fn a_running_task_is_cancelled_and_lists_tell_states_and_types() {
    let server = flaky();
    let slow = start(&server, &checksum(&"x".repeat(1_000), 100));
    let quick = start(&server, &checksum("y", 1));
    let cancelled = server.post(&format!("/api/tasks/{slow}/cancel"), None);
    assert_eq!((cancelled.status, cancelled.json()["status"].clone()), (202, json!("cancelled")));
    assert_eq!(server.post(&format!("/api/tasks/{slow}/cancel"), None).status, 200);
    assert_eq!(end(&server, &quick)["status"], "completed");
    let late = server.post(&format!("/api/tasks/{quick}/cancel"), None);
    assert_eq!((late.status, late.json()["code"].clone()), (409, json!("task_not_cancellable")));
    let ids = |query: &str| -> Vec<String> {
        let page = server.get(&format!("/api/tasks{query}")).json();
        page["tasks"].as_array().unwrap().iter().map(|t| t["task_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(""), [quick.clone(), slow.clone()]);
    assert_eq!(ids("?state=cancelled&task_type=checksum_text"), [slow]);
    assert_eq!(ids("?limit=1"), [quick]);
    assert_eq!(server.get("/api/tasks?task_type=odd").status, 422);
    let stats = server.get("/stats").json();
    assert_eq!(stats["tasks"], json!({"running": 0, "completed": 1, "failed": 0, "cancelled": 1}));
}

#[test]
fn a_killed_server_goes_on_with_every_task_from_its_last_step() {
    let mut server = flaky();
    let ids: Vec<String> = (0..20).map(|n| start(&server, &checksum(&format!("text number {n}"), 10))).collect();
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(150));
        server.kill9();
        server.restart();
    }
    for id in &ids {
        let done = end(&server, id);
        assert_eq!((&done["status"], &done["progress"]["done"]), (&json!("completed"), &json!(10)), "{done}");
        let facts = server.history(&format!("/api/tasks/{id}"));
        assert_eq!(facts.iter().filter(|fact| fact["type"] == "StepCompleted").count(), 10);
    }
    assert!(server.verify().status.success());
}
