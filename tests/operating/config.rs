//! Settings: where they come from, how they are read, and errors that name the very place where a wrong one stands.

use std::path::Path;

use serde_json::Value;

use super::support::command::{err, ordain, out};

/// What `ordain config` prints.
fn shown(folder: &Path, env: &[(&str, &str)], args: &[&str]) -> Value {
    let mut all = vec!["config"];
    all.extend(args);
    let done = ordain(folder, env, &all);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    serde_json::from_str(&out(&done)).unwrap()
}

/// `config` and `serve` refuse alike, with these words, and touch nothing. What they said.
fn refused(folder: &Path, env: &[(&str, &str)], args: &[&str], words: &[&str]) -> String {
    let [config, serve] = ["config", "serve"].map(|command| {
        let mut all = vec![command];
        all.extend(args);
        let done = ordain(folder, env, &all);
        assert_eq!(done.status.code(), Some(2), "{all:?} {env:?}: {}{}", out(&done), err(&done));
        for word in words {
            assert!(err(&done).contains(word), "{word:?} in {}", err(&done));
        }
        assert!(!folder.join("ordain.db").exists(), "nothing is touched before the settings are right");
        err(&done)
    });
    assert_eq!(config, serve);
    serve
}

#[test]
fn settings_come_from_flag_then_environment_then_dot_env_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |env: &[(&str, &str)], args: &[&str]| shown(folder.path(), env, args);
    assert_eq!(shown(&[], &[])["review_seconds"], 2.0);
    std::fs::write(folder.path().join("ordain.toml"), "review_seconds = 3\nlog_level = \"warn\"\n").unwrap();
    assert_eq!(shown(&[], &[])["review_seconds"], 3.0);
    let dot_env = "ORDAIN_REVIEW_SECONDS=4\nDATABASE_URL=sqlite+driver://dot.db\nOTHER=1\n";
    std::fs::write(folder.path().join(".env"), dot_env).unwrap();
    let all = shown(&[], &[]);
    assert_eq!((&all["review_seconds"], &all["log_level"]), (&4.0.into(), &"warn".into()));
    assert_eq!(all["database_url"], "sqlite+driver://dot.db");
    assert_eq!(shown(&[("ORDAIN_REVIEW_SECONDS", "5")], &[])["review_seconds"], 5.0);
    assert_eq!(shown(&[("ORDAIN_REVIEW_SECONDS", "5")], &["--review-seconds", "6"])["review_seconds"], 6.0);
    let env = [("DATABASE_URL", "sqlite://plain.db"), ("ORDAIN_DATABASE_URL", "sqlite://ours.db")];
    assert_eq!(shown(&env, &[])["database_url"], "sqlite://ours.db");
    let nested = [
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "http://pay/"),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__TIMEOUT", "500ms"),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__HEADERS__X_KEY", "123"),
    ];
    let all = shown(&nested, &[]);
    assert_eq!(all["activities"]["charge_payment"]["url"], "http://pay/");
    assert!(!all.to_string().contains("123"), "a header's value is never shown: {all}");
}

#[test]
fn a_setting_that_cannot_be_used_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |env: &[(&str, &str)], args: &[&str], words: &[&str]| refused(folder.path(), env, args, words);
    refused(&[("ORDAIN_BNID", "x")], &[], &["bnid", "environment"]);
    refused(&[("ORDAIN_REVIEW_SECONDS", "soon")], &[], &["review_seconds", "ORDAIN_"]);
    refused(&[("ORDAIN_REVIEW", "sometimes")], &[], &["review", "auto"]);
    refused(&[], &["--bind", "nowhere"], &["bind"]);
    refused(&[], &["--bind", "0.0.0.0:0"], &["bind", "--insecure"]);
    refused(&[], &["--database-url", "mysql://x/y"], &["MySQL"]);
    refused(&[], &["--database-url", "odd://x"], &["odd"]);
    refused(&[], &["--config", "none.toml"], &["none.toml"]);
    refused(&[], &["--log-level", "ordain=loud"], &["log_level"]);
    refused(&[("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "ftp://x")], &[], &["charge_payment", "ftp://x"]);
    refused(&[("ORDAIN_ACTIVITIES__DANCE__URL", "http://x")], &[], &["dance"]);
    refused(&[("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__TIMEOUT", "long")], &[], &["timeout"]);
    std::fs::write(folder.path().join("ordain.toml"), "[queues.shipping]\nsize = 3\n").unwrap();
    refused(&[], &[], &["size", "ordain.toml"]);
}

#[test]
fn environment_and_dot_env_are_texts_and_read_as_what_the_setting_is() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOG_LEVEL", "true"),
        ("ORDAIN_ORDER_TASK_QUEUE", "7"),
        ("ORDAIN_TEMPORAL_TARGET", "1.50"),
        ("ORDAIN_INSECURE", "true"),
        ("ORDAIN_REVIEW_SECONDS", "0.5"),
        ("ORDAIN_CHAOS_SEED", "18446744073709551615"),
        ("ORDAIN_RETRY__MAX_ATTEMPTS", "9"),
        ("ORDAIN_QUEUES__SHIPPING__CONCURRENCY", "64"),
        ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__TIMEOUT", "5"),
    ];
    let check = |all: Value| {
        assert_eq!((&all["log_level"], &all["order_task_queue"]), (&"true".into(), &"7".into()));
        assert_eq!((&all["temporal_target"], &all["insecure"]), (&"1.50".into(), &true.into()));
        assert_eq!((&all["review_seconds"], &all["chaos_seed"]), (&0.5.into(), &u64::MAX.into()));
        assert_eq!((&all["retry"]["max_attempts"], &all["queues"]["shipping"]["concurrency"]), (&9.into(), &64.into()));
        assert_eq!(all["activities"]["charge_payment"]["timeout"], "5");
    };
    check(shown(folder.path(), &env, &[]));
    let lines: String = env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(folder.path().join(".env"), lines).unwrap();
    check(shown(folder.path(), &[], &[]));
}

#[test]
fn a_headers_name_in_the_environment_has_underscores_for_dashes_and_meets_the_one_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[activities.charge_payment]\nurl = \"http://pay/\"\nheaders = { X-Api-Key = \"a\", Accept = \"b\" }\n";
    std::fs::write(folder.path().join("ordain.toml"), toml).unwrap();
    let env = [("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__HEADERS__X_API_KEY", "007")];
    let all = shown(folder.path(), &env, &[]);
    let names: Vec<&String> = all["activities"]["charge_payment"]["headers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["accept", "x-api-key"]);
    assert!(all["activities"].get("charge-payment").is_none());
}

#[test]
fn a_wrong_value_is_named_by_its_variable_flag_or_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let pay = "ORDAIN_ACTIVITIES__CHARGE_PAYMENT__";
    let pay = |field: &str| format!("{pay}{field}");
    for (name, value) in [
        ("ORDAIN_MAX_CONNECTIONS", "0"),
        ("ORDAIN_MAX_CONNECTIONS", "many"),
        ("ORDAIN_MAX_CONNECTIONS", "-1"),
        ("ORDAIN_MAX_CONNECTIONS", ""),
        ("ORDAIN_BNID", "x"),
        ("ORDAIN_INSECURE", "maybe"),
        ("ORDAIN_REVIEW", "sometimes"),
        ("ORDAIN_REVIEW_SECONDS", "NaN"),
        ("ORDAIN_REVIEW_SECONDS", "-1"),
        ("ORDAIN_BIND", "nowhere"),
        ("ORDAIN_BIND", "0.0.0.0:0"),
        ("ORDAIN_DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", "mysql://x/y"),
        ("LOG_LEVEL", "ordain=loud"),
        ("ORDAIN_LOG_LEVEL", "ordain=loud"),
        ("ORDAIN_CHAOS", "total"),
        ("ORDAIN_CHAOS_SEED", "-1"),
        ("ORDAIN_RETRY__FACTOR", "0.5"),
        ("ORDAIN_QUEUES__SHIPPING__SIZE", "3"),
        ("ORDAIN_QUEUES__SHIPPING__WINDOW", "0"),
        ("ORDAIN_QUEUES__SHIPPING__CONCURRENCY", "100001"),
        ("ORDAIN_QUEUES__SHIPPING__RATE_LIMIT__PER_SECOND", "0"),
        ("ORDAIN_QUEUES__SHIPPING__SHARED_BACKOFF", "perhaps"),
        (&pay("URL"), "ftp://x"),
        (&pay("TIMEOUT"), "long"),
        (&pay("MAX_ATTEMPTS"), "0"),
        (&pay("HEADERS"), "topsecret"),
        ("ORDAIN_ACTIVITIES__DANCE__URL", "http://x"),
        ("ORDAIN_ACTIVITIES__VALIDATE_ORDER__URL", "http://x"),
    ] {
        let said = refused(path, &[(name, value)], &[], &[&format!("environment variable {name})")]);
        assert!(!said.contains("topsecret"), "{said}");
        std::fs::write(path.join(".env"), format!("{name}={value}\n")).unwrap();
        refused(path, &[], &[], &[&format!("{name} in the file .env)")]);
        std::fs::remove_file(path.join(".env")).unwrap();
    }
    for (flag, value) in [
        ("--max-connections", "0"),
        ("--bind", "0.0.0.0:0"),
        ("--database-url", "odd://x"),
        ("--log-level", "ordain=loud"),
        ("--review-seconds=-1", ""),
    ] {
        let (args, flag) = match flag.split_once('=') {
            Some((name, _)) => (vec![flag], name),
            None => (vec![flag, value], flag),
        };
        refused(path, &[("ORDAIN_MAX_CONNECTIONS", "9")], &args, &[&format!("the flag {flag})")]);
    }
    for (toml, key) in [
        ("max_connections = 0", "max_connections"),
        ("[queues.shipping]\nmin = 9\nmax = 3", "queues.shipping.min"),
        ("[queues.x]\nconcurrency = 1\nmax = 2", "queues.x.max"),
        ("[queues.x]\nrate_limit = { per_second = 1, burst = 0 }", "queues.x.rate_limit.burst"),
        ("[activities.charge_payment]\nurl = \"http://x/\"\noutside = true", "activities.charge_payment.url"),
        ("max_connections = \"x\"", "max_connections"),
        ("[queues.shipping]\nsize = 3", "queues.shipping.size"),
        ("[queues.shipping]\nwindow = 0", "queues.shipping.window"),
        ("[activities.charge_payment]\nurl = \"ftp://x\"", "activities.charge_payment.url"),
        ("[portal]\nurl = \"portal\"", "portal.url"),
    ] {
        std::fs::write(path.join("some.toml"), toml).unwrap();
        refused(path, &[], &["--config", "some.toml"], &[&format!("{key} in the file some.toml)")]);
    }
    std::fs::write(path.join("some.toml"), "[activities.charge_payment.headers]\nX = topsecret\n").unwrap();
    let said = refused(path, &[], &["--config", "some.toml"], &["some.toml", "line 2"]);
    assert!(!said.contains("topsecret"), "{said}");
}

#[test]
fn the_place_of_a_value_is_the_one_that_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("ordain.toml"), "max_connections = 0\n").unwrap();
    std::fs::write(path.join(".env"), "ORDAIN_MAX_CONNECTIONS=0\n").unwrap();
    refused(path, &[("ORDAIN_MAX_CONNECTIONS", "0")], &["--max-connections", "0"], &["the flag --max-connections)"]);
    refused(path, &[("ORDAIN_MAX_CONNECTIONS", "0")], &[], &["environment variable ORDAIN_MAX_CONNECTIONS)"]);
    refused(path, &[], &[], &["ORDAIN_MAX_CONNECTIONS in the file .env)"]);
    let all = shown(path, &[("ORDAIN_MAX_CONNECTIONS", "7")], &[]);
    assert_eq!(all["max_connections"], 7);
}

#[test]
fn a_line_of_dot_env_that_cannot_be_parsed_is_named_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (text, words) in [
        ("A=1\n\n# note\nORDAIN_BIND=top secret words\n", &["line 4", "ORDAIN_BIND"][..]),
        ("export LOG_LEVEL=top secret words\n", &["line 1", "LOG_LEVEL"]),
        ("A=1\nsecret-words\n", &["line 2"]),
        ("A='1\n2'\nSECRET_B=\"secret\nwords\n", &["line 3"]),
        ("\u{feff}A=$(secret words\n", &["line 1"]),
    ] {
        std::fs::write(path.join(".env"), text).unwrap();
        let mut all = vec![".env"];
        all.extend(words);
        let said = refused(path, &[], &[], &all).to_lowercase();
        assert!(!said.contains("topsecret"), "{said}");
        assert!(!said.contains("words"), "{said}");
    }
    std::fs::write(path.join(".env"), "\u{feff}ORDAIN_SHARDS=3\n").unwrap();
    assert_eq!(shown(path, &[], &[])["shards"], 3);
}

#[test]
fn a_password_in_the_database_url_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let all = shown(folder.path(), &[("DATABASE_URL", "sqlite://me:geheim@host/x.db")], &[]);
    assert_eq!(all["database_url"], "sqlite://me:***@host/x.db");
}

#[test]
fn what_has_no_effect_is_a_warning_of_config_too() {
    let folder = tempfile::tempdir().unwrap();
    let done = ordain(folder.path(), &[("ORDER_TASK_QUEUE", "q"), ("LOG_LEVEL", "verbose")], &["config"]);
    assert_eq!(done.status.code(), Some(0));
    assert!(err(&done).contains("order_task_queue"), "{}", err(&done));
    assert!(err(&done).contains("verbose"), "{}", err(&done));
}

#[test]
fn a_section_of_a_queue_that_nothing_uses_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let name = "ORDAIN_QUEUES__SHIPING__CONCURRENCY";
    refused(folder.path(), &[(name, "3")], &[], &["queues.shiping", "nothing uses", "shipping", name]);
    std::fs::write(folder.path().join("ordain.toml"), "[queues.Shipping]\npaused = true\n").unwrap();
    refused(folder.path(), &[], &[], &["queues.Shipping", "ordain.toml"]);
    std::fs::write(folder.path().join("ordain.toml"), "[queues.invoices]\npaused = true\n").unwrap();
    assert_eq!(shown(folder.path(), &[], &[])["queues"]["invoices"]["paused"], true);
}

#[test]
fn a_password_in_a_url_of_an_activity_or_the_portal_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let allow = ("ORDAIN_OUTSIDE__ALLOW", "other.example");
    for name in ["ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "ORDAIN_PORTAL__URL"] {
        for env in
            [vec![(name, "https://me:hunter2@pay.example/x")], vec![(name, "https://me:hunter2@pay.example/x"), allow]]
        {
            let said = refused(folder.path(), &env, &[], &[name, "credentials are sent in headers"]);
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

#[test]
fn activities_go_only_where_the_list_allows() {
    let folder = tempfile::tempdir().unwrap();
    let url = ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "http://169.254.169.254/latest");
    let allow = ("ORDAIN_OUTSIDE__ALLOW", "pay.example:443, carrier.example");
    refused(folder.path(), &[url, allow], &[], &["activities.charge_payment.url", "outside.allow", url.0]);
    refused(folder.path(), &[("ORDAIN_OUTSIDE__ALLOW", "http://a")], &[], &["outside.allow", "HOST:PORT"]);
    let listed = ("ORDAIN_ACTIVITIES__CHARGE_PAYMENT__URL", "https://pay.example/charge");
    assert_eq!(shown(folder.path(), &[listed, allow], &[])["outside"]["allow"][1], "carrier.example");
    shown(folder.path(), &[url], &[]);
}
