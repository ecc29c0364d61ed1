//! A call that waits in its queue is not made once its workflow wants it no more.

use serde_json::{Value, json};

use super::support::server::Server;

fn start(server: &Server, id: &str) {
    let body = json!({"task_type": "checksum_text", "task_id": id, "task_params": {"text": "abc", "parts": 2}});
    assert_eq!(server.post("/api/tasks/start", Some(&body)).status, 202);
}

fn cancel(server: &Server, id: &str) {
    assert_eq!(server.post(&format!("/api/tasks/{id}/cancel"), None).status, 202);
}

fn backlog(server: &Server) -> Value {
    server.get("/api/queues/checksums").json()["backlog"].clone()
}

#[test]
fn an_outside_worker_does_not_get_the_call_of_a_cancelled_task() {
    let server = Server::start(&[], vec![("ORDAIN_ACTIVITIES__CHECKSUM_PART__OUTSIDE".into(), "true".into())]);
    for id in ["t-1", "t-2", "t-3"] {
        start(&server, id);
    }
    assert_eq!(backlog(&server), 3);
    cancel(&server, "t-1");
    cancel(&server, "t-3");
    assert_eq!(backlog(&server), 1);
    let poll = || server.post("/api/queues/checksums/poll", Some(&json!({"worker_id": "w"})));
    assert_eq!(poll().json()["workflow_id"], "t-2");
    assert_eq!(poll().status, 204);
}

#[test]
fn the_pool_does_not_make_the_call_of_a_cancelled_task_in_its_window_or_beyond() {
    let env = [("ORDAIN_QUEUES__CHECKSUMS__PAUSED", "true"), ("ORDAIN_QUEUES__CHECKSUMS__WINDOW", "2")];
    let server = Server::start(&[], env.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let ids: Vec<String> = (1..=5).map(|n| format!("t-{n}")).collect();
    ids.iter().for_each(|id| start(&server, id));
    assert_eq!(backlog(&server), 5);
    ids[..4].iter().for_each(|id| cancel(&server, id));
    assert_eq!(backlog(&server), 1);
    assert_eq!(server.patch("/api/queues/checksums", &json!({"paused": false})).status, 200);
    assert_eq!(server.get("/api/tasks/t-5?wait=10").json()["status"], "completed");
    let metrics = server.get("/metrics").text();
    let made =
        metrics.lines().find(|line| line.starts_with("ordain_activity_attempts_total{activity=\"checksum_part\""));
    assert_eq!(made.and_then(|line| line.rsplit(' ').next()), Some("2"), "{metrics}");
}
