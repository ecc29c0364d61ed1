#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ordain::fuzzing::http_json(data));
