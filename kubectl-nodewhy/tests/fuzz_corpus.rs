//! Everything that the fuzzer ever learned or broke, as ordinary tests.

use std::path::Path;

use kubectl_nodewhy::fuzz::TARGETS;

#[test]
fn no_input_of_the_fuzzers_breaks_a_parser() {
    for (name, target) in TARGETS {
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

#[test]
fn every_cut_of_every_input_is_taken_too() {
    for (name, target) in TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        for entry in std::fs::read_dir(dir).expect("a corpus") {
            let bytes = std::fs::read(entry.expect("a listed file").path()).expect("a file");
            let step = (bytes.len() / 64).max(1);
            (0..bytes.len()).step_by(step).for_each(|end| target(&bytes[..end]));
        }
    }
}
