//! The invoice portal: logins, pages, limits, storms, counts.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{self, Response};
use crate::support::sandbox::Sandbox;

fn start(args: &[&str]) -> (Sandbox, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Sandbox::start(folder.path(), args), folder)
}

fn login(sandbox: &Sandbox) -> String {
    let answer = sandbox.send("POST", "/portal/login", &json!({"username": "u", "password": "p"}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    format!("Bearer {}", answer.json()["token"].as_str().unwrap())
}

fn get(sandbox: &Sandbox, token: &str, path: &str) -> Response {
    client::request(sandbox.address, "GET", path, &[("authorization", token)], None).unwrap()
}

fn code(answer: &Response) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

/// All invoices of a month, page by page.
fn month(sandbox: &Sandbox, token: &str, company: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1.. {
        let path = format!("/portal/invoices?month=2024-03&company_id={company}&page={page}");
        let answer = get(sandbox, token, &path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        all.extend(answer["invoices"].as_array().unwrap().iter().cloned());
        if answer["page"] == answer["pages"] {
            break;
        }
    }
    all
}

#[test]
fn a_month_is_read_page_by_page_and_each_invoice_whole() {
    let (sandbox, _folder) = start(&["--invoices-per-month", "25", "--seed", "5"]);
    let token = login(&sandbox);
    let all = month(&sandbox, &token, "acme");
    let ids: BTreeSet<&str> = all.iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!((all.len(), ids.len()), (25, 25));
    for id in &ids {
        let whole = get(&sandbox, &token, &format!("/portal/invoices/{id}")).json();
        assert_eq!(whole["id"].as_str(), Some(*id));
        assert!(!whole["lines"].as_array().unwrap().is_empty());
    }
    get(&sandbox, &token, &format!("/portal/invoices/{}", all[0]["id"].as_str().unwrap()));
    let stats = sandbox.get("/portal/stats").json();
    assert_eq!(stats["fetches"], json!({"total": 26, "distinct": 25, "max": 2, "duplicates": 1}));
    assert_eq!((&stats["requests"], &stats["logins"]), (&json!(29), &json!(1)));
    assert_ne!(month(&sandbox, &token, "other"), all);
    let (twin, _folder) = start(&["--invoices-per-month", "25", "--seed", "5"]);
    assert_eq!(month(&twin, &token, "acme"), all, "the same seed has the same invoices, and knows the same tokens");
}

#[test]
fn who_has_not_logged_in_or_too_long_ago_is_told_so() {
    let (sandbox, _folder) = start(&["--token-seconds", "1"]);
    let wrong = sandbox.send("POST", "/portal/login", &json!({"username": "u", "password": "wrong"}));
    assert_eq!(code(&wrong), (401, "wrong_credentials".into()));
    let missing = sandbox.send("POST", "/portal/login", &json!({"username": "u"}));
    assert_eq!(code(&missing), (422, "invalid_request".into()));
    let path = "/portal/invoices?month=2024-03&company_id=acme";
    assert_eq!(code(&sandbox.get(path)), (401, "token_missing".into()));
    assert_eq!(code(&get(&sandbox, "Bearer odd", path)), (401, "token_invalid".into()));
    let token = login(&sandbox);
    assert_eq!(get(&sandbox, &token, path).status, 200);
    for bad in ["month=2024-13&company_id=a", "month=2024-03", "month=2024-03&company_id=a&page=0", "odd=1"] {
        assert_eq!(code(&get(&sandbox, &token, &format!("/portal/invoices?{bad}"))).0, 422, "{bad}");
    }
    assert_eq!(code(&get(&sandbox, &token, "/portal/invoices/odd")), (404, "invoice_not_found".into()));
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(code(&get(&sandbox, &token, path)), (401, "token_expired".into()));
}

#[test]
fn in_a_storm_and_above_the_rate_one_is_told_when_to_come_back() {
    let (sandbox, _folder) = start(&["--portal-rate", "5/s"]);
    let token = login(&sandbox);
    let path = "/portal/invoices?month=2024-03&company_id=acme";
    let answers: Vec<Response> = (0..10).map(|_| get(&sandbox, &token, path)).collect();
    let limited = answers.iter().find(|a| a.status == 429).expect("the rate holds");
    assert_eq!((code(limited).1.as_str(), limited.header("retry-after")), ("rate_limited", Some("1")));
    assert!(answers.iter().filter(|a| a.status == 200).count() >= 4);

    let storm = sandbox.send("POST", "/portal/storm", &json!({"seconds": 2, "retry_after": 3}));
    assert_eq!(storm.status, 200, "{}", storm.text());
    let answer = get(&sandbox, &token, path);
    assert_eq!((code(&answer), answer.header("retry-after")), ((429, "storm".into()), Some("3")));
    let answer = sandbox.send("POST", "/portal/login", &json!({"username": "u", "password": "p"}));
    assert_eq!(answer.status, 429);
    let storm = sandbox.get("/portal/stats").json()["storm"].clone();
    assert_eq!((&storm["active"], &storm["requests"]), (&json!(true), &json!(2)));
    assert_eq!(storm["per_second"].as_array().unwrap().len(), 2);
    thread::sleep(Duration::from_millis(2_100));
    assert_eq!(get(&sandbox, &token, path).status, 200);
    assert_eq!(sandbox.get("/portal/stats").json()["storm"]["active"], false);
}
