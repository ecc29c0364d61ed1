//! The fuzz targets (`src/fuzzing.rs`) in the ordinary test command: on arbitrary bytes, and on valid inputs with a few
//! changes, which get further. `PROPTEST_CASES=100000 cargo test --test fuzz_properties` looks longer;
//! `fuzz/` has the same under libFuzzer.

use std::path::Path;

use ordain::fuzzing;
use proptest::prelude::*;
use proptest::sample::Index;

/// One change of an input: a byte, a cut, or a piece of it once more.
#[derive(Debug, Clone)]
enum Change {
    Byte(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, usize),
    Repeat(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    // What means something to parsers, rather than any byte.
    let words = [
        "\"", "{", "}", "[", "]", ",", ":", "\\u0000", "\\ud800", "-", "1e999", "0", "9", "null", "\n", "=", "\u{feff}",
    ];
    let word = proptest::sample::select(words.map(|word| word.as_bytes().to_vec()).to_vec());
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), word).prop_map(|(at, word)| Change::Insert(at, word)),
        (any::<Index>(), 1..64_usize).prop_map(|(at, many)| Change::Cut(at, many)),
        (any::<Index>(), any::<Index>(), 1..64_usize).prop_map(|(from, to, many)| Change::Repeat(from, to, many)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let size = bytes.len();
        match change {
            Change::Byte(at, byte) => bytes[at.index(size)] = *byte,
            Change::Insert(at, word) => {
                let at = at.index(size);
                bytes.splice(at..at, word.iter().copied());
            }
            Change::Cut(at, many) => {
                let at = at.index(size);
                bytes.drain(at..(at + many).min(size));
            }
            Change::Repeat(from, to, many) => {
                let from = from.index(size);
                let piece = bytes[from..(from + many).min(size)].to_vec();
                let to = to.index(size);
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn try_out(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| target(seed));
    let near = (proptest::sample::select(seeds.to_vec()), proptest::collection::vec(change(), 1..6));
    let near = near.prop_map(|(seed, changes)| changed(seed, &changes));
    let any = proptest::collection::vec(any::<u8>(), 0..256);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bytes in prop_oneof![4 => near, 1 => any])| target(&bytes));
}

#[test]
fn bodies_of_starts_and_signals_are_read_or_refused() {
    try_out(fuzzing::start_body, &seeds("fuzz/seeds/start_body"));
}

#[test]
fn strict_json_agrees_with_an_ordinary_parser_but_for_what_it_refuses_on_purpose() {
    try_out(fuzzing::http_json, &seeds("fuzz/seeds/http_json"));
}

#[test]
fn stored_histories_are_folded_or_refused() {
    try_out(fuzzing::history, &seeds("tests/golden/histories"));
}

#[test]
fn configurations_are_used_or_refused() {
    try_out(fuzzing::config, &seeds("fuzz/seeds/config"));
}
