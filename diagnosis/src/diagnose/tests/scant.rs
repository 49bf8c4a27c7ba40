//! What a saved log holds too seldom to be certain.

use super::*;
use crate::model::Severity;

const REFUSED: &str = "signs: [{log: {from: [kubelet], match: refused, count: 3, within: 1m, quiet_for: 2m, examples: [refused]}}]";

fn saved(files: &[(String, String)]) -> Lab {
    Lab { mode: Mode::Saved, ..Lab::new(files) }
}

#[test]
fn a_single_sighting_in_a_short_log_is_told_with_the_doubt_and_never_as_critical() {
    let mut lab = saved(&[file("it", REFUSED)]);
    lab.hear(0.0, "it", 0, "refused");
    let outcome = lab.look(1.0);
    let [cause] = outcome.diagnosis.causes.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((cause.code.as_str(), cause.severity, cause.root), ("it", Severity::Warning, true));
    assert_eq!(cause.title, "Perhaps: Title of it");
    assert_eq!(cause.message, "it is so (seen once in this log; 3 times within 1m would be certain)");
    assert_eq!(outcome.diagnosis.verdict, Verdict::Degraded);
}

#[test]
fn what_the_log_goes_on_without_is_worth_knowing_and_no_more() {
    let mut lab = saved(&[file("it", REFUSED)]);
    lab.hear(0.0, "it", 0, "refused");
    lab.hear(1.0, "it", 0, "refused");
    let outcome = lab.look(3601.0);
    let cause = &outcome.diagnosis.causes[0];
    assert_eq!((cause.severity, outcome.diagnosis.verdict), (Severity::Info, Verdict::Healthy));
    assert_eq!(cause.message, "it is so (seen 2 times, and not in the last 1h of this log: it may have passed)");
}

#[test]
fn beside_something_certain_only_what_explains_it_is_told() {
    let lone = "signs: [{log: {from: [kubelet], match: ended, quiet_for: 2m, examples: [ended]}}]";
    let root = format!("{REFUSED}\nexplains: [end, more]");
    let mere = format!("{REFUSED}\nexplains: [end]");
    let files = [file("root", &root), file("mere", &mere), file("other", REFUSED), file("end", lone), file("more", lone)];
    let mut lab = saved(&files);
    lab.hear(0.0, "end", 0, "ended");
    for code in ["root", "mere", "other"] {
        lab.hear(0.0, code, 0, "refused");
    }
    let outcome = lab.look(1.0);
    assert_eq!((codes(&outcome, true), codes(&outcome, false)), (vec!["root"], vec!["end"]));
}

#[test]
fn on_a_live_node_too_few_are_nothing() {
    for mode in [Mode::Live, Mode::Once] {
        let mut lab = Lab { mode, ..Lab::new(&[file("it", REFUSED)]) };
        lab.hear(0.0, "it", 0, "refused");
        assert_eq!(lab.look(1.0).diagnosis.causes, []);
    }
}
