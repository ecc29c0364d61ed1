//! All that the commands print goes through here: a pipe that was closed ends a command quietly, it does not panic.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use super::CliError;

/// Prints a line.
///
/// # Errors
/// [`CliError::NobodyReads`] where the pipe is closed, [`CliError::Refused`] where it cannot be written otherwise.
pub fn line(text: impl Display) -> Result<(), CliError> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes as they are.
///
/// # Errors
/// As [`line`].
pub fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => CliError::NobodyReads,
        _ => CliError::Refused(format!("standard output cannot be written: {error}")),
    })
}

/// Says something beside what is printed; where nobody can be told, it is not said.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "ordain: {text}");
}
