//! What the tests in the browser share.

use serde_json::{Value, json};

use super::support::browser::Browser;
use super::support::server::{Line, Server};

pub const PLANTED: &str = "<img src=x onerror=\"document.title='planted'\">";
/// The page's scripts are there, and its stream of events is open.
pub const LIVE: &str = "document.getElementById('live').dataset.live === 'on'";

pub fn start(line: &Line, order: &str, body: Value) {
    let answer = line.post(&format!("/orders/{order}/start"), Some(&body)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

pub fn manual(line: &Line, order: &str) {
    let body = json!({"review": "manual", "amount": "49.90", "currency": "USD", "address": "1 Main St, Springfield"});
    start(line, order, body);
    until(line, order, "in_review");
}

pub fn until(line: &Line, order: &str, state: &str) -> Value {
    line.get(&format!("/orders/{order}/status?wait=20&until={state}")).unwrap().json()
}

/// axe-core finds nothing on any of these pages, in either theme, and none is wider than a desktop or a phone.
pub fn axe_over(browser: &Browser, server: &Server, pages: &[&str]) {
    for scheme in ["light", "dark"] {
        browser.theme(scheme);
        for (width, height) in [(1440, 900), (360, 780)] {
            browser.size(width, height);
            for path in pages {
                browser.open(&format!("{}{path}", server.url()));
                assert_eq!(browser.axe(), Vec::<String>::new(), "{path} {scheme} {width}");
                let over = browser.run("return document.documentElement.scrollWidth - innerWidth");
                assert!(over.as_i64() <= Some(0), "{path} is {over} px too wide at {width}");
            }
        }
    }
}
