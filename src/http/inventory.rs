//! Tests of the inventory: the routes the router has, the rules of access, and the table of `SECURITY.md` are the same.

use std::cell::RefCell;
use std::collections::BTreeSet;

use actix_web::test::init_service;
use actix_web::web::Data;
use actix_web::{App, rt};

use super::access::{RULES, rule};
use super::routes::configure;
use super::{Seat, ServerOptions, Site};

thread_local! {
    static ROUTES: RefCell<Vec<(&'static str, &'static str)>> = const { RefCell::new(Vec::new()) };
}

/// Called for each route that is put into its frame.
pub fn note(route: &'static str, methods: &'static str) {
    ROUTES.with_borrow_mut(|routes| routes.push((route, methods)));
}

/// The router's routes, each with its methods.
fn routes() -> Vec<(&'static str, &'static str)> {
    ROUTES.with_borrow_mut(Vec::clear);
    rt::System::new().block_on(async {
        let site = Data::new(Site::new(ServerOptions::default(), Seat::default()));
        let _app = init_service(App::new().app_data(site).configure(configure)).await;
    });
    ROUTES.take()
}

#[test]
fn every_route_has_one_rule_and_every_rule_a_route() {
    let routes = routes();
    let named: BTreeSet<&str> = routes.iter().map(|(route, _)| *route).collect();
    assert_eq!(named.len(), routes.len(), "a route is there twice");
    let ruled: BTreeSet<&str> = RULES.iter().map(|(route, ..)| *route).collect();
    assert_eq!(named.difference(&ruled).collect::<Vec<_>>(), Vec::<&&str>::new(), "routes without a rule");
    assert_eq!(ruled.difference(&named).collect::<Vec<_>>(), Vec::<&&str>::new(), "rules without a route");
}

/// The table of `SECURITY.md`, made of the router and the rules.
fn table() -> String {
    let mut lines: Vec<String> = Vec::new();
    for (route, methods) in routes() {
        for method in methods.split(", ").filter(|method| *method != "HEAD") {
            let rule = rule(route, method != "GET");
            let scope = rule.scope.map_or("–", |scope| scope.as_str());
            let owners = match (rule.scope, rule.for_owners) {
                (None, _) => "open",
                (Some(_), true) => "its own",
                (Some(_), false) => "no",
            };
            lines.push(format!("| {method} | `{route}` | {scope} | {owners} |"));
        }
    }
    lines.sort_by(|a, b| a.split('|').nth(2).cmp(&b.split('|').nth(2)).then_with(|| a.cmp(b)));
    format!("| method | route | scope | a key bound to an owner |\n| --- | --- | --- | --- |\n{}\n", lines.join("\n"))
}

#[test]
fn the_inventory_of_the_security_page_is_the_routers() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md");
    const BEGIN: &str = "<!-- routes -->\n";
    const END: &str = "<!-- /routes -->";
    let page = std::fs::read_to_string(FILE).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the table's beginning");
    let (shown, tail) = rest.split_once(END).expect("the table's end");
    let table = table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(shown, table, "UPDATE_GOLDEN=1 cargo test --lib inventory");
    }
}

#[test]
fn no_route_is_made_beside_the_frame() {
    let made = |text: &str| text.matches("web::resource(").count() + text.matches("web::scope(").count();
    let console = include_str!("../console/mod.rs");
    assert_eq!((made(include_str!("routes.rs")), made(console)), (1, 0), "every route goes through of_patterns");
}
