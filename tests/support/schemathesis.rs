//! `schemathesis`, which makes requests out of an OpenAPI document: found, or installed by `.ci/tools`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where it is: `SCHEMATHESIS`, `PATH`, or its own folder under the target folder, which is filled where that can be
/// done. `None`, with a word on standard error, where not.
///
/// # Panics
/// Where it cannot be had and `SCHEMATHESIS_REQUIRED` is set.
pub fn schemathesis() -> Option<PathBuf> {
    let named = std::env::var_os("SCHEMATHESIS").map(PathBuf::from);
    let found = named.or_else(in_path).or_else(installed);
    if found.is_none() {
        assert!(std::env::var_os("SCHEMATHESIS_REQUIRED").is_none(), "schemathesis is required, and cannot be had");
        // Past the harness, which keeps what a passing test prints.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: a test with schemathesis, which cannot be installed");
    }
    found
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("schemathesis")).find(|file| file.is_file())
}

fn installed() -> Option<PathBuf> {
    // Cargo's folder for what tests write lies in the target folder.
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("tools");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/tools");
    let done = Command::new("timeout").arg("300").arg(script).arg(&tools).output().ok()?;
    if !done.status.success() {
        let _ = writeln!(std::io::stderr(), "\n.ci/tools: {}", String::from_utf8_lossy(&done.stderr));
        return None;
    }
    Some(tools.join("schemathesis/bin/schemathesis"))
}
