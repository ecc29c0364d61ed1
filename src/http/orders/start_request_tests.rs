//! What a start may look like, what it becomes, and which starts are the same.

use super::*;
use crate::http::json::parse;
use crate::model::Address;

fn id() -> OrderId {
    OrderId::parse("o-1").unwrap()
}

fn start_with(query: &str, body: &str) -> Result<OrderStart, Vec<String>> {
    let json = (!body.is_empty()).then(|| parse(body.as_bytes()).unwrap());
    read(&id(), Query::read(query), json.as_ref(), &OrderDefaults::default())
        .map_err(|faults| faults.into_iter().map(|f| f.pointer).collect())
}

fn start(body: &str) -> OrderStart {
    start_with("", body).unwrap()
}

#[test]
fn a_start_without_a_body_gets_all_defaults() {
    let start = start("");
    assert_eq!(start.payment_id.as_str(), "pay-o-1");
    assert_eq!(start.money.to_string(), "0.00 USD");
    assert_eq!(start.review, ReviewPlan { mode: ReviewMode::Auto, auto_ms: 2_000, deadline_ms: None });
    assert_eq!(start.deadline_ms, Some(15_000));
    assert_eq!(start.address, None);
}

#[test]
fn a_start_keeps_everything_it_was_sent() {
    let start = start(
        r#"{"order_id":"o-1","payment_token":"p","address":{"zip_code":"1","street":null},"currency":"EUR",
            "items":[{"sku":"a","quantity":2,"unit_price":10.05},{"sku":"b","quantity":0,"unit_price":"1"},{"sku":"c","quantity":1}],
            "review":"manual","review_seconds":0,"review_deadline_seconds":1.5,"deadline_seconds":0,
            "metadata":{"n":1,"deep":{"x":[true,null,"y"]}}}"#,
    );
    assert_eq!(start.payment_id.as_str(), "p");
    assert_eq!(start.money.to_string(), "20.10 EUR");
    assert_eq!(start.items.len(), 3);
    assert_eq!(start.address, Some(Address::Fields([("zip_code".to_owned(), "1".to_owned())].into())));
    assert_eq!(start.review, ReviewPlan { mode: ReviewMode::Manual, auto_ms: 0, deadline_ms: Some(1_500) });
    assert_eq!(start.deadline_ms, None);
    assert_eq!(serde_json::to_string(&start.metadata).unwrap(), r#"{"deep":{"x":[true,null,"y"]},"n":1}"#);
}

#[test]
fn amounts_are_exact_whether_number_or_text() {
    for (sent, kept) in [
        ("49.90", "49.90"),
        ("\"49.90\"", "49.90"),
        ("0.1", "0.1"),
        ("-5", "-5"),
        ("123456789012345678", "123456789012345678"),
        ("1e2", "100"),
        ("null", "0.00"),
    ] {
        assert_eq!(start(&format!("{{\"amount\":{sent}}}")).money.amount.to_string(), kept, "{sent}");
    }
}

#[test]
fn seconds_are_kept_to_the_millisecond_and_never_rounded_to_none() {
    for (sent, ms) in [("0.5", Some(500)), ("1e1", Some(10_000)), ("0.0001", Some(1)), ("0", None), ("-0.0", None)] {
        assert_eq!(start(&format!("{{\"deadline_seconds\":{sent}}}")).deadline_ms, ms, "{sent}");
    }
    assert_eq!(start(r#"{"deadline_seconds":0.30000000000000004}"#).deadline_ms, Some(301));
}

#[test]
fn invalid_starts_are_refused_with_a_pointer_to_each_fault() {
    let long = "x".repeat(600);
    let many_items = vec![r#"{"sku":"a","quantity":1}"#; 1_001].join(",");
    let many_keys: Vec<String> = (0..65).map(|n| format!("\"k{n}\":0")).collect();
    let cases: Vec<(String, &[&str])> = vec![
        ("[]".into(), &[""]),
        ("\"x\"".into(), &[""]),
        (r#"{"colour":1}"#.into(), &["/colour"]),
        (r#"{"a/b~c":1}"#.into(), &["/a~1b~0c"]),
        (r#"{"order_id":"o-2"}"#.into(), &["/order_id"]),
        (r#"{"order_id":7}"#.into(), &["/order_id"]),
        (r#"{"payment_id":"a","payment_token":"b"}"#.into(), &["/payment_token"]),
        (r#"{"payment_id":""}"#.into(), &["/payment_id"]),
        (r#"{"payment_id":"a b"}"#.into(), &["/payment_id"]),
        (r#"{"payment_id":5}"#.into(), &["/payment_id"]),
        (format!(r#"{{"payment_id":"{long}"}}"#), &["/payment_id"]),
        (r#"{"address":5}"#.into(), &["/address"]),
        (r#"{"address":""}"#.into(), &["/address"]),
        (format!(r#"{{"address":"{long}"}}"#), &["/address"]),
        (format!(r#"{{"address":{{"city":"{long}"}}}}"#), &["/address/city"]),
        (r#"{"address":{"planet":"x","zip":7}}"#.into(), &["/address/planet", "/address/zip"]),
        (r#"{"items":{}}"#.into(), &["/items"]),
        (r#"{"items":[1]}"#.into(), &["/items/0"]),
        (r#"{"items":[{}]}"#.into(), &["/items/0/sku", "/items/0/quantity"]),
        (r#"{"items":[{"sku":"a","quantity":1.5}]}"#.into(), &["/items/0/quantity"]),
        (r#"{"items":[{"sku":"a","quantity":"1"}]}"#.into(), &["/items/0/quantity"]),
        (r#"{"items":[{"sku":"a","quantity":99999999999999999999}]}"#.into(), &["/items/0/quantity"]),
        (
            r#"{"items":[{"sku":"a","quantity":1,"unit_price":true,"x":0}]}"#.into(),
            &["/items/0/unit_price", "/items/0/x"],
        ),
        (format!(r#"{{"items":[{many_items}]}}"#), &["/items"]),
        (
            r#"{"items":[{"sku":"a","quantity":9223372036854775807,"unit_price":999999999999999999}]}"#.into(),
            &["/items/0"],
        ),
        (r#"{"amount":"NaN"}"#.into(), &["/amount"]),
        (r#"{"amount":"Infinity"}"#.into(), &["/amount"]),
        (r#"{"amount":""}"#.into(), &["/amount"]),
        (r#"{"amount":true}"#.into(), &["/amount"]),
        (r#"{"amount":1e999}"#.into(), &["/amount"]),
        (r#"{"amount":1e-20}"#.into(), &["/amount"]),
        (r#"{"amount":9999999999999999999}"#.into(), &["/amount"]),
        (format!(r#"{{"amount":{}}}"#, "9".repeat(100_000)), &["/amount"]),
        (r#"{"currency":"usd"}"#.into(), &["/currency"]),
        (r#"{"currency":1}"#.into(), &["/currency"]),
        (r#"{"review":"maybe"}"#.into(), &["/review"]),
        (r#"{"review":true}"#.into(), &["/review"]),
        (r#"{"review_seconds":-1}"#.into(), &["/review_seconds"]),
        (r#"{"review_seconds":"2"}"#.into(), &["/review_seconds"]),
        (r#"{"review_seconds":1e30}"#.into(), &["/review_seconds"]),
        (r#"{"deadline_seconds":315360001}"#.into(), &["/deadline_seconds"]),
        (r#"{"review_deadline_seconds":[]}"#.into(), &["/review_deadline_seconds"]),
        (r#"{"metadata":[]}"#.into(), &["/metadata"]),
        (format!(r#"{{"metadata":{{{}}}}}"#, many_keys.join(",")), &["/metadata"]),
        (r#"{"metadata":{"":1}}"#.into(), &["/metadata/"]),
        (format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(70_000)), &["/metadata"]),
        (r#"{"metadata":{"a":{"b":[1e999]}}}"#.into(), &["/metadata/a/b/0"]),
        (r#"{"amount":true,"review":1,"x":0}"#.into(), &["/amount", "/review", "/x"]),
    ];
    for (body, pointers) in cases {
        let short: String = body.chars().take(80).collect();
        assert_eq!(start_with("", &body).unwrap_err(), pointers, "{short}");
    }
}

#[test]
fn the_query_takes_a_payment_id_and_nothing_else() {
    assert_eq!(start_with("payment_id=p%3A1", "").unwrap().payment_id.as_str(), "p:1");
    assert!(start_with("payment_id=p", r#"{"payment_id":"p","payment_token":"p"}"#).is_ok());
    assert_eq!(start_with("payment_id=p", r#"{"payment_id":"q"}"#).unwrap_err(), ["/payment_id"]);
    assert_eq!(start_with("payment_id=a%20b", "").unwrap_err(), ["/query/payment_id"]);
    assert_eq!(start_with("payment_id=p&payment_id=p", "").unwrap_err(), ["/query/payment_id"]);
    assert_eq!(start_with("amount=5", r#"{"x":1}"#).unwrap_err(), ["/query/amount", "/x"]);
}

#[test]
fn the_fingerprint_forgets_how_a_start_was_written_but_not_what_it_says() {
    let base = start(r#"{"payment_id":"p","amount":"49.90","items":[{"sku":"a","quantity":1}]}"#).fingerprint;
    let same = [
        ("", r#"{"items":[{"quantity":1,"sku":"a"}],"amount":49.90,"payment_token":"p"}"#),
        ("payment_id=p", r#"{"amount":"49.90","items":[{"sku":"a","quantity":1,"unit_price":null}]}"#),
        ("payment_id=p", r#"{"payment_id":"p","amount":"49.90","items":[{"sku":"a","quantity":1}],"order_id":"o-1"}"#),
        ("", r#"{"payment_id":"p","amount":"49.90","items":[{"sku":"\u0061","quantity":1}],"address":null}"#),
    ];
    for (query, body) in same {
        assert_eq!(start_with(query, body).unwrap().fingerprint, base, "{query} {body}");
    }
    let other = [
        r#"{"payment_id":"q","amount":"49.90","items":[{"sku":"a","quantity":1}]}"#,
        r#"{"payment_id":"p","amount":"49.91","items":[{"sku":"a","quantity":1}]}"#,
        r#"{"payment_id":"p","amount":"49.90","items":[{"sku":"a","quantity":2}]}"#,
        r#"{"payment_id":"p","amount":"49.90","items":[{"sku":"a","quantity":1}],"metadata":{"a":1}}"#,
        r#"{"payment_id":"p","amount":"49.90","items":[{"sku":"a","quantity":1}],"metadata":{"a":"1"}}"#,
        r#"{"payment_id":"p","amount":"49.90"}"#,
        "{}",
    ];
    let mut seen: Vec<String> = other.iter().map(|body| start(body).fingerprint).chain([base]).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), other.len() + 1);
}

#[test]
fn the_fingerprint_is_the_same_in_every_release() {
    assert_eq!(start("").fingerprint, start("{}").fingerprint);
    // Stored with each order; a client may repeat its start after an upgrade.
    assert_eq!(start("{}").fingerprint, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    let full = r#"{"payment_id":"p","amount":49.9,"items":[{"sku":"a","quantity":1}],"metadata":{"a":1}}"#;
    assert_eq!(
        canonical(
            Some(&PaymentId::parse("p").unwrap()),
            match &parse(full.as_bytes()).unwrap() {
                Json::Object(entries) => entries,
                _ => unreachable!(),
            }
        ),
        r#"{"amount":"49.9","items":[{"quantity":1,"sku":"a"},],"metadata":{"a":1},"payment_id":"p"}"#
    );
}
