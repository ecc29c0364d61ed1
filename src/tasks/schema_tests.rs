use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Params {
    #[schemars(length(min = 1, max = 5))]
    name: String,
    #[schemars(range(min = 1, max = 10))]
    n: u32,
    ratio: Option<f64>,
    mode: Mode,
    inner: Option<Inner>,
    #[serde(default)]
    list: Vec<Inner>,
    pair: Option<(u8, String)>,
    map: Option<std::collections::BTreeMap<String, bool>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is looked at")]
enum Mode {
    /// Fast.
    Fast,
    /// Slow.
    Slow,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Inner {
    yes: bool,
}

fn pointers(value: &Value) -> Vec<String> {
    let schema = of(schema_for!(Params));
    assert_eq!(unknown_keyword(&schema), None, "{schema}");
    let mut pointers: Vec<String> = faults(&schema, value).into_iter().map(|fault| fault.pointer).collect();
    pointers.sort();
    pointers
}

#[test]
fn what_fits_has_no_fault() {
    let none: [&str; 0] = [];
    assert_eq!(pointers(&json!({"name": "a", "n": 1, "mode": "fast"})), none);
    let full = json!({
        "name": "äöüß5", "n": 10, "ratio": 1, "mode": "slow", "inner": {"yes": true}, "list": [{"yes": false}],
        "pair": [1, "x"], "map": {"a": true},
    });
    assert_eq!(pointers(&full), none);
    assert_eq!(pointers(&json!({"name": "a", "n": 2.0, "mode": "fast", "inner": null, "ratio": null})), none);
}

#[test]
fn every_fault_is_told_at_its_place() {
    let bad = json!({
        "name": "", "n": 11, "ratio": "x", "mode": "odd", "inner": {"yes": 1, "no": 2}, "list": [{"yes": true}, {}, 3],
        "pair": [300, "x"], "map": {"a/b": 1}, "more": true,
    });
    let found = pointers(&bad);
    let expected = [
        "/inner/no",
        "/inner/yes",
        "/list/1/yes",
        "/list/2",
        "/map/a~1b",
        "/mode",
        "/more",
        "/n",
        "/name",
        "/pair/0",
        "/ratio",
    ];
    assert_eq!(found, expected);
    assert_eq!(pointers(&json!({})), ["/mode", "/n", "/name"]);
    assert_eq!(pointers(&json!([])), [""]);
    assert_eq!(pointers(&json!({"name": "sixsix", "n": 1.5, "mode": "fast"})), ["/n", "/name"]);
}

#[test]
fn messages_never_repeat_a_value() {
    let schema = of(schema_for!(Params));
    let bad = json!({"name": 77123, "n": "hunter2", "mode": "hunter2", "inner": "hunter2", "pair": "hunter2"});
    for fault in faults(&schema, &bad) {
        assert!(!fault.message.contains("hunter2") && !fault.message.contains("77123"), "{}", fault.message);
    }
}

#[test]
fn a_schema_that_says_more_than_is_checked_is_found() {
    assert_eq!(unknown_keyword(&json!({"properties": {"a": {"pattern": "^x"}}})), Some("pattern".into()));
    assert_eq!(unknown_keyword(&json!({"properties": {"pattern": {"type": "string"}}})), None);
}
