//! Jobs over real HTTP and a real database: sums, attempts, lists, cancels, and a kill -9 in the middle.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::client;
use super::support::server::Server;

fn start(server: &Server, body: &Value) -> String {
    let answer = server.post("/jobs", Some(body));
    assert_eq!(answer.status, 202, "{}", answer.text());
    let started = answer.json();
    let id = started["job_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/jobs/{id}").as_str()));
    assert_eq!(started, json!({"job_id": id, "status": "running"}));
    assert_eq!(uuid::Uuid::parse_str(id.strip_prefix("job-").unwrap()).unwrap().get_version_num(), 7);
    id
}

fn numbers(list: &Value) -> Value {
    json!({"input": {"numbers": list}})
}

fn end(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/jobs/{id}?wait=20"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_job_whose_first_attempt_fails_on_purpose_succeeds_at_the_second_and_the_log_tells_both() {
    let server = Server::start(&["--log-level", "info"], Vec::new());
    let body = json!({"input": {"numbers": [10, 20, 30]}, "options": {"fail_first_attempt": true}});
    let id = start(&server, &body);
    let done = end(&server, &id);
    assert_eq!(
        (&done["status"], &done["result"], &done["attempts_taken"]),
        (&json!("completed"), &json!({"sum": 60}), &json!(2))
    );
    assert_eq!((&done["error"], done["completed_at"].is_string()), (&Value::Null, true));
    let log = server.log();
    let line = |words: &str| {
        let found = log.lines().find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("no {words:?} in\n{log}")).to_owned()
    };
    let (failure, success) = (line("simulated failure"), line("summed"));
    assert!(failure.contains("attempt=1") && failure.contains(&id), "{failure}");
    assert!(success.contains("attempt=2") && success.contains("60") && success.contains(&id), "{success}");
    let facts: Vec<String> =
        server.history(&format!("/workflows/{id}")).iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "JobReceived",
        "ActivityScheduled",
        "ActivityFailed",
        "ActivityScheduled",
        "ActivityCompleted",
        "JobCompleted",
    ];
    assert_eq!(facts, expected);
}

#[test]
fn integers_sum_exactly_digit_by_digit_and_floats_stay_floats() {
    let server = Server::start(&[], Vec::new());
    let sum = |list: &str| {
        let body: Box<serde_json::value::RawValue> =
            serde_json::from_str(&format!(r#"{{"input":{{"numbers":{list}}}}}"#)).unwrap();
        let raw = client::raw(server.line().address(), "POST", "/jobs", &[], body.get().as_bytes()).unwrap();
        assert_eq!(raw.status, 202, "{}", raw.text());
        let id = raw.json()["job_id"].as_str().unwrap().to_owned();
        let text = server.get(&format!("/jobs/{id}?wait=20")).text();
        let (_, rest) = text.split_once("\"sum\":").unwrap_or_else(|| panic!("{text}"));
        rest.split('}').next().unwrap().to_owned()
    };
    assert_eq!(sum("[]"), "0");
    assert_eq!(sum("[9007199254740993, 1]"), "9007199254740994");
    assert_eq!(sum("[9223372036854775807, 18446744073709551615, 1]"), "27670116110564327423");
    assert_eq!(sum("[-100000000000000000000000000000000000000001, 1]"), "-100000000000000000000000000000000000000000");
    assert_eq!(sum("[1, 0.5]"), "1.5");
    let many = format!("[{}1]", "1,".repeat(99_999));
    assert_eq!(sum(&many), "100000");
}

#[test]
fn a_bad_job_is_refused_with_every_fault_and_nothing_is_started() {
    let server = Server::start(&[], Vec::new());
    let faults = |body: Value| {
        let answer = server.post("/jobs", Some(&body));
        assert_eq!(answer.status, 422, "{}", answer.text());
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|e| e["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        faults(json!({"input": {"numbers": ["1", 2]}, "options": {"fail_second_attempt": true}})),
        ["/input/numbers/0", "/options/fail_second_attempt"]
    );
    assert_eq!(faults(json!({})), ["/input"]);
    assert_eq!(faults(numbers(&json!(vec![1; 100_001]))), ["/input/numbers"]);
    assert_eq!(server.post("/jobs", None).status, 422);
    assert_eq!(server.get("/jobs").json(), json!({"jobs": [], "next_cursor": null}));
    assert_eq!(server.get("/stats").json()["jobs"], json!({"running": 0, "completed": 0, "failed": 0, "cancelled": 0}));
    for path in ["/jobs/none", "/jobs/job-1", "/jobs/job-1?wait=1"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.json()["code"].clone()), (404, json!("job_not_found")), "{path}");
    }
    assert_eq!(server.get("/jobs/a%20b").json()["code"], "invalid_job_id");
    assert_eq!(server.post("/jobs/none/cancel", None).json()["code"], "job_not_found");
}

#[test]
fn a_sum_that_is_not_finite_fails_the_job_with_a_reason() {
    let server = Server::start(&[], Vec::new());
    let id = start(&server, &numbers(&json!([1e308, 1e308])));
    let failed = end(&server, &id);
    assert_eq!((&failed["status"], &failed["result"]), (&json!("failed"), &Value::Null));
    assert_eq!((&failed["error"]["kind"], &failed["error"]["attempt"]), (&json!("validation"), &json!(1)));
    let answer = server.post(&format!("/jobs/{id}/cancel"), None);
    assert_eq!((answer.status, answer.json()["code"].clone()), (409, json!("job_not_cancellable")));
}

/// A configuration under which a failed first attempt waits for a minute.
fn patient(server_args: &[&str]) -> Server {
    let env = [("ORDAIN_RETRY__INITIAL_MS", "60000"), ("ORDAIN_RETRY__CAP_MS", "60000")];
    Server::start(server_args, env.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec())
}

#[test]
fn a_running_job_is_cancelled_once_and_stays_so() {
    let server = patient(&[]);
    let body = json!({"input": {"numbers": [1]}, "options": {"fail_first_attempt": true}});
    let id = start(&server, &body);
    let cancel = || server.post(&format!("/jobs/{id}/cancel"), Some(&json!({"reason": "no need"})));
    let first = cancel();
    assert_eq!((first.status, first.json()["status"].clone()), (202, json!("cancelled")));
    assert_eq!(cancel().status, 200);
    assert_eq!(end(&server, &id)["status"], "cancelled");
    assert_eq!(server.get("/stats").json()["jobs"]["cancelled"], 1);
}

#[test]
fn jobs_are_listed_newest_first_by_state_and_page_by_page() {
    let server = patient(&[]);
    let ids: Vec<String> = (0..7).map(|n| start(&server, &numbers(&json!([n, n])))).collect();
    let waits = start(&server, &json!({"input": {"numbers": [1]}, "options": {"fail_first_attempt": true}}));
    for id in &ids {
        assert_eq!(end(&server, id)["status"], "completed");
    }
    let all = |query: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.get(&format!("/jobs?limit=3{query}{cursor}")).json();
            found.extend(page["jobs"].as_array().unwrap().iter().map(|j| j["job_id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    let mut newest: Vec<String> = ids.clone();
    newest.push(waits.clone());
    newest.reverse();
    assert_eq!(all(""), newest);
    assert_eq!(all("&state=running"), [waits]);
    assert_eq!(all("&status=completed").len(), 7);
    assert_eq!(server.get("/jobs?state=odd").status, 422);
    let stats = server.get("/stats").json();
    assert_eq!((&stats["jobs"]["completed"], &stats["jobs"]["running"]), (&json!(7), &json!(1)));
    // A job is no order, whatever its id.
    let order = server.get(&format!("/orders/{}/status", newest[0]));
    assert_eq!((order.status, order.json()["code"].clone()), (404, json!("order_not_found")));
    let taken = server.post(&format!("/orders/{}/start", newest[0]), None);
    assert_eq!((taken.status, taken.json()["code"].clone()), (409, json!("id_in_use")));
    assert_eq!(server.post(&format!("/orders/{}/signals/cancel", newest[0]), None).status, 404);
    assert_eq!(server.get(&format!("/orders/{}/history", newest[0])).status, 404);
}

#[test]
fn the_same_key_gives_the_same_job_also_after_a_kill_and_every_answered_job_ends() {
    let mut server = Server::start(&[], Vec::new());
    let keyed = |server: &Server, key: &str, body: &Value| {
        client::request(server.line().address(), "POST", "/jobs", &[("idempotency-key", key)], Some(body)).unwrap()
    };
    let body = json!({"input": {"numbers": [1, 2]}, "options": {"fail_first_attempt": true}});
    let first = keyed(&server, "k-1", &body);
    let mut ids = BTreeSet::new();
    for n in 0..40 {
        ids.insert(start(&server, &json!({"input": {"numbers": [n, 1]}, "options": {"fail_first_attempt": true}})));
    }
    server.kill9();
    server.restart();
    let again = keyed(&server, "k-1", &body);
    assert_eq!((again.status, again.json()), (202, first.json()));
    let other = keyed(&server, "k-1", &numbers(&json!([3])));
    assert_eq!((other.status, other.json()["code"].clone()), (422, json!("idempotency_key_reused")));
    assert_eq!(ids.len(), 40);
    for id in &ids {
        let done = end(&server, id);
        assert_eq!(done["status"], "completed", "{done}");
        // An attempt that was under way at the kill is made again under its own number.
        assert_eq!(done["attempts_taken"], 2, "{done}");
    }
    assert_eq!(server.get("/stats").json()["jobs"]["completed"], 41);
    assert!(server.verify().status.success());
}
