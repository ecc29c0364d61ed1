//! What the strict parser takes and what it refuses; agreement with `serde_json` on everything else.

use proptest::prelude::*;

use super::*;

fn to_serde(json: &Json<'_>) -> serde_json::Value {
    match json {
        Json::Null => serde_json::Value::Null,
        Json::Bool(b) => (*b).into(),
        Json::Number(n) => serde_json::from_str(n).unwrap(),
        Json::Text(t) => t.as_ref().into(),
        Json::List(l) => l.iter().map(to_serde).collect(),
        Json::Object(o) => serde_json::Value::Object(o.iter().map(|(k, v)| (k.to_string(), to_serde(v))).collect()),
    }
}

#[test]
fn a_number_keeps_its_text() {
    for text in ["0", "-0", "49.90", "1e2", "1E+2", "-0.1e-7", "123456789012345678901234567890.000"] {
        assert_eq!(parse(text.as_bytes()), Ok(Json::Number(text)));
    }
}

#[test]
fn malformed_texts_are_refused() {
    let bad = [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "-",
        "-a",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e2",
        "1e",
        "1e+",
        "+1",
        "0x10",
        "1 2",
        "{} x",
        "[]]",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\u{1}\"",
        "\"a\nb\"",
        "\u{feff}{}",
        "{\"a\":1 \"b\":2}",
        "// x\n1",
        "1_000",
        "\"\\u",
    ];
    for text in bad {
        assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "serde takes {text:?}");
    }
}

#[test]
fn a_key_that_occurs_twice_is_named_at_any_depth_and_however_it_is_escaped() {
    for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"b":0,"a":1}}]"#, r#"{"a":1,"\u0061":2}"#] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(&error, JsonError::DuplicateKey { key, .. } if key == "a"), "{text}: {error}");
    }
    let many: Vec<String> = (0..100).chain([42]).map(|n| format!("\"k{n}\":0")).collect();
    let error = parse(format!("{{{}}}", many.join(",")).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("\"k42\""), "{error}");
}

#[test]
fn surrogates_must_come_in_pairs() {
    assert_eq!(parse(br#""\ud83d\ude00""#), Ok(Json::Text("😀".into())));
    for text in
        [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\n""#, r#""\ud83d\ud83d""#, r#""\ude00\ud83d""#]
    {
        assert!(matches!(parse(text.as_bytes()), Err(JsonError::LoneSurrogate(_))), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    assert_eq!(parse(b"\"\xff\""), Err(JsonError::Utf8(1)));
    assert_eq!(parse(b"\"\xed\xa0\x80\""), Err(JsonError::Utf8(1)));
}

#[test]
fn nesting_of_100_000_levels_is_refused_and_64_are_taken() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(matches!(parse(nested(DEPTH_MAX + 1).as_bytes()), Err(JsonError::TooDeep(_))));
        assert!(matches!(parse(nested(100_000).as_bytes()), Err(JsonError::TooDeep(_))));
        assert!(matches!(parse(open.repeat(100_000).as_bytes()), Err(JsonError::TooDeep(_))));
    }
}

#[test]
fn an_empty_text_is_an_empty_text() {
    assert_eq!(
        parse(br#"["",{"":0}]"#),
        Ok(Json::List(vec![Json::Text("".into()), Json::Object(vec![("".into(), Json::Number("0"))]),]))
    );
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_writes_is_read_as_serde_reads_it(json in any_json()) {
        for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
            let reread: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(to_serde(&parse(text.as_bytes()).unwrap()), reread);
        }
    }

    #[test]
    fn a_broken_text_is_never_taken_where_serde_refuses_it(json in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = json.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let ours = parse(&bytes);
        let serdes = serde_json::from_slice::<serde_json::Value>(&bytes);
        if ours.is_ok() {
            // Numbers too large for a float are only refused where one is read.
            let range = serdes.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
            prop_assert!(serdes.is_ok() || range, "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
