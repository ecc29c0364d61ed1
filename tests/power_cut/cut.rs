//! What a disk may hold after a power cut, made out of two moments before it: everything that was synced by the first is
//! there; of what was written since, any part.

use super::support::faults::Dice;
use super::wal::{Committed, committed};

/// The files at a moment, as any process reads them.
#[derive(Debug, Clone, Default)]
pub struct Files {
    pub database: Vec<u8>,
    pub log: Vec<u8>,
}

/// A power cut between two moments.
pub struct Cut {
    pub files: Files,
    /// It has what was acknowledged at the second moment; otherwise at the first, and nothing more.
    pub is_later: bool,
    pub story: String,
}

fn noise(dice: &mut Dice, length: usize) -> Vec<u8> {
    (0..length).map(|_| dice.below(256) as u8).collect()
}

/// In the middle of a commit: of its frames, some begin is there, and behind it anything.
pub fn in_commit(before: &Files, after: &Files, dice: &mut Dice) -> Cut {
    let (old, new) = (committed(&before.log), committed(&after.log));
    // Where the log began anew, everything before is in the database, and was synced there first.
    let synced = if is_same_log(&before.log, &after.log) { old.end } else { 0 };
    // At the end of a frame as often as anywhere.
    let mut at = synced + dice.below((new.end - synced) as u64 + 1) as usize;
    if dice.below(2) == 0 {
        let frame = new.page_size + 24;
        at -= at.saturating_sub(32) % frame;
        at = at.max(synced);
    }
    let mut log = after.log[..at].to_vec();
    let rest = new.end - at;
    let tail = match dice.below(5) {
        0 => "nothing",
        1 => {
            log.extend(vec![0; rest]);
            "zeroes"
        }
        2 => {
            let length = dice.below(rest as u64 + 5_000) as usize;
            log.extend(noise(dice, length));
            "noise"
        }
        3 => {
            log.extend(before.log.get(at..).unwrap_or_default());
            "what had been there"
        }
        // The later pages reached the disk, and an earlier one did not.
        _ => {
            let hole = rest.min(1 + dice.below(4_096) as usize);
            log.extend(vec![0xff; hole]);
            log.extend(&after.log[at + hole..new.end]);
            "a hole, and the rest"
        }
    };
    let story = format!("the log: {synced} bytes synced, {at} of {} written, then {tail}", new.end);
    let database = after.database.clone();
    Cut { files: Files { database, log }, is_later: at == new.end, story }
}

/// In the middle of copying the log back: each of its pages in the database is old, new, torn, or noise.
pub fn in_checkpoint(before: &Files, after: &Files, dice: &mut Dice) -> Cut {
    let Committed { pages, page_size, .. } = committed(&before.log);
    let mut database = after.database.clone();
    database.resize(database.len().max(before.database.len()), 0);
    let (mut torn, mut lost) = (0, 0);
    for (n, page) in database.chunks_mut(page_size).enumerate() {
        let from = n * page_size;
        let old = before.database.get(from..from + page_size);
        if !pages.contains(&(n as u32 + 1)) {
            assert_eq!(Some(&*page), old, "page {} is neither in the log nor as it was", n + 1);
            continue;
        }
        match dice.below(4) {
            0 => {}
            // The first page says what the file is, and its sectors are whole: only the rest of it is torn.
            1 if n > 0 => {
                lost += 1;
                page.copy_from_slice(&noise(dice, page_size));
            }
            2 => {
                torn += 1;
                let half = 512 * (1 + dice.below(page_size as u64 / 512 - 1) as usize);
                let new = page[..half].to_vec();
                page.copy_from_slice(old.unwrap_or(&vec![0; page_size]));
                page[..half].copy_from_slice(&new);
            }
            _ => page.copy_from_slice(old.unwrap_or(&vec![0; page_size])),
        }
    }
    let story = format!("{} pages on their way back, {torn} torn, {lost} lost", pages.len());
    Cut { files: Files { database, log: before.log.clone() }, is_later: false, story }
}

fn is_same_log(a: &[u8], b: &[u8]) -> bool {
    a.len() >= 32 && b.len() >= 32 && a[..32] == b[..32]
}
