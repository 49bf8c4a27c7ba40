#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nodewhy_agent::host::tunnel::fuzz_answer(bytes));
