//! `ordain job` and `ordain task` against a real server.

use std::process::{Command, Output};

use serde_json::Value;

use super::support::server::Server;

fn ordain(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.args(args).args(["--url", &server.url()]).current_dir(server.folder()).output().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap()
}

#[test]
fn a_job_is_started_shown_listed_and_its_sum_is_exact_in_the_table_too() {
    let server = Server::start(&[], Vec::new());
    let huge = "123456789012345678901234567890";
    let table = out(&ordain(&server, &["job", "start", huge, "-1", "--fail-first-attempt", "--wait", "20"]));
    assert!(table.contains("123456789012345678901234567889") && table.contains("completed"), "{table}");
    let list = out(&ordain(&server, &["job", "list"]));
    assert!(list.contains("123456789012345678901234567889"), "{list}");
    let page = json(&ordain(&server, &["job", "list", "--state", "completed", "-o", "json"]));
    let id = page["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    assert_eq!(json(&ordain(&server, &["job", "get", &id, "-o", "json"]))["attempts_taken"], 2);
    let cancel = ordain(&server, &["job", "cancel", &id]);
    assert_eq!(cancel.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&cancel.stderr).contains("job_not_cancellable"));
    assert_eq!(ordain(&server, &["job", "start", "one"]).status.code(), Some(2));
    assert_eq!(ordain(&server, &["job", "get", "none"]).status.code(), Some(1));
}

#[test]
fn a_task_is_started_from_flags_and_from_a_file_and_its_history_is_told() {
    let server = Server::start(&[], Vec::new());
    let types = out(&ordain(&server, &["task", "types"]));
    assert!(types.contains("checksum_text") && types.contains("[parts] text"), "{types}");
    let args =
        ["task", "start", "checksum_text", "--param", "text=abc", "--param", "parts=2", "--id", "t-1", "--wait", "20"];
    let table = out(&ordain(&server, &args));
    assert!(table.contains("completed") && table.contains("2 of 2"), "{table}");
    std::fs::write(server.folder().join("params.json"), r#"{"text":"abc"}"#).unwrap();
    let args = ["task", "start", "checksum_text", "--params-file", "params.json", "--wait", "20", "-o", "json"];
    assert_eq!(json(&ordain(&server, &args))["progress"]["done"], 4);
    let history = out(&ordain(&server, &["task", "history", "t-1"]));
    assert!(history.contains("TaskStarted") && history.contains("TaskCompleted"), "{history}");
    let list = out(&ordain(&server, &["task", "list", "--type", "checksum_text", "--state", "completed"]));
    assert!(list.contains("t-1"), "{list}");
    let bad = ordain(&server, &["task", "start", "checksum_text", "--param", "parts=0"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("/task_params/text"));
    let odd = ordain(&server, &["task", "start", "checksum_text", "--params-json", r#"{"password": hunter2}"#]);
    assert_eq!(odd.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&odd.stderr).contains("hunter2"));
}
