//! Everything that the fuzzer ever learned or broke, for the ordinary tests of the crates whose parsers it is about (their
//! `tests/fuzz_corpus.rs`).
#![allow(clippy::disallowed_methods, reason = "the repository's own files, not a node's")]

use std::path::Path;

/// A parser under the name of its corpus.
type Target = (&'static str, fn(&[u8]));

pub(crate) fn no_input_breaks_a_parser(targets: &[Target]) {
    for (name, target) in targets {
        let inputs = ["corpus", "crashes"].map(|kind| Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(kind).join(name));
        let mut count = 0;
        for entry in inputs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten() {
            let path = entry.expect("a listed file").path();
            let bytes = std::fs::read(&path).expect("a file");
            // The name of what breaks, before the panic's own words.
            let whole = std::panic::catch_unwind(|| target(&bytes));
            assert!(whole.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus in fuzz/corpus");
    }
}

pub(crate) fn every_cut_is_taken_too(targets: &[Target]) {
    for (name, target) in targets {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        for entry in std::fs::read_dir(dir).expect("a corpus") {
            let bytes = std::fs::read(entry.expect("a listed file").path()).expect("a file");
            let step = (bytes.len() / 64).max(1);
            (0..bytes.len()).step_by(step).for_each(|end| target(&bytes[..end]));
        }
    }
}
