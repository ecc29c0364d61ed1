//! The API against its own description: schemathesis makes requests out of `/openapi.json`, valid ones and such as are
//! wrong in every way it knows, and sends them to a real server.
//!
//! What it judges: no 5xx; statuses, types, headers and bodies of answers as the document says; what is valid is taken, what is
//! not is refused; methods that are not there are 405 with `Allow`; no answer without a key or with a wrong one; what was
//! deleted is gone. `tests/hostile/schemathesis.toml` says what is left out, and why.
//!
//! The long form: `HOSTILE_EXAMPLES=500 HOSTILE_SEED=7 cargo test --test hostile_api`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::support::keys::{ADMIN, ask};
use super::support::schemathesis::schemathesis;
use super::support::server::Server;

/// Of each operation, where nothing else is asked for.
const EXAMPLES: &str = "12";
const SEED: &str = "1";

#[test]
fn what_the_document_says_holds_for_valid_and_for_hostile_requests() {
    let Some(tool) = schemathesis() else { return };
    let key = ("ORDAIN_ADMIN_KEY".to_owned(), ADMIN.to_owned());
    let server = Server::start(&["--review-seconds", "0", "--log-level", "error"], vec![key]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let asked = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let run = Command::new(tool)
        .current_dir(server.folder())
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--no-color", "--config-file"])
        .arg(folder.join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.url()), "--header", &format!("Authorization: Bearer {ADMIN}")])
        .args(["--max-examples", &asked("HOSTILE_EXAMPLES", EXAMPLES), "--seed", &asked("HOSTILE_SEED", SEED)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let summary = said.rsplit_once(" SUMMARY ").map_or(said.as_str(), |(_, summary)| summary);
    // Past the harness: how much was tried is worth knowing.
    let _ = writeln!(std::io::stderr(), "schemathesis: {}", summary.trim_matches(['=', '\n', ' ']));
    assert!(run.status.success(), "{said}\n{}\n{}", String::from_utf8_lossy(&run.stderr), server.log());
    // It has tried what it is to try, and nothing was passed over but the stream and, by itself, the document.
    let document = server.get("/openapi.json").json();
    let operations: usize = document["paths"].as_object().unwrap().values().map(|p| p.as_object().unwrap().len()).sum();
    assert!(said.contains(&format!("{} selected / {} total", operations - 2, operations - 1)), "{said}");
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(summary.contains(&format!("✅ {phase}")), "{summary}");
    }
    assert_eq!(server.get("/readyz").status, 200);
    let metrics = String::from_utf8(ask(&server, Some(ADMIN), "GET", "/metrics", None).body).unwrap();
    let failed: Vec<&str> = metrics.lines().filter(|line| line.contains("status=\"5xx\"")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(!server.whole_log().contains("panicked"), "{}", server.log());
    assert!(server.verify().status.success());
}
