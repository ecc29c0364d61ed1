//! `promtool`, where it is installed (Debian: package `prometheus`).

use std::io::Write as _;
use std::process::{Command, Stdio};

/// What it says of a text given to it: whether it is content, and its words. `None`, with a word on standard error,
/// where it is not installed.
pub fn promtool(args: &[&str], input: &str) -> Option<(bool, String)> {
    let started =
        Command::new("promtool").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: promtool cannot be run ({error}); on Debian: apt-get install prometheus");
            return None;
        }
    };
    // One that reads no input ends before it is written.
    let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let words = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Some((done.status.success(), words))
}
