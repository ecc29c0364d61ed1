//! A power cut at any moment: what was acknowledged is there, and of what was not, whole batches or nothing.
//!
//! What survives a power cut is what was synced. A journal that has acknowledged a batch must have synced the log up to
//! its end; from there on, the disk may hold any part of what was written. So the files are copied after each batch and
//! each checkpoint, and between two such moments cuts are made of them, which must open to the one or the other.
//!
//! Cuts: `ORDAIN_TEST_CUTS` (90). Seed: `ORDAIN_TEST_SEED` (1).

mod cut;
#[path = "../store/maker.rs"]
mod maker;
mod orders;
mod paused;
#[path = "../support/mod.rs"]
mod support;
mod syncs;
mod wal;

use std::fs;
use std::path::{Path, PathBuf};

use cut::{Cut, Files, in_checkpoint, in_commit};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use ordain::model::{Key, OrderId};
use ordain::store::{self, Location, Store, Verdict};
use ordain::{verify, workflows};
use orders::{Known, Orders};
use support::crowd::setting;
use support::faults::Dice;

const BATCHES: usize = 20;

/// A moment at which everything is acknowledged.
struct Moment {
    files: Files,
    known: Known,
    /// Where what led to it was a checkpoint, no batch.
    is_checkpoint: bool,
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn files(path: &Path) -> Files {
    Files { database: fs::read(path).unwrap(), log: fs::read(with(path, "-wal")).unwrap_or_default() }
}

fn open(path: &Path) -> Store {
    store::open(&Location::Sqlite(path.to_owned()), 1).unwrap()
}

fn append(store: &mut Store, orders: &mut Orders, dice: &mut Dice) {
    let units = orders.batch(dice);
    let verdicts = store.journal.append(&units).unwrap();
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Stored), "{verdicts:?}");
}

/// Batches and checkpoints of a store at work, the files as they were after each.
fn moments(dice: &mut Dice) -> Vec<Moment> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ordain.db");
    let mut store = open(&path);
    let mut orders = Orders::new(store.next_key);
    let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    let mut moments = vec![Moment { files: files(&path), known: Known::new(), is_checkpoint: true }];
    for _ in 0..BATCHES {
        if dice.below(4) == 0 {
            let how = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][dice.below(4) as usize];
            other.batch_execute(&format!("PRAGMA wal_checkpoint({how})")).unwrap();
            moments.push(Moment { files: files(&path), known: orders.known.clone(), is_checkpoint: true });
        }
        append(&mut store, &mut orders, dice);
        moments.push(Moment { files: files(&path), known: orders.known.clone(), is_checkpoint: false });
    }
    moments
}

#[derive(QueryableByName)]
struct Sound {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Opens what is left, as the next start does, and says what it knows; it must be sound, and take more.
fn opened(files: &Files, dice: &mut Dice) -> Known {
    opened_with(files, &[], dice)
}

/// The same, and these orders must be there.
fn opened_with(files: &Files, orders: &[String], dice: &mut Dice) -> Known {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ordain.db");
    fs::write(&path, &files.database).unwrap();
    fs::write(with(&path, "-wal"), &files.log).unwrap();
    // The index of the log is never synced: it is gone, or holds anything.
    match dice.below(3) {
        0 => fs::write(with(&path, "-shm"), vec![0; 32_768]).unwrap(),
        1 => fs::write(with(&path, "-shm"), vec![0xa5; 32_768]).unwrap(),
        _ => {}
    }
    let mut store = open(&path);
    let known = known(&store);
    for order in orders {
        let id = OrderId::parse(order).unwrap().workflow();
        assert!(store.queries.workflow(&id).unwrap().is_some(), "{order} was acknowledged");
    }
    let mut sql = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    let sound = diesel::sql_query("PRAGMA integrity_check").load::<Sound>(&mut sql).unwrap();
    assert_eq!(sound.iter().map(|row| row.integrity_check.as_str()).collect::<Vec<_>>(), ["ok"]);
    drop(sql);
    let mut more = Orders::new(store.next_key);
    append(&mut store, &mut more, dice);
    drop(store);
    let again = self::known(&open(&path));
    assert!(more.known.iter().all(|(key, seq)| again.get(key) == Some(seq)), "what came after is lost");
    known
}

fn known(store: &Store) -> Known {
    let report = verify::verify(store.queries.as_ref(), &workflows::registry()).unwrap();
    assert!(report.is_clean(), "{:?}", report.listed);
    let all = store.queries.scan(Key(0), 100_000).unwrap();
    all.into_iter().map(|workflow| (workflow.key, workflow.seq)).collect()
}

#[test]
fn after_a_power_cut_at_any_moment_all_that_was_acknowledged_is_there_and_nothing_by_halves() {
    let (mut left, seed) = (setting("ORDAIN_TEST_CUTS", 90), setting("ORDAIN_TEST_SEED", 1));
    let (mut commits, mut checkpoints) = (0, 0);
    for seed in seed.. {
        let mut dice = Dice::new(seed << 32);
        let moments = moments(&mut dice);
        for pair in moments.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            for _ in 0..2 {
                let Cut { files, is_later, story } = if after.is_checkpoint {
                    checkpoints += 1;
                    in_checkpoint(&before.files, &after.files, &mut dice)
                } else {
                    commits += 1;
                    in_commit(&before.files, &after.files, &mut dice)
                };
                let expected = if is_later { &after.known } else { &before.known };
                assert_eq!(opened(&files, &mut dice), *expected, "ORDAIN_TEST_SEED={seed}: {story}");
                left = left.saturating_sub(1);
            }
        }
        if left == 0 {
            break;
        }
    }
    assert!(commits > 0 && checkpoints > 0);
    println!("{commits} cuts in commits, {checkpoints} in checkpoints");
}

/// Whatever is cut off, even of what was synced: there is a whole number of batches, from the first on.
#[test]
fn a_log_that_is_cut_anywhere_opens_to_some_moment_before() {
    let mut dice = Dice::new(setting("ORDAIN_TEST_SEED", 1) << 33);
    let moments = moments(&mut dice);
    let whole = moments.last().unwrap();
    for _ in 0..20 {
        let mut files = whole.files.clone();
        files.log.truncate(dice.below(files.log.len() as u64 + 1) as usize);
        let known = opened(&files, &mut dice);
        assert!(moments.iter().any(|moment| moment.known == known), "{known:?}");
    }
}

/// The very first start: nothing is acknowledged yet, and the next start makes the database.
#[test]
fn a_first_start_that_is_cut_off_is_made_good_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ordain.db");
    let store = open(&path);
    let whole = files(&path);
    drop(store);
    let mut dice = Dice::new(setting("ORDAIN_TEST_SEED", 1));
    for _ in 0..25 {
        let at = dice.below(whole.log.len() as u64 + 1) as usize;
        let files = Files { database: whole.database.clone(), log: whole.log[..at].to_vec() };
        assert_eq!(opened(&files, &mut dice), Known::new(), "{at} bytes of the log");
    }
}
