//! What the fuzzer calls, and what the tests call with everything the fuzzer ever found. See fuzz/README.md.

use jiff::Timestamp;

/// A parser under the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All there are.
pub const TARGETS: &[Target] = &[("bundle", bundle)];

/// A log or a bundle of any kind, up to the diagnosis.
pub fn bundle(bytes: &[u8]) {
    let (nodes, problems) = crate::analyze::of_bytes("bundle.tar.gz", bytes, Timestamp::UNIX_EPOCH);
    assert!(nodes.len() <= 256 && problems.len() <= 32);
}
