//! The command line, run to its end.

use std::path::Path;
use std::process::{Command, Output};

/// `ordain` in a folder, with these variables and no others.
pub fn ordain(folder: &Path, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.env_clear().current_dir(folder).args(args).envs(env.iter().copied());
    command.output().unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
