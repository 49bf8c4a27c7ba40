#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nodewhy_agent::spool::fuzz_segment(bytes));
