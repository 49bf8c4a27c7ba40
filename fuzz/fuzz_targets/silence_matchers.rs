#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nodewhy_collector::fuzz::silence_matchers(bytes));
