//! Keys that are bound to an owner: what is another's is not there, over real HTTP.

use serde_json::json;

use super::support::client;
use super::support::keys::{ADMIN, ask, code, get, make, post, server, stream, until};

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
        assert_eq!((answer.status, code(&answer).as_str()), (409, "id_in_use"));
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

#[test]
fn an_idempotency_key_is_its_owners_own() {
    let server = server(&[]);
    let start = |key: &str, order: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "same")];
        let body = json!({"review": "manual", "address": "1 Secret Street"});
        client::request(server.line().address(), "POST", &format!("/orders/{order}/start"), &headers, Some(&body))
            .unwrap()
    };
    let (_, a) = make(&server, "a", &["operate"], Some("a"));
    let (_, b) = make(&server, "b", &["operate"], Some("b"));
    assert_eq!((start(&a, "o-1").status, start(&a, "o-1").status), (202, 202));
    let other = start(&b, "o-1");
    assert_eq!((other.status, code(&other).as_str()), (409, "id_in_use"), "{}", other.text());
    assert_eq!(start(&b, "o-2").status, 422, "the key was used for o-1 by this owner, too");
    assert_eq!(start(ADMIN, "o-3").status, 202);
}

#[test]
fn jobs_and_tasks_have_owners_as_orders_do() {
    let server = server(&[]);
    let scopes = ["operate"];
    let (_, a) = make(&server, "shop a", &scopes, Some("a"));
    let (_, b) = make(&server, "shop b", &scopes, Some("b"));
    let (_, all) = make(&server, "team", &scopes, None);
    let job = post(&server, &a, "/jobs", json!({"input": {"numbers": [1, 2]}})).json();
    let job = job["job_id"].as_str().unwrap();
    let sum = json!({"task_type": "checksum_text", "task_id": "t-1", "task_params": {"text": "Secret"}});
    assert_eq!(post(&server, &a, "/api/tasks/start", sum.clone()).status, 202);
    assert_eq!(get(&server, &a, "/api/tasks/t-1?wait=20").json()["status"], "completed");
    assert_eq!(get(&server, &a, &format!("/jobs/{job}?wait=20")).json()["result"]["sum"], 3);
    for (path, code_of) in [
        (format!("/jobs/{job}"), "job_not_found"),
        (format!("/jobs/{job}?wait=1"), "job_not_found"),
        ("/api/tasks/t-1".to_owned(), "task_not_found"),
        ("/api/tasks/t-1/history".to_owned(), "task_not_found"),
        (format!("/workflows/{job}"), "workflow_not_found"),
        ("/workflows/t-1/history".to_owned(), "workflow_not_found"),
    ] {
        let answer = get(&server, &b, &path);
        assert_eq!((answer.status, code(&answer).as_str()), (404, code_of), "{path}");
        assert_eq!(get(&server, &all, &path).status, 200, "{path}");
    }
    for path in [format!("/jobs/{job}/cancel"), "/api/tasks/t-1/cancel".to_owned()] {
        assert_eq!(post(&server, &b, &path, json!({})).status, 404, "{path}");
        assert_ne!(post(&server, &a, &path, json!({})).status, 404, "{path}");
    }
    let taken = post(&server, &b, "/api/tasks/start", sum);
    assert_eq!((taken.status, code(&taken).as_str()), (409, "id_in_use"), "{}", taken.text());
    let count = |key: &str, path: &str, name: &str| get(&server, key, path).json()[name].as_array().unwrap().len();
    for (path, name) in [("/jobs", "jobs"), ("/api/tasks", "tasks"), ("/api/tasks?task_type=checksum_text", "tasks")] {
        assert_eq!((count(&a, path, name), count(&b, path, name), count(&all, path, name)), (1, 0, 1), "{path}");
    }
    let stats = |key: &str| get(&server, key, "/stats").json();
    assert_eq!((&stats(&a)["jobs"]["completed"], &stats(&a)["tasks"]["completed"]), (&json!(1), &json!(1)));
    assert_eq!((&stats(&b)["jobs"]["completed"], &stats(&b)["tasks"]["completed"]), (&json!(0), &json!(0)));
    // Everybody's work, and what is about all of it, is for nobody's key in particular.
    let poll = json!({"worker_id": "w", "wait_seconds": 0});
    assert_eq!(post(&server, &a, "/api/queues/shipping/poll", poll.clone()).status, 403);
    assert_eq!(post(&server, &all, "/api/queues/shipping/poll", poll).status, 204);
    for path in ["/api/queues", "/api/queues/shipping", "/debug/actors"] {
        assert_eq!((get(&server, &a, path).status, get(&server, &all, path).status), (403, 200), "{path}");
    }
    let change = json!({"paused": true});
    let patch = |key: &str| ask(&server, Some(key), "PATCH", "/api/queues/shipping", Some(&change)).status;
    assert_eq!((patch(&all), patch(ADMIN)), (403, 200));
}

/// Method and route of each line of SECURITY.md's table, which a test compares with the router, and what it says of owners.
fn routes() -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md")).unwrap();
    let table = text.split("<!-- routes -->").nth(1).unwrap().split("<!-- /routes -->").next().unwrap();
    let lines = table.lines().filter(|line| line.contains('`'));
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    lines.map(cells).map(|cells| (cells[1].clone(), cells[2].clone(), cells[4].clone())).collect()
}

#[test]
fn every_route_with_an_id_is_404_under_another_owners_key() {
    let server = server(&[]);
    let scopes = ["read", "operate"];
    let (_, a) = make(&server, "shop a", &scopes, Some("a"));
    let (_, b) = make(&server, "shop b", &scopes, Some("b"));
    assert_eq!(post(&server, &a, "/orders/o-1/start", json!({"review": "manual"})).status, 202);
    let job =
        post(&server, &a, "/jobs", json!({"input": {"numbers": [1]}})).json()["job_id"].as_str().unwrap().to_owned();
    let task = json!({"task_type": "checksum_text", "task_id": "t-1", "task_params": {"text": "x"}});
    assert_eq!(post(&server, &a, "/api/tasks/start", task).status, 202);
    assert_eq!(get(&server, &a, "/api/tasks/t-1?wait=20").json()["status"], "completed");
    let ask_as = |key: &str, method: &str, path: &str| {
        let bearer = format!("Bearer {key}");
        if method == "POST" && path.starts_with("/console/") {
            return client::form_with(server.line().address(), path, &[("reason", "x")], &[("authorization", &bearer)]);
        }
        let address = json!({"address": "1 Main St"});
        let nothing = json!({});
        let body = if path.ends_with("update-address") { &address } else { &nothing };
        let headers = [("authorization", bearer.as_str())];
        client::request(server.line().address(), method, path, &headers, (method != "GET").then_some(body))
    };
    let mut asked = 0;
    for (method, route, owners) in routes() {
        if !route.contains('{') || owners == "open" {
            continue;
        }
        // A start of an id that is taken is 409 (see above). A batch is known by a random id to its browser alone.
        if route.ends_with("/start") || route == "/console/batch/{batch}" {
            continue;
        }
        let path = route
            .replace("{order_id}", "o-1")
            .replace("{id}", "o-1")
            .replace("{job_id}", &job)
            .replace("{task_id}", "t-1")
            .replace("{action}", "pause");
        let answer = ask_as(&b, &method, &path).unwrap();
        if owners == "no" {
            assert_eq!(answer.status, 403, "{method} {path}");
            continue;
        }
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
        // As if there were none: the same words as of an id that nobody has.
        let ghost =
            |text: &str| text.replace("o-1", "ID").replace("t-1", "ID").replace(&job, "ID").replace("no-one", "ID");
        let nobodys = path.replace("o-1", "no-one").replace("t-1", "no-one").replace(&job, "no-one");
        let nobodys = ask_as(&b, &method, &nobodys).unwrap();
        assert_eq!((nobodys.status, ghost(&nobodys.text())), (404, ghost(&answer.text())), "{method} {path}");
        if method == "GET" {
            assert_eq!(ask_as(&a, &method, &path).unwrap().status, 200, "{method} {path}");
        }
        asked += 1;
    }
    assert!(asked >= 20, "{asked}");
}
