//! The console's pages for jobs, tasks and queues, batches, long histories and recovery in a real headless Chromium.
//! Where none is installed, each test says in one line what it skipped.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{LIVE, PLANTED, axe_over, manual, until};
use super::support::browser::Browser;
use super::support::server::{Line, Server};
use super::support::slow::late_behind;

fn server() -> Server {
    Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], Vec::new())
}

fn task(line: &Line, id: &str, parts: u32) {
    let params = json!({"text": PLANTED, "parts": parts});
    let body = json!({"task_type": "checksum_text", "task_id": id, "task_params": params});
    assert_eq!(line.post("/api/tasks/start", Some(&body)).unwrap().status, 202);
}

/// By the console's own form, in the browser.
fn pause(browser: &Browser, server: &Server, queue: &str) {
    browser.open(&format!("{}/console/queues/{queue}", server.url()));
    browser.click(".acts button");
    browser.wait("document.querySelector('.notice').textContent.startsWith('Paused')");
}

#[test]
fn a_task_is_watched_and_cancelled_and_a_queue_paused_and_resumed() {
    let Some(browser) = Browser::start("tasks and queues in the browser") else { return };
    let server = server();
    let line = server.line();
    pause(&browser, &server, "checksums");
    task(&line, "t-1", 4);
    task(&line, "t-2", 4);
    browser.wait("document.querySelector('.status').textContent.includes('2 waiting')");
    browser.open(&format!("{}/console/work/t-1", server.url()));
    browser.wait(LIVE);
    browser.run("window.mark = 1");
    browser.wait("document.querySelector('.status progress').max === 4");
    assert_eq!(browser.run("return document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.run("return document.title.includes('planted')"), false);
    assert!(browser.run("return document.body.innerText").as_str().unwrap().contains("<img src=x"));
    let resume = server.patch("/api/queues/checksums", &json!({"paused": false}));
    assert_eq!(resume.status, 200);
    // Its end is seen without a hand and without a reload.
    browser.wait("document.querySelector('.status .pill').textContent === 'completed'");
    browser.wait("document.querySelector('.status progress').value === 4");
    assert_eq!(browser.run("return window.mark"), 1);
    browser.press("r");
    browser.wait("document.querySelector('details.raw').open");
    browser.press("gt");
    browser.wait("location.pathname === '/console/work' && document.querySelectorAll('tr[data-seq]').length === 2");
    browser.wait(LIVE);
    browser.press("gq");
    browser.wait("location.pathname === '/console/queues'");
}

/// A click without scripts does not wait for the page that follows.
fn comes(server: &Server, path: &str, so: impl Fn(&Value) -> bool) {
    let began = Instant::now();
    loop {
        let now = server.get(path).json();
        if so(&now) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{now}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn cancelling_a_task_and_changing_a_queue_work_without_javascript() {
    let Some(browser) = Browser::start("tasks and queues without JavaScript") else { return };
    let server = server();
    let line = server.line();
    browser.scripts(false);
    browser.open(&format!("{}/console/queues/checksums", server.url()));
    browser.click(".acts button");
    comes(&server, "/api/queues/checksums", |queue| queue["paused"] == true);
    task(&line, "t-1", 4);
    browser.open(&format!("{}/console/work/t-1", server.url()));
    browser.write("#reason", "not needed");
    browser.click(".acts button");
    comes(&server, "/api/tasks/t-1", |task| task["status"] == "cancelled");
    browser.open(&format!("{}/console/queues/checksums", server.url()));
    browser.write("input[name=per_second]", "5");
    browser.click(".limits button");
    browser.click(".confirm button");
    comes(&server, "/api/queues/checksums", |queue| queue["rate_limit"]["per_second"] == 5.0);
    manual(&line, "o-1");
    browser.open(&server.url());
    browser.click("tr[id='o:o-1'] .pick input");
    browser.click(".batch button[value=approve]");
    browser.click(".confirm button");
    assert_eq!(until(&line, "o-1", "completed")["state"], "completed");
}

#[test]
fn a_batch_is_looked_at_first_and_shows_its_progress_and_each_result() {
    let Some(browser) = Browser::start("a batch in the browser") else { return };
    let server = server();
    let line = server.line();
    (0..30).for_each(|n| manual(&line, &format!("o-{n:02}")));
    line.post("/orders/o-00/signals/cancel", None).unwrap();
    until(&line, "o-00", "terminal");
    browser.open(&format!("{}/?limit=100", server.url()));
    browser.wait(LIVE);
    browser.run("document.querySelectorAll('.pick input').forEach(box => box.click())");
    browser.wait("document.querySelector('.batch .count').textContent === '30 selected'");
    browser.click(".batch button[value=approve]");
    browser.wait("document.querySelector('.will-do').innerText.includes('29 orders will be approved')");
    let said = browser.run("return document.querySelector('.will-do').innerText");
    assert!(said.as_str().unwrap().contains("charges 1447.10 USD in all"), "{said}");
    assert!(said.as_str().unwrap().contains("1 cannot: it is cancelled"), "{said}");
    browser.click(".confirm button");
    browser.wait("location.pathname.startsWith('/console/batch/')");
    browser.wait("document.querySelector('.status').innerText.includes('Nothing is left to do')");
    assert_eq!(browser.run("return document.querySelectorAll('.results .done').length"), 29);
    assert_eq!(browser.run("return document.querySelector('progress').value"), 29);
}

#[test]
fn after_kill_9_any_page_says_what_was_recovered_until_it_is_dismissed() {
    let Some(browser) = Browser::start("the word after a crash") else { return };
    let mut server = server();
    manual(&server.line(), "o-1");
    manual(&server.line(), "o-2");
    server.kill9();
    server.restart();
    for path in ["/", "/console/queues", "/console/orders/o-1"] {
        browser.open(&format!("{}{path}", server.url()));
        browser.wait("document.getElementById('banner').innerText.includes('2 open orders went on where they were')");
    }
    assert_eq!(browser.axe(), Vec::<String>::new());
    browser.click("#banner button");
    browser.open(&server.url());
    browser.wait(LIVE);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(browser.run("return document.getElementById('banner').innerText"), "");
}

#[test]
fn columns_sort_by_a_click_and_the_url_keeps_it() {
    let Some(browser) = Browser::start("sorting in the browser") else { return };
    let server = server();
    for (order, amount) in [("a", "5.00"), ("b", "100.00"), ("c", "49.90")] {
        let body = json!({"review": "manual", "amount": amount});
        server.post(&format!("/orders/{order}/start"), Some(&body));
        until(&server.line(), order, "in_review");
    }
    browser.open(&server.url());
    let ids = "[...document.querySelectorAll('.orders .id a')].map(a => a.textContent).join('')";
    browser.wait(&format!("{ids} === 'cba'"));
    browser.click("th:nth-child(5) a");
    browser.wait(&format!("{ids} === 'bca' && location.search === '?sort=-amount'"));
    browser.click("th:nth-child(5) a");
    browser.wait(&format!("{ids} === 'acb' && location.search === '?sort=amount'"));
}

#[test]
fn a_history_of_thousands_of_facts_scrolls_and_pages() {
    let Some(browser) = Browser::start("a long history") else { return };
    let server = server();
    let line = server.line();
    manual(&line, "o-1");
    for n in 0..1_200 {
        let body = json!({"address": format!("{n} Long Road")});
        assert_eq!(line.post("/orders/o-1/signals/update-address", Some(&body)).unwrap().status, 202);
    }
    let began = Instant::now();
    browser.open(&format!("{}/console/orders/o-1", server.url()));
    browser.wait("document.querySelectorAll('.fact').length >= 100");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // However long it is, the page is not: facts, marks of the timeline and all.
    let count = |css: &str| browser.run(&format!("return document.querySelectorAll('{css}').length")).as_u64().unwrap();
    assert!(count(".fact") <= 100, "{} facts at once", count(".fact"));
    assert!(count("*") <= 2_500, "{} elements", count("*"));
    for scheme in ["dark", "light"] {
        browser.theme(scheme);
        assert_eq!(browser.axe(), Vec::<String>::new(), "{scheme}");
    }
    let longest = browser.run_async(
        "let last = performance.now(), longest = 0, n = 0;
         const frame = (now) => {
             longest = Math.max(longest, now - last); last = now; scrollBy(0, 400);
             ++n < 60 ? requestAnimationFrame(frame) : done(longest);
         };
         requestAnimationFrame(frame);",
    );
    assert!(longest.as_f64() < Some(500.0), "a frame took {longest} ms");
    browser.run("document.querySelector('#history .pages a').scrollIntoView()");
    browser.click("#history .pages a");
    browser.wait("location.search === '?from=1'");
    browser.click("#history .pages a[rel=next]");
    browser.wait("location.search === '?from=101' && document.querySelector('.fact .seq').textContent === '101'");
    browser.wait(LIVE);
    browser.press("r");
    browser.wait("document.querySelector('details.raw').open");
}

#[test]
fn a_page_whose_end_comes_late_can_do_all_that_others_can() {
    let Some(browser) = Browser::start("a page whose end comes late") else { return };
    let server = server();
    manual(&server.line(), "o-1");
    let way = late_behind(server.line().address(), "data-raw hidden", Duration::from_millis(1_500));
    // Once for the scripts, so that the second time they are there long before the page is.
    for _ in 0..2 {
        browser.open(&format!("http://{way}/console/orders/o-1"));
        browser.wait(LIVE);
        let parsed = browser.run("return performance.getEntriesByType('navigation')[0].domInteractive");
        assert!(parsed.as_f64() > Some(1_500.0), "read to its end after {parsed} ms");
        browser.press("r");
        browser.wait("document.querySelector('details.raw').open && !document.querySelector('[data-raw]').hidden");
        browser.press("?");
        browser.wait("document.getElementById('help').open");
    }
}

#[test]
fn axe_finds_nothing_on_the_pages_of_work_and_queues() {
    let Some(browser) = Browser::start("axe-core over tasks and queues") else { return };
    let server = server();
    let line = server.line();
    let job = json!({"input": {"numbers": [1, 2]}, "options": {"fail_first_attempt": true}});
    let job = line.post("/jobs", Some(&job)).unwrap().json()["job_id"].as_str().unwrap().to_owned();
    line.get(&format!("/jobs/{job}?wait=20")).unwrap();
    task(&line, "done", 3);
    line.get("/api/tasks/done?wait=20").unwrap();
    let change = json!({"paused": true, "rate_limit": {"per_second": 5.0}});
    assert_eq!(server.patch("/api/queues/checksums", &change).status, 200);
    task(&line, "a-task-with-an-id-that-is-as-long-as-people-make-them-when-nobody-stops-them-0193e3a4", 5);
    let job = format!("/console/work/{job}");
    let pages = [
        "/console/work",
        "/console/work?type=job",
        "/console/work/done",
        &job,
        "/console/work/a-task-with-an-id-that-is-as-long-as-people-make-them-when-nobody-stops-them-0193e3a4",
        "/console/queues",
        "/console/queues/checksums",
        "/?sort=deadline",
    ];
    axe_over(&browser, &server, &pages);
    browser.open(&format!("{}/console/queues/checksums", server.url()));
    browser.run("document.querySelector('input[name=concurrency]').value = 2");
    browser.click(".limits button");
    browser.wait("document.querySelector('.will-do')");
    assert_eq!(browser.axe(), Vec::<String>::new(), "before a change");
}
