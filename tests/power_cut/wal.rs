//! SQLite's write-ahead log as it lies on disk (https://www.sqlite.org/fileformat2.html#walformat): how much of it is
//! committed, and which pages that covers.

use std::collections::BTreeSet;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What a log holds for certain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The end of its last whole transaction; whatever follows is of nobody, or of a log before this one.
    pub end: usize,
    /// The pages that are read from it and not from the database.
    pub pages: BTreeSet<u32>,
    pub page_size: usize,
}

/// Reads a log that nobody has damaged, so that the salts alone tell its frames from older ones.
pub fn committed(log: &[u8]) -> Committed {
    let mut found = Committed::default();
    if log.len() < HEADER {
        return found;
    }
    found.page_size = number(log, 8) as usize;
    found.end = HEADER;
    let salts = &log[16..24];
    let mut since = BTreeSet::new();
    let mut at = HEADER;
    let size = FRAME_HEADER + found.page_size;
    while at + size <= log.len() && &log[at + 8..at + 16] == salts {
        since.insert(number(log, at));
        let commits = number(log, at + 4) > 0;
        at += size;
        if commits {
            found.end = at;
            found.pages.append(&mut since);
        }
    }
    found
}
