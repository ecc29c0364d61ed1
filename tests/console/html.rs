//! The web console over real HTTP, without a browser: what its pages say, escape, weigh and refuse.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::client::{self, Response};
use super::support::server::Server;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const PLANTED: &str = "<img src=x onerror=alert(1)>\"'&";

fn page(server: &Server, path: &str) -> Response {
    client::request(server.line().address(), "GET", path, &[HTML], None).unwrap()
}

fn text(server: &Server, path: &str) -> String {
    let answer = page(server, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> Response {
    client::form(server.line().address(), path, fields).unwrap()
}

fn start(server: &Server, order: &str, body: Value) {
    let answer = server.post(&format!("/orders/{order}/start"), Some(&body));
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn until(server: &Server, order: &str, state: &str) -> Value {
    server.get(&format!("/orders/{order}/status?wait=20&until={state}")).json()
}

/// A server with an order of each kind, and a warehouse that cannot be reached.
fn server() -> Server {
    let nowhere = "http://127.0.0.1:9/".to_owned();
    let env = vec![("ORDAIN_ACTIVITIES__PREPARE_PACKAGE__URL".to_owned(), nowhere)];
    let server = Server::start(&["--review-seconds", "0", "--deadline-seconds", "0"], env);
    let address = json!({"street": PLANTED, "city": PLANTED, "zip_code": "12345"});
    start(
        &server,
        "planted",
        json!({"review": "manual", "address": address, "metadata": {(PLANTED): PLANTED}, "amount": "49.90",
            "items": [{"sku": PLANTED, "quantity": 1}]}),
    );
    start(&server, "line", json!({"review": "manual", "address": PLANTED, "amount": "5.00"}));
    start(&server, "bad", json!({"amount": "-4"}));
    start(&server, "retrying", json!({"amount": "19.90", "address": "1 Main St"}));
    until(&server, "planted", "in_review");
    until(&server, "line", "in_review");
    until(&server, "bad", "failed");
    until(&server, "retrying", "shipping");
    server
}

const PAGES: [&str; 13] = [
    "/",
    "/?state=in_review&sort=order_id&q=p",
    "/console/needs",
    "/console/overview",
    "/console/engine",
    "/console/work",
    "/console/queues",
    "/console/queues/orders",
    "/console/orders/planted",
    "/console/orders/planted?at=1",
    "/console/orders/line",
    "/console/orders/bad",
    "/console/orders/retrying",
];

/// The values of an attribute, as they stand in the page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let begin = format!(" {name}=\"");
    page.match_indices(&begin).map(|(at, _)| page[at + begin.len()..].split('"').next().unwrap()).collect()
}

#[test]
fn a_browser_gets_the_console_and_everyone_else_json() {
    let server = server();
    let answer = page(&server, "/");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.text().contains("<h1>Orders</h1>") && answer.text().contains("planted"));
    assert_eq!(answer.header("vary"), Some("accept"));
    assert_eq!(server.get("/").json()["name"], "ordain");
}

#[test]
fn what_comes_from_outside_is_text_and_nothing_runs_inline() {
    let server = server();
    let long = form(&server, "/console/orders/line/cancel", &[("reason", PLANTED)]);
    assert_eq!(long.status, 303, "{}", long.text());
    for path in PAGES {
        let answer = page(&server, path);
        let csp = answer.header("content-security-policy").unwrap();
        assert!(csp.contains("default-src 'none'") && !csp.contains("unsafe"), "{csp}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let html = answer.text();
        assert!(!html.contains("<img"), "{path}");
        // The one inline style sheet is the product's own, byte by byte.
        let (head, css) = html.split_once("<style>").unwrap();
        let (css, body) = css.split_once("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(css));
        assert!(csp.contains(&format!("style-src 'sha256-{hash}';")), "{path}: {csp}");
        assert!(!head.contains("<body") && !body.contains("<style"), "{path}");
        for inline in [" style=\"", " onclick", " onload", " onerror=\"", "javascript:"] {
            assert!(!html.contains(inline), "{path} has {inline}");
        }
        assert!(html.matches("<script").count() == 1 && attributes(&html, "src").len() == 1, "{path}");
    }
    for path in ["/", "/console/orders/planted", "/console/orders/line"] {
        assert!(text(&server, path).contains("&lt;img src=x onerror=alert(1)&gt;"), "{path}");
    }
    // What is asked for is not given back raw either.
    let odd = page(&server, "/?q=%3Cimg%20src%3Dx%3E&x=%3Cb%3E");
    assert!(odd.status == 422 && !odd.text().contains("<img"));
    let odd = page(&server, "/console/orders/%3Cimg%3E");
    assert!(odd.status == 422 && !odd.text().contains("<img>"));
    assert_eq!(page(&server, "/console/orders/nobody").status, 404);
}

#[test]
fn approve_and_cancel_are_plain_forms() {
    let server = server();
    let html = text(&server, "/console/orders/planted");
    assert!(html.contains("It waits for a person to approve it"), "{html}");
    assert!(html.contains("charges 49.90 USD, then ships"));
    assert!(attributes(&html, "action").contains(&"/console/orders/planted/approve"));
    assert!(attributes(&html, "id").contains(&"reason-approve"));
    let done = form(&server, "/console/orders/planted/approve", &[("reason", "the buyer was called")]);
    assert_eq!((done.status, done.header("location")), (303, Some("/console/orders/planted?did=approve")));
    assert!(text(&server, done.header("location").unwrap()).contains("Approved. It is on disk."));
    until(&server, "planted", "shipping");
    let html = text(&server, "/console/orders/planted");
    assert!(html.contains("refunds 49.90 USD"), "the button says what it will do");
    assert!(html.contains("the buyer was called"), "who did what, and why");
    assert!(!attributes(&html, "action").contains(&"/console/orders/planted/approve"), "only where it is allowed");
    let done = form(&server, "/console/orders/planted/cancel", &[("reason", "changed my mind")]);
    assert_eq!(done.status, 303);
    let ended = until(&server, "planted", "terminal");
    assert_eq!((&ended["state"], &ended["payment"]["status"]), (&json!("cancelled"), &json!("refunded")));
    let html = text(&server, "/console/orders/planted");
    assert!(html.contains("changed my mind") && html.contains("49.90 USD was charged and is refunded"));
    // What is refused is said, and the page shows what is.
    let refused = form(&server, "/console/orders/bad/cancel", &[]);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("Refused: ") && refused.text().contains("<h1>bad</h1>"));
    let done = form(&server, "/console/orders/line/address", &[("line", "2 Side Street")]);
    assert_eq!(done.status, 303);
    assert_eq!(server.get("/orders/line/status").json()["address"], "2 Side Street");
    for (action, paused) in [("pause", true), ("resume", false)] {
        let why = [("reason", "stock is counted")];
        assert_eq!(form(&server, &format!("/console/orders/line/{action}"), &why).status, 303);
        assert_eq!(server.get("/orders/line/status").json()["paused"], paused);
    }
    let html = text(&server, "/console/orders/line");
    assert!(html.contains("stock is counted") && attributes(&html, "id").contains(&"reason-pause"));
    assert_eq!(form(&server, "/console/orders/line/cancel", &[]).status, 303);
    until(&server, "line", "terminal");
    assert!(text(&server, "/console/orders/line").contains("Cancelled. Nothing was charged."));
}

#[test]
fn pages_of_other_origins_cannot_act() {
    let server = server();
    let address = server.line().address();
    let own = format!("http://{address}");
    let post = |path: &str, headers: &[(&str, &str)]| client::request(address, "POST", path, headers, None).unwrap();
    let others: [&[(&str, &str)]; 4] = [
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
    ];
    for headers in others {
        for path in
            ["/console/orders/line/approve", "/console/batch", "/orders/line/signals/approve", "/orders/x/start"]
        {
            let answer = post(path, headers);
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert!(answer.text().contains("cross_origin"));
        }
    }
    // A program that is no browser uses the API, not the forms.
    assert_eq!(post("/console/orders/line/approve", &[]).status, 403);
    assert_eq!(server.get("/orders/line/status").json()["state"], "in_review");
    assert_eq!(post("/orders/line/signals/approve", &[("origin", &own)]).status, 202);
}

#[test]
fn every_link_leads_somewhere_and_none_leaves() {
    let server = server();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut left: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    while let Some(path) = left.pop() {
        if !seen.insert(path.clone()) || seen.len() > 160 {
            continue;
        }
        let answer = page(&server, &path);
        assert_eq!(answer.status, 200, "{path}");
        let own = path == "/" || path.starts_with("/?") || path.starts_with("/console/");
        if !own || answer.header("content-type") != Some("text/html; charset=utf-8") {
            continue;
        }
        let html = answer.text();
        for link in attributes(&html, "href").into_iter().chain(attributes(&html, "src")) {
            let link = link.split('#').next().unwrap().replace("&amp;", "&");
            assert!(link.is_empty() || link.starts_with('/') && !link.starts_with("//"), "{path} links to {link}");
            if !link.is_empty() {
                left.push(link);
            }
        }
    }
    assert!(seen.len() > 30);
}

#[test]
fn a_first_load_is_small() {
    let server = server();
    for n in 0..60 {
        start(&server, &format!("more-{n:03}"), json!({"address": "1 Main St, Springfield", "amount": "49.90"}));
    }
    let html = page(&server, "/");
    let mut bytes = html.body.len();
    let html = html.text();
    let files: Vec<&str> = attributes(&html, "href")
        .into_iter()
        .chain(attributes(&html, "src"))
        .filter(|p| p.contains("/static/"))
        .collect();
    // What console.js fetches when the page is painted stands beside it.
    let folder = files[0].rsplit_once('/').unwrap().0;
    let all: Vec<String> = files
        .iter()
        .map(|file| (*file).to_owned())
        .chain(["live.js", "keys.js", "idiomorph.min.js"].map(|name| format!("{folder}/{name}")))
        .collect();
    for file in &all {
        let answer = server.get(file);
        assert_eq!(answer.status, 200, "{file}");
        assert!(answer.header("cache-control").unwrap().contains("immutable"), "{file}");
        bytes += answer.body.len();
    }
    // The page, its files, the stream, the word about the server's life.
    assert!(all.len() + 3 <= 12, "{all:?}");
    assert!(bytes <= 150_000, "{bytes} bytes");
    assert!(server.get("/console/static/0/console.js").header("cache-control").unwrap().contains("no-store"));
    assert_eq!(server.get("/console/static/0/passwd").status, 404);
}

#[test]
fn the_list_filters_sorts_pages_and_says_what_it_waits_for() {
    let server = server();
    for n in 0..35 {
        start(&server, &format!("many-{n:02}"), json!({"review": "manual", "amount": "1.00"}));
    }
    (0..35).for_each(|n| drop(until(&server, &format!("many-{n:02}"), "in_review")));
    let html = text(&server, "/?state=in_review&q=&sort=order_id");
    assert!(html.contains("approval") && !html.contains("id=\"o:bad\""));
    assert!(html.contains("aria-sort=\"ascending\""));
    let next =
        attributes(&html, "href").into_iter().find(|href| href.contains("cursor=")).unwrap().replace("&amp;", "&");
    let second = text(&server, &next);
    let ids = |html: &str| {
        let all = attributes(html, "id").into_iter().filter_map(|id| id.strip_prefix("o:")).map(str::to_owned);
        all.collect::<Vec<_>>()
    };
    assert_eq!(ids(&html).len(), 20);
    let whole = text(&server, "/?state=in_review&sort=order_id&limit=100");
    assert_eq!(ids(&whole), [ids(&html), ids(&second)].concat());
    assert_eq!(ids(&second).len(), 17);
    assert!(ids(&html).last() < ids(&second).first());
    let html = text(&server, "/?q=retr");
    assert_eq!(ids(&html), ["retrying"]);
    assert!(html.contains("warehouse unreachable, attempt") || html.contains("new shipment"), "{html}");
    let html = text(&server, "/?state=stuck");
    assert!(html.contains("No order fits"));
}

#[test]
fn many_orders_are_looked_at_first_and_then_done_each_with_its_result() {
    let server = server();
    let rows = [("action", "cancel"), ("id", "planted"), ("id", "line"), ("id", "bad")];
    let look = form(&server, "/console/batch", &rows);
    assert_eq!(look.status, 200);
    let html = look.text();
    assert!(html.contains("Cancel 2 orders?") && html.contains("left out: it is failed"), "{html}");
    assert!(html.contains("<li>2 orders will be cancelled</li><li>1 cannot: it is failed</li>"), "{html}");
    let html = form(&server, "/console/batch", &[("action", "approve"), ("id", "planted"), ("id", "line")]).text();
    assert!(html.contains("<li>charges 54.90 USD in all</li>"), "{html}");
    let html = form(&server, "/console/batch", &[("action", "cancel"), ("id", "retrying")]).text();
    assert!(html.contains("<li>1 of them refunds 19.90 USD</li>"), "{html}");
    assert_eq!(server.get("/orders/line/status").json()["state"], "in_review", "nothing is done yet");
    let mut sure = rows.to_vec();
    sure.extend([("sure", "yes"), ("reason", "out of stock")]);
    let begun = form(&server, "/console/batch", &sure);
    assert_eq!(begun.status, 303, "{}", begun.text());
    let progress = begun.header("location").unwrap().to_owned();
    until(&server, "line", "terminal");
    let begin = std::time::Instant::now();
    let html = loop {
        let html = text(&server, &progress);
        if html.contains("Nothing is left to do") || begin.elapsed().as_secs() > 10 {
            break html;
        }
    };
    assert!(html.contains("2 of 3 orders done") && html.contains("refused: ") && html.contains("3 of 3"), "{html}");
    assert_eq!(page(&server, "/console/batch/none").status, 404);
    assert_eq!(server.get("/orders/line/status").json()["reason"], "out of stock");
    assert_eq!(form(&server, "/console/batch", &[("action", "explode"), ("id", "line")]).status, 422);
    assert!(form(&server, "/console/batch", &[("action", "retry")]).text().contains("No order was selected"));
}

#[test]
fn the_state_after_any_fact_is_shown_with_what_it_changed() {
    let server = server();
    let html = text(&server, "/console/orders/line?at=1");
    assert!(html.contains("1 of ") && html.contains("What fact 1 changed"));
    let last = server.get("/orders/line/status").json()["seq"].as_u64().unwrap();
    let html = text(&server, &format!("/console/orders/line?at={last}"));
    assert!(html.contains("review.opened_at"), "{html}");
    assert!(html.contains("<svg") && html.contains("Timeline: "));
}
