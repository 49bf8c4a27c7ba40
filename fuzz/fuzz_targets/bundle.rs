#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubectl_nodewhy::fuzz::bundle(bytes));
