//! The console's pages for jobs, tasks and queues, the sorts of the list, and what is said after a crash; over real
//! HTTP, without a browser.

use serde_json::{Value, json};

use super::support::client::{self, Response};
use super::support::server::Server;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const PLANTED: &str = "<img src=x onerror=alert(1)>\"'&";
const SHOWN: &str = "&lt;img src=x onerror=alert(1)&gt;";

fn page(server: &Server, path: &str) -> Response {
    client::request(server.line().address(), "GET", path, &[HTML], None).unwrap()
}

fn text(server: &Server, path: &str) -> String {
    let answer = page(server, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let html = answer.text();
    assert!(!html.contains("<img") && !html.contains(" style=\""), "{path}");
    html
}

fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> Response {
    client::form(server.line().address(), path, fields).unwrap()
}

/// The values of an attribute, as they stand in the page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let begin = format!(" {name}=\"");
    page.match_indices(&begin).map(|(at, _)| page[at + begin.len()..].split('"').next().unwrap()).collect()
}

fn rows(html: &str, kind: &str) -> Vec<String> {
    attributes(html, "id").into_iter().filter_map(|id| id.strip_prefix(kind)).map(str::to_owned).collect()
}

fn next_page(html: &str) -> Option<String> {
    attributes(html, "href").into_iter().find(|href| href.contains("cursor=")).map(|href| href.replace("&amp;", "&"))
}

fn task(server: &Server, id: &str, text: &str, parts: u32) {
    let body = json!({"task_type": "checksum_text", "task_id": id, "task_params": {"text": text, "parts": parts}});
    let answer = server.post("/api/tasks/start", Some(&body));
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn job(server: &Server, options: &Value) -> String {
    let body = json!({"input": {"numbers": [10, 20, 30.5]}, "options": options});
    server.post("/jobs", Some(&body)).json()["job_id"].as_str().unwrap().to_owned()
}

fn server() -> Server {
    Server::start(&["--review-seconds", "0"], Vec::new())
}

#[test]
fn jobs_and_tasks_are_listed_with_their_progress_and_each_has_a_page() {
    let server = server();
    let summed = job(&server, &json!({"fail_first_attempt": true}));
    server.get(&format!("/jobs/{summed}?wait=20"));
    task(&server, "done", PLANTED, 3);
    server.get("/api/tasks/done?wait=20");
    assert_eq!(form(&server, "/console/queues/checksums", &[("paused", "yes")]).status, 303);
    task(&server, "waits", PLANTED, 5);

    let html = text(&server, "/console/work");
    assert_eq!(rows(&html, "w:"), ["waits", "done", summed.as_str()]);
    assert!(
        html.contains("3 of 3") && html.contains("0 of 5") && html.contains("<progress max=\"5\" value=\"0\""),
        "{html}"
    );
    assert_eq!(rows(&text(&server, "/console/work?state=running"), "w:"), ["waits"]);
    assert_eq!(rows(&text(&server, "/console/work?type=job"), "w:"), [summed.as_str()]);
    let first = text(&server, "/console/work?limit=2&type=");
    assert_eq!(rows(&text(&server, &next_page(&first).unwrap()), "w:"), [summed.as_str()]);
    assert!(text(&server, "/console/work?state=stuck").contains("No job or task fits"));
    for bad in ["/console/work?state=odd", "/console/work?type=order", "/console/work?x=1", "/console/work/none%20"] {
        assert_eq!(page(&server, bad).status, 422, "{bad}");
    }

    let html = text(&server, "/console/work/done");
    assert!(html.contains(SHOWN) && html.contains("sha256") && html.contains("Done after "), "{html}");
    assert!(html.contains("Step 3 done") && html.contains("/api/tasks/done/history"));
    assert!(!attributes(&html, "action").contains(&"/console/work/done/cancel"), "only where it is allowed");
    let html = text(&server, &format!("/console/work/{summed}"));
    assert!(
        html.contains("60.5") && html.contains("10, 20, 30.5") && html.contains("2 </p>") || html.contains("attempts")
    );
    assert!(html.contains("failed on purpose") || html.contains("attempt 1"), "{html}");
    // An id of another kind leads to its own page; one that nobody has is not found.
    let found = page(&server, "/console/orders/done");
    assert_eq!((found.status, found.header("location")), (303, Some("/console/work/done")));
    assert_eq!(page(&server, "/console/work/nobody").status, 404);
    assert_eq!(page(&server, "/console/orders/nobody").status, 404);
}

#[test]
fn a_task_is_cancelled_by_a_plain_form_that_says_what_it_will_do() {
    let server = server();
    assert_eq!(form(&server, "/console/queues/checksums", &[("paused", "yes")]).status, 303);
    task(&server, "waits", "abc", 5);
    assert!(text(&server, "/console/work/waits").contains("0 of 5 are done and stay done"));
    let done = form(&server, "/console/work/waits/cancel", &[("reason", PLANTED)]);
    assert_eq!((done.status, done.header("location")), (303, Some("/console/work/waits?did=cancel")));
    assert_eq!(server.get("/api/tasks/waits").json()["status"], "cancelled");
    let html = text(&server, "/console/work/waits?did=cancel");
    assert!(html.contains("Cancelled. It is on disk.") && html.contains(SHOWN), "who asked for it said why");
    task(&server, "done", "abc", 1);
    assert_eq!(form(&server, "/console/queues/checksums", &[("paused", "no")]).status, 303);
    server.get("/api/tasks/done?wait=20");
    let late = form(&server, "/console/work/done/cancel", &[]);
    assert!(late.status == 409 && late.text().contains("Refused: "), "{}", late.text());
    assert_eq!(form(&server, "/console/work/nobody/cancel", &[]).status, 404);
}

#[test]
fn queues_show_what_waits_and_are_changed_by_forms_that_say_what_they_will_do() {
    let mut server = server();
    let html = text(&server, "/console/queues");
    assert!(rows(&html, "q:").contains(&"shipping".to_owned()) && html.contains("idle"), "{html}");
    assert_eq!(page(&server, "/console/queues/none").status, 404);
    assert_eq!(form(&server, "/console/queues/none", &[("paused", "yes")]).status, 404);

    let html = text(&server, "/console/queues/checksums");
    assert!(html.contains("nothing new starts; what comes waits") && html.contains("Pause the queue"));
    let done = form(&server, "/console/queues/checksums", &[("paused", "yes")]);
    assert_eq!(done.header("location"), Some("/console/queues/checksums?did=pause"));
    for n in 0..7 {
        task(&server, &format!("t-{n}"), "abc", 2);
    }
    let html = text(&server, "/console/queues/checksums?did=pause");
    assert!(
        html.contains("stays so over a restart") && html.contains("7 waiting") && html.contains("paused"),
        "{html}"
    );
    assert!(html.contains("the 7 that wait may start"), "{html}");

    let limits = [("concurrency", "3"), ("per_second", "2"), ("burst", "1")];
    let look = form(&server, "/console/queues/checksums", &limits).text();
    assert!(look.contains("At most 3 calls run at once instead of 512."), "{look}");
    assert!(look.contains("At most 2 calls start a second, and after a rest 1 at once."), "{look}");
    assert!(look.contains("The 7 that wait need at least 3.0 s."), "{look}");
    assert_eq!(server.get("/api/queues/checksums").json()["concurrency"], 512, "nothing is done yet");
    let mut sure = limits.to_vec();
    sure.push(("sure", "yes"));
    assert_eq!(form(&server, "/console/queues/checksums", &sure).status, 303);
    let bad = form(&server, "/console/queues/checksums", &[("concurrency", "many"), ("per_second", "0")]);
    assert!(bad.status == 422 && bad.text().contains("concurrency must be a whole number"), "{}", bad.text());
    // It is on disk.
    server.kill9();
    server.restart();
    let queue = server.get("/api/queues/checksums").json();
    assert_eq!((&queue["concurrency"], &queue["paused"]), (&json!(3), &json!(true)));
    assert_eq!(queue["rate_limit"], json!({"per_second": 2.0, "burst": 1}));
    let html = text(&server, "/console/queues/checksums");
    assert!(html.contains("value=\"3\"") && html.contains("Resume the queue"), "{html}");
}

#[test]
fn a_queue_shows_what_outside_workers_hold() {
    let server = server();
    let none = [("concurrency", "0"), ("per_second", ""), ("sure", "yes")];
    assert_eq!(form(&server, "/console/queues/checksums", &none).status, 303);
    task(&server, "held", "abc", 1);
    let body = json!({"worker_id": PLANTED.replace('"', ""), "wait_seconds": 10});
    let held = server.post("/api/queues/checksums/poll", Some(&body));
    assert_eq!(held.status, 200, "{}", held.text());
    let html = text(&server, "/console/queues/checksums");
    assert!(html.contains("What outside workers hold") && html.contains("href=\"/console/orders/held\""), "{html}");
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
}

fn order(server: &Server, id: &str, amount: &str, street: &str, deadline: u64) {
    let body = json!({"review": "manual", "amount": amount, "address": {"street": street, "zip_code": "12345"},
        "deadline_seconds": deadline});
    assert_eq!(server.post(&format!("/orders/{id}/start"), Some(&body)).status, 202);
    server.get(&format!("/orders/{id}/status?wait=20&until=in_review"));
}

#[test]
fn the_list_is_sorted_by_any_column_page_by_page() {
    let server = server();
    for (id, amount, street) in [
        ("a", "9.50", "Zoo Lane"),
        ("b", "100", "alley"),
        ("c", "49.90", "Main St"),
        ("d", "9.50", "Elm St"),
        ("e", "0.10", "Bay"),
    ] {
        order(&server, id, amount, street, 0);
    }
    server.post("/orders/a/signals/update-address", Some(&json!({"address": "yard"})));
    let all = |sort: &str| {
        let (mut ids, mut path) = (Vec::new(), format!("/?sort={sort}&limit=2"));
        loop {
            let html = text(&server, &path);
            ids.extend(rows(&html, "o:"));
            match attributes(&html, "rel")
                .contains(&"next")
                .then(|| html.rsplit_once("rel=\"next\"").unwrap().0.to_owned())
            {
                Some(before) => {
                    path = before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap().replace("&amp;", "&")
                }
                None => return ids.concat(),
            }
        }
    };
    for (sort, expected) in [
        ("amount", "eadcb"),
        ("-amount", "bcdae"),
        ("address", "bedca"),
        ("-order_id", "edcba"),
        ("order_id", "abcde"),
        ("-updated_at", "aedcb"),
        ("updated_at", "bcdea"),
        ("state", "abcde"),
        ("attempts", "abcde"),
        ("created_at", "abcde"),
    ] {
        assert_eq!(all(sort), expected, "{sort}");
    }
    let html = text(&server, "/?sort=-amount");
    assert!(html.contains("aria-sort=\"descending\"") && !html.contains("More orders fit"));
    assert!(attributes(&html, "href").iter().any(|href| href.contains("sort=deadline")));
    // Only a clock that runs has time left.
    assert!(all("deadline").is_empty());
    assert!(text(&server, "/?sort=deadline").contains("Only open orders whose clock runs"));
    assert_eq!(page(&server, "/?sort=colour").status, 422);
    let api = server.get("/orders?sort=-amount&limit=1").json();
    assert_eq!((&api["orders"][0]["order_id"], &api["sorted_within"]), (&json!("b"), &Value::Null));
}

#[test]
fn the_time_left_is_sorted_where_the_clock_runs() {
    let nowhere = ("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL".to_owned(), "http://127.0.0.1:9/".to_owned());
    // A shipment is never given up: it is being tried again for as long as the test looks.
    let patient = ("ORDAIN_RETRY__MAX_ATTEMPTS".to_owned(), "1000".to_owned());
    let server = Server::start(&["--review-seconds", "0"], vec![nowhere, patient]);
    for (id, seconds) in [("late", 900), ("soon", 300), ("mid", 600)] {
        let body = json!({"amount": "1.00", "deadline_seconds": seconds});
        assert_eq!(server.post(&format!("/orders/{id}/start"), Some(&body)).status, 202);
        server.get(&format!("/orders/{id}/status?wait=20&until=shipping"));
    }
    assert_eq!(rows(&text(&server, "/?sort=deadline"), "o:"), ["soon", "mid", "late"]);
    assert_eq!(rows(&text(&server, "/?sort=-deadline"), "o:"), ["late", "mid", "soon"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while rows(&text(&server, "/?retrying=true&sort=order_id"), "o:") != ["late", "mid", "soon"] {
        assert!(std::time::Instant::now() < until, "they are not being tried again");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(rows(&text(&server, "/?retrying=false"), "o:").is_empty());
}

#[test]
fn after_a_crash_it_is_said_what_was_recovered_and_after_an_end_in_order_it_is_not() {
    let mut server = server();
    order(&server, "o-1", "1.00", "Main St", 0);
    order(&server, "o-2", "1.00", "Main St", 0);
    let boot = |server: &Server| server.get("/console/boot").json();
    assert_eq!((&boot(&server)["after_crash"], &boot(&server)["news"]), (&json!(false), &json!(false)));
    server.kill9();
    server.restart();
    let told = boot(&server);
    assert_eq!((&told["after_crash"], &told["news"]), (&json!(true), &json!(true)));
    let said = told["told"].as_str().unwrap();
    assert!(said.contains("after a crash at") && said.contains("2 open orders went on where they were"), "{said}");
    assert!(said.contains("no call was without its result"), "{said}");
    for path in ["/", "/console/needs", "/console/overview"] {
        assert!(text(&server, path).contains("came back after a crash"), "{path}");
    }
    assert!(server.sigterm().success());
    server.restart();
    let told = boot(&server);
    assert_eq!((&told["after_crash"], &told["recovered"]), (&json!(false), &json!(2)));
    assert!(!text(&server, "/").contains("came back after a crash"));
}

#[test]
fn calls_that_had_no_result_are_counted_when_they_are_handed_out_again() {
    let mut server = server();
    // Outside workers alone take from it, so that its calls stay without a result.
    assert_eq!(form(&server, "/console/queues/checksums", &[("concurrency", "0"), ("sure", "yes")]).status, 303);
    for n in 0..3 {
        task(&server, &format!("t-{n}"), "abc", 1);
    }
    server.kill9();
    server.restart();
    let said = || server.get("/console/boot").json()["told"].as_str().unwrap().to_owned();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !said().contains("3 calls without a result were handed out again") {
        assert!(std::time::Instant::now() < until, "{}", said());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(said().contains("3 jobs and tasks"), "{}", said());
}

#[test]
fn pages_of_other_origins_cannot_act_here_either() {
    let server = server();
    let address = server.line().address();
    for path in ["/console/work/t/cancel", "/console/queues/orders"] {
        for headers in [&[("origin", "http://evil.example")][..], &[]] {
            let answer = client::request(address, "POST", path, headers, None).unwrap();
            assert!(answer.status == 403 && answer.text().contains("cross_origin"), "{path}");
        }
    }
}
