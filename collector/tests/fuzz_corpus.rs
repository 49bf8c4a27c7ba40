//! Everything that the fuzzer ever learned or broke, as ordinary tests.

#[path = "../../fuzz/corpus.rs"]
mod corpus;

use nodewhy_collector::fuzz::TARGETS;

#[test]
fn no_input_of_the_fuzzers_breaks_a_parser() {
    corpus::no_input_breaks_a_parser(TARGETS);
}

#[test]
fn every_cut_of_every_input_is_taken_too() {
    corpus::every_cut_is_taken_too(TARGETS);
}
