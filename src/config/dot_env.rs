//! The file `.env`, as name and value of each line. The environment of the process is left as it is.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::ConfigError;
use super::sources::is_ours;

/// All pairs of the file in its order; none where there is no file.
///
/// # Errors
/// [`ConfigError::File`] names the line that cannot be parsed, never what it says: that may be a secret.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::File(path.to_owned(), e.to_string()))?;
    parse(&text).map_err(|why| ConfigError::File(path.to_owned(), why))
}

pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = Rc::new(Cell::new(0_usize));
    let lines = Lines { left: text.as_bytes(), read: Rc::clone(&read) };
    dotenvy::Iter::new(lines).collect::<Result<_, _>>().map_err(|error| match error {
        dotenvy::Error::LineParse(said, _) => {
            // What it could not read may have many lines: the first of them is where a reader has to look.
            unparsed(text, read.get().saturating_sub(said.lines().count().max(1)))
        }
        dotenvy::Error::Io(e) => e.to_string(),
        _ => "it has no usable value".to_owned(),
    })
}

/// What is wrong with a line, `index` from 0. Only names that are ours are shown: anything else may be part of a value.
fn unparsed(text: &str, index: usize) -> String {
    let line = text.lines().nth(index).unwrap_or_default().trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let name = line.split_once('=').map(|(name, _)| name.trim()).filter(|name| is_ours(name));
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    format!("line {}{name} is not NAME=value; a value with spaces or special characters needs quotes", index + 1)
}

/// Gives a reader one line at a time, and tells how many it has taken.
struct Lines<'a> {
    left: &'a [u8],
    read: Rc<Cell<usize>>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.left.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let n = line.len().min(buffer.len());
        let (now, left) = self.left.split_at(n);
        buffer[..n].copy_from_slice(now);
        self.left = left;
        if n > 0 && n == line.len() {
            self.read.set(self.read.get() + 1);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_in_their_order() {
        let pairs = parse("\u{feff}A=1\r\n# note\nexport B='x y'\nC=\"1\n2\"\nA=2").unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("A", "1"), ("B", "x y"), ("C", "1\n2"), ("A", "2")]);
    }

    #[test]
    fn a_wrong_line_is_told_by_its_number_and_an_own_name_only() {
        let long = format!("A={}\nORDAIN_BIND=a b c", "x".repeat(20_000));
        for (text, begins) in [
            ("ORDAIN_BIND=a b c", "line 1 (ORDAIN_BIND) is"),
            (long.as_str(), "line 2 (ORDAIN_BIND) is"),
            ("\n\nSECRET=a b c\n", "line 3 is"),
            ("A=1\nB='x\ny\nz\n\n", "line 2 is"),
            ("JBSW Y3DP=", "line 1 is"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(begins), "{text:?}: {said}");
        }
    }
}
