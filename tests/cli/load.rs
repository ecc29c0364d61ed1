//! `ordain load`: it runs its orders against a server it starts itself, and believes SQL, not the server.

use assert_cmd::Command;

fn load(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("ordain").unwrap();
    // Nothing of the environment of the test takes part.
    let output =
        command.env_clear().arg("load").args(arguments).timeout(std::time::Duration::from_secs(120)).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_run_ends_well_and_gives_its_report() {
    let (code, out, err) = load(&["--orders", "300", "--concurrency", "20"]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(out.contains("300 of 300 orders ended") && out.contains("no breach"), "{out}");
}

#[test]
fn a_report_for_scripts_is_json() {
    let (code, out, err) = load(&["--orders", "100", "--concurrency", "10", "-o", "json"]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["completed"], 100);
    assert_eq!(report["check"]["orders"], 100);
    assert!(report["completion_ms"]["p99"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_server_that_is_not_there_is_exit_3() {
    let (code, _, err) = load(&["--orders", "1", "--url", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(3), "{err}");
}

#[test]
fn a_mix_with_kills_keeps_its_promises_and_draws_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ordain"))
        .env_clear()
        .args(["load", "-n", "600", "-c", "60", "--rate", "200", "--mix", "auto=60,manual=20,cancel=20"])
        .args(["--kill-every", "800ms", "-o", "json", "--report"])
        .arg(&page)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["ok"], &report["accepted"], &report["ended"]), (&true.into(), &600.into(), &600.into()));
    assert_eq!(report["check"]["breaches"], 0);
    // 200 a second arrive: it cannot be over before the last has.
    assert!(report["seconds"].as_f64().unwrap() > 2.9, "{said}");
    assert!(!report["series"]["restarts"].as_array().unwrap().is_empty());
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("kills with -9") && !page.contains("<script"));
}
