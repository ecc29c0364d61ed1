//! What operators are handed: alerts, dashboard, container and unit files, and pages that name files. None of it may
//! speak of what is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::support::promtool::promtool;
use super::support::server::Server;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Words in a text that begin so.
fn words<'t>(text: &'t str, prefixes: &[&str]) -> BTreeSet<&'t str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| prefixes.iter().any(|p| word.starts_with(p) && word.len() > p.len())).collect()
}

#[test]
fn alerts_hold_in_their_tests() {
    let alerts = root().join("ops/prometheus-alerts.yaml");
    let tests = root().join("ops/prometheus-alerts.test.yaml");
    for args in [["check", "rules", alerts.to_str().unwrap()], ["test", "rules", tests.to_str().unwrap()]] {
        let Some((content, words)) = promtool(&args, "") else { return };
        assert!(content, "{args:?}: {words}");
    }
}

#[test]
fn every_alert_has_a_test_and_a_word_of_advice() {
    let (alerts, tests, advice) =
        (read("ops/prometheus-alerts.yaml"), read("ops/prometheus-alerts.test.yaml"), read("docs/operations.md"));
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 8);
    for name in names {
        // Once where all is well, and once with what it says.
        assert!(tests.matches(name).count() >= 2, "{name} is not tested");
        assert!(advice.contains(&format!("| {name} |")), "{name} is not in docs/operations.md");
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_are_there() {
    let server = Server::start(&[], Vec::new());
    assert_eq!(server.post("/orders/o-1/start", Some(&json!({"review_seconds": 0}))).status, 202);
    assert_eq!(server.get("/orders/o-1/status?wait=20").json()["state"], "completed");
    let metrics = server.get("/metrics").text();
    let known = words(&metrics, &["ordain_", "process_"]);
    let dashboard = read("ops/grafana-dashboard.json");
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() > 20);
    for (file, text) in [("dashboard", dashboard), ("alerts", read("ops/prometheus-alerts.yaml"))] {
        for name in words(&text, &["ordain_", "process_"]) {
            assert!(known.contains(name), "the {file} asks for {name}");
        }
    }
}

#[test]
fn the_container_is_not_root_has_one_volume_and_looks_after_itself() {
    let dockerfile = read("Dockerfile");
    let all = |word: &str| dockerfile.lines().filter_map(|l| l.strip_prefix(word)).map(str::trim).collect::<Vec<_>>();
    assert_eq!(all("FROM ").len(), 2, "what builds is not what runs");
    let user = all("USER ")[0].split(':').next().unwrap().parse::<u32>();
    assert!(user.is_ok_and(|id| id > 0), "a number other than 0");
    assert_eq!(all("VOLUME ").len(), 1);
    assert!(all("HEALTHCHECK ")[0].contains(r#"["ordain", "health"]"#));
    assert!(read("compose.yaml").contains("127.0.0.1:8000:8000"), "published on loopback only");
}

#[test]
fn every_file_and_page_that_is_named_is_there() {
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let page = Path::new("docs").join(entry.unwrap().file_name());
        pages.extend(page.extension().is_some_and(|extension| extension == "md").then_some(page));
    }
    assert!(pages.len() >= 8);
    for page in pages {
        let text = read(page.to_str().unwrap());
        // `tests/crash.rs`, `ops/ordain.service`: from the root.
        for quoted in text.split('`').skip(1).step_by(2) {
            let of_ours =
                ["tests/", "src/", "ops/", "docs/", "benches/", "migrations/"].iter().any(|p| quoted.starts_with(p));
            if of_ours && !quoted.contains(['{', '*', ' ']) {
                assert!(root().join(quoted).exists(), "{} names {quoted}", page.display());
            }
        }
        // [words](page.md#there): beside the page.
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap().split('#').next().unwrap();
            if !link.is_empty() && !link.contains("://") {
                assert!(root().join(&page).parent().unwrap().join(link).exists(), "{} links to {link}", page.display());
            }
        }
    }
}
