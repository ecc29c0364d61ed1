//! The web console in a real headless Chromium. Where none is installed, each test says in one line what it skipped.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{LIVE, PLANTED, axe_over, manual, start, until};
use super::support::browser::Browser;
use super::support::client;
use super::support::server::Server;

/// A server whose warehouse cannot be reached: what is charged stays charged, and its shipment is tried again.
fn server() -> Server {
    let nowhere = "http://127.0.0.1:9/".to_owned();
    let env = vec![("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL".to_owned(), nowhere)];
    Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], env)
}

/// A mark that a reload would wipe out.
fn mark(browser: &Browser) {
    browser.run("window.mark = 1");
}

fn is_marked(browser: &Browser) -> bool {
    browser.run("return window.mark === 1") == json!(true)
}

#[test]
fn a_person_lists_filters_approves_and_cancels_with_a_refund() {
    let Some(browser) = Browser::start("the console by hand") else { return };
    let server = server();
    let line = server.line();
    manual(&line, "o-1");
    start(&line, "neg", json!({"amount": "-1"}));
    browser.open(&server.url());
    browser.wait("document.querySelectorAll('.orders tbody tr').length === 2");
    browser.click(".chips .st-in_review");
    browser.wait("document.querySelectorAll('.orders tbody tr').length === 1");
    assert_eq!(browser.run("return location.search"), "?state=in_review");
    browser.click(".orders .id a");
    browser.wait("document.querySelector('h1').textContent === 'o-1'");
    browser.click("form[action$='/approve'] button");
    browser.wait("document.body.innerText.includes('Approved. It is on disk.')");
    // The charge becomes visible without a hand.
    browser.wait("document.querySelector('.card .paid-charged')");
    browser.wait("document.body.innerText.includes('refunds 49.90 USD')");
    // The parcel has not gone: its address may still change.
    browser.click(".change summary");
    browser.run("document.querySelector('.change input').value = ''");
    browser.write(".change input", "2 Side Street, Springfield");
    browser.click(".change button");
    browser.wait("document.body.innerText.includes('The new address is on disk.')");
    assert_eq!(until(&line, "o-1", "shipping")["address"], "2 Side Street, Springfield");
    browser.write("#reason-cancel", "changed my mind");
    browser.click("form[action$='/cancel'] button");
    browser.wait("document.querySelector('.card .paid-refunded')");
    browser.wait("document.querySelector('.status .pill').textContent === 'cancelled'");
    assert!(browser.run("return document.body.innerText").as_str().unwrap().contains("changed my mind"));
    assert_eq!(until(&line, "o-1", "terminal")["payment"]["status"], "refunded");
}

#[test]
fn approve_and_cancel_work_without_javascript() {
    let Some(browser) = Browser::start("the console without JavaScript") else { return };
    let server = server();
    let line = server.line();
    manual(&line, "o-1");
    manual(&line, "o-2");
    browser.scripts(false);
    for (order, action, state) in [("o-1", "approve", "shipping"), ("o-2", "cancel", "cancelled")] {
        browser.open(&format!("{}/console/orders/{order}", server.url()));
        browser.click(&format!("form[action$='/{action}'] button"));
        assert_eq!(until(&line, order, state)["state"], state);
    }
    browser.open(&server.url());
    browser.click("tr[id='o:o-1'] .pick input");
    browser.click(".batch button[value=cancel]");
    browser.click(".confirm button");
    assert_eq!(until(&line, "o-1", "terminal")["payment"]["status"], "refunded");
}

#[test]
fn a_change_is_seen_within_a_second_without_a_reload() {
    let Some(browser) = Browser::start("live updates in the browser") else { return };
    let server = server();
    let line = server.line();
    manual(&line, "o-1");
    browser.open(&server.url());
    browser.wait(LIVE);
    mark(&browser);
    for n in 0..5 {
        let order = format!("new-{n}");
        start(&line, &order, json!({"review": "manual", "amount": "1.00"}));
        let took = browser.wait(&format!("document.getElementById('o:{order}')"));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // What a person is doing meanwhile stays: a selection, half a word.
    browser.click("tr[id='o:o-1'] .pick input");
    browser.write("#q", "half a wo");
    start(&line, "another", json!({"review": "manual"}));
    browser.wait("document.getElementById('o:another')");
    assert_eq!(browser.run("return document.querySelector(\"tr[id='o:o-1'] input\").checked"), true);
    assert_eq!(browser.run("return document.getElementById('q').value"), "half a wo");
    assert!(is_marked(&browser), "no reload");

    browser.open(&format!("{}/console/orders/o-1", server.url()));
    browser.wait(LIVE);
    mark(&browser);
    line.post("/orders/o-1/signals/update-address", Some(&json!({"address": "9 New Street"}))).unwrap();
    let took = browser.wait("document.querySelector('.card address').textContent === '9 New Street'");
    assert!(took < Duration::from_secs(1) && is_marked(&browser), "{took:?}");
}

#[test]
fn after_kill_9_the_page_says_so_comes_back_and_goes_on() {
    let Some(browser) = Browser::start("kill -9 under an open page") else { return };
    let mut server = server();
    let line = server.line();
    manual(&line, "o-1");
    browser.open(&server.url());
    browser.wait(LIVE);
    mark(&browser);
    server.kill9();
    browser.wait("document.getElementById('banner').textContent.includes('away since')");
    assert_eq!(browser.run("return document.querySelectorAll('.orders tbody tr').length"), 1, "what was durable stays");
    server.restart();
    let began = Instant::now();
    browser.wait("document.getElementById('banner').textContent.includes('1 open order went on where it was')");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    manual(&line, "o-2");
    browser.wait("document.getElementById('o:o-2')");
    assert!(is_marked(&browser), "no reload");
    // The page of one order, likewise: every fact is there.
    browser.open(&format!("{}/console/orders/o-2", server.url()));
    browser.wait(LIVE);
    mark(&browser);
    server.kill9();
    browser.wait("document.getElementById('banner').textContent.includes('away since')");
    server.restart();
    line.post("/orders/o-2/signals/approve", None).unwrap();
    browser.wait("document.querySelector('.card .paid-charged')");
    let shown =
        "[...document.querySelectorAll('#history .group')].filter(g => !g.textContent.includes('shipment was asked'))
        .flatMap(g => [...g.querySelectorAll('.seq')]).map(s => Number(s.textContent))";
    browser.wait(&format!("({shown}).every((seq, n) => seq === n + 1)"));
    assert!(is_marked(&browser), "no reload");
}

#[test]
fn keys_lead_everywhere() {
    let Some(browser) = Browser::start("the console by keyboard") else { return };
    let server = server();
    let line = server.line();
    manual(&line, "o-1");
    manual(&line, "o-2");
    browser.open(&server.url());
    browser.wait(LIVE);
    browser.press("?");
    browser.wait("document.getElementById('help').open");
    browser.press("?");
    browser.wait("!document.getElementById('help').open");
    browser.press("jjx");
    browser.wait("document.querySelector(\"tr[id='o:o-1'] input\").checked");
    browser.wait("document.querySelector('.batch .count').textContent === '1 selected'");
    browser.press("/");
    browser.wait("document.activeElement.id === 'q'");
    browser.write("#q", "o-2\u{e007}");
    browser.wait("location.search === '?q=o-2' && document.querySelectorAll('.orders tbody tr').length === 1");
    browser.wait(LIVE);
    browser.press("j\u{e007}");
    browser.wait("document.querySelector('h1').textContent === 'o-2'");
    browser.wait(LIVE);
    browser.press("r");
    browser.wait("document.querySelector('details.raw').open");
    browser.press("gn");
    browser.wait("location.pathname === '/console/needs'");
}

#[test]
fn planted_html_is_text_and_the_slider_shows_the_past() {
    let Some(browser) = Browser::start("planted HTML in the browser") else { return };
    let server = server();
    let line = server.line();
    start(&line, "o-1", json!({"review": "manual", "address": PLANTED, "metadata": {(PLANTED): PLANTED}}));
    until(&line, "o-1", "in_review");
    for path in ["/", "/console/needs", "/console/orders/o-1"] {
        browser.open(&format!("{}{path}", server.url()));
        browser.wait(LIVE);
        assert_eq!(browser.run("return document.querySelectorAll('img').length"), 0);
        assert_eq!(browser.run("return document.title.includes('planted')"), false);
        assert!(browser.run("return document.body.innerText").as_str().unwrap().contains("<img src=x"));
    }
    browser.run(
        "const range = document.getElementById('at'); range.value = 1;
         range.dispatchEvent(new Event('input', {bubbles: true}))",
    );
    browser.wait("document.querySelector('.changes caption')?.textContent === 'What fact 1 changed'");
    browser.wait("location.search === '?at=1'");
}

#[test]
fn with_keys_a_person_signs_in_once_and_again_after_a_restart() {
    let Some(browser) = Browser::start("signing in to the console") else { return };
    let key = "planted-admin-key-0123456789abcdef";
    let mut server = Server::start(&["--review-seconds", "0"], vec![("ORDAIN_ADMIN_KEY".to_owned(), key.to_owned())]);
    let bearer = format!("Bearer {key}");
    let ask = |server: &Server, path: &str, body: &Value| {
        let headers = [("authorization", bearer.as_str())];
        client::request(server.line().address(), "POST", path, &headers, Some(body)).unwrap()
    };
    let manual = json!({"review": "manual", "amount": "5.00"});
    assert_eq!(ask(&server, "/orders/o-1/start", &manual).status, 202);
    browser.open(&format!("{}/console/orders/o-1", server.url()));
    for scheme in ["dark", "light"] {
        browser.theme(scheme);
        assert_eq!(browser.axe(), Vec::<String>::new(), "signing in, {scheme}");
    }
    browser.write("#key", "not a key\u{e007}");
    browser.wait("document.body.innerText.includes('not known, or was revoked')");
    browser.write("#key", key);
    browser.click(".sign-in button");
    browser.wait("document.querySelector('h1').textContent === 'o-1'");
    browser.wait(LIVE);
    assert_eq!(browser.run("return document.cookie"), "", "no script reads the session");
    browser.wait("document.querySelector('form[action$=\"/approve\"] button')");
    browser.click("form[action$='/approve'] button");
    browser.wait("document.body.innerText.includes('Approved. It is on disk.')");
    browser.wait("document.getElementById('who').innerText.includes('approval')");
    assert!(browser.run("return document.getElementById('who').innerText").as_str().unwrap().contains("admin"));
    assert_eq!(browser.axe(), Vec::<String>::new());
    // Live by the same session, also without a reload; it ends with the process, and the page says so.
    browser.open(&server.url());
    browser.wait(LIVE);
    mark(&browser);
    ask(&server, "/orders/o-2/start", &manual);
    browser.wait("document.getElementById('o:o-2')");
    server.kill9();
    server.restart();
    browser.wait("document.getElementById('banner').textContent.includes('Your session has ended')");
    assert!(is_marked(&browser), "no reload");
    browser.click("#banner a");
    browser.write("#key", key);
    browser.click(".sign-in button");
    browser.wait("document.getElementById('o:o-2')");
    browser.wait(LIVE);
    browser.click(".foot a[href='/console/sign-in']");
    browser.wait("document.querySelector('h1').textContent === 'admin'");
    browser.click("form[action='/console/sign-out'] button");
    browser.wait("document.getElementById('key')");
    browser.open(&server.url());
    browser.wait("document.getElementById('key')");
}

#[test]
fn axe_finds_nothing_on_any_page_in_either_theme_and_nothing_overflows() {
    let Some(browser) = Browser::start("axe-core over every page") else { return };
    let server = server();
    let line = server.line();
    manual(&line, "o-1");
    manual(&line, "held");
    line.post("/orders/held/pause", None).unwrap();
    start(&line, "neg", json!({"amount": "-1", "address": {"street": "1 Main St", "zip_code": "12345"}}));
    start(&line, "retrying", json!({"amount": "19.90", "address": "1 Main St"}));
    until(&line, "retrying", "shipping");
    let pages = [
        "/",
        "/?state=stuck",
        "/console/needs",
        "/console/overview",
        "/console/engine",
        "/console/orders/o-1",
        "/console/orders/o-1?at=2",
        "/console/orders/held",
        "/console/orders/neg",
        "/console/orders/retrying",
        "/console/orders/nobody",
    ];
    axe_over(&browser, &server, &pages);
    browser.size(1440, 900);
    for (scheme, order) in [("light", "o-1"), ("dark", "held")] {
        browser.theme(scheme);
        browser.open(&server.url());
        browser.click(&format!("tr[id='o:{order}'] .pick input"));
        browser.click(".batch button[value=cancel]");
        browser.wait("document.querySelector('.confirm')");
        assert_eq!(browser.axe(), Vec::<String>::new(), "before a batch, {scheme}");
        browser.click(".confirm button");
        browser.wait("location.pathname.startsWith('/console/batch/')");
        assert_eq!(browser.axe(), Vec::<String>::new(), "after a batch, {scheme}");
    }
}

#[test]
fn a_first_load_is_few_requests_and_none_to_another_host() {
    let Some(browser) = Browser::start("the weight of a first load") else { return };
    let server = server();
    for n in 0..60 {
        start(&server.line(), &format!("o-{n}"), json!({"review": "manual", "address": "1 Main St, Springfield"}));
    }
    // Once nothing changes any more: each change would be another request.
    (0..60).for_each(|n| drop(until(&server.line(), &format!("o-{n}"), "in_review")));
    browser.open(&server.url());
    browser.wait(LIVE);
    let all = browser.run("return performance.getEntriesByType('resource').map(e => [e.name, e.transferSize])");
    let all = all.as_array().unwrap();
    assert!(all.len() < 12, "{all:?}");
    assert!(all.iter().all(|entry| entry[0].as_str().unwrap().starts_with(&server.url())), "{all:?}");
    let page = browser.run("return performance.getEntriesByType('navigation')[0].transferSize").as_u64().unwrap();
    let bytes: u64 = all.iter().filter_map(|entry| entry[1].as_u64()).sum::<u64>() + page;
    assert!(bytes <= 150_000, "{bytes} bytes");
}
