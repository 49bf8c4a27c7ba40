use super::*;

const ENDS: &str = "signs: [{log: {from: [kubelet], match: 'no luck', ends: 'kubelet.unit.running_for > duration(\"60s\")'}}]";
const QUIET: &str = "signs: [{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]";
const BOTH: &str = "signs: [{fact: disk.read_only}, {log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]\nabsent: '!disk.read_only'";

fn heard(lines: &str) -> Lab {
    let mut lab = Lab::of(lines);
    lab.hear(10.0, "it", lines.matches("fact: ").count(), "no luck");
    assert_eq!(changes(&lab.look(11.0)), ["opened it"]);
    lab
}

fn reason(outcome: &Outcome) -> &str {
    assert_eq!(changes(outcome), ["closed it"]);
    &outcome.transitions[0].reason
}

#[test]
fn a_sighting_ends_by_its_rule_and_time_alone_is_enough() {
    let mut lab = heard(ENDS);
    lab.set(20.0, KUBELET_UNIT_RUNNING, true);
    lab.set(20.0, KUBELET_UNIT_STARTED_AT, at(20.0));
    let waiting = lab.look(21.0);
    assert_eq!((changes(&waiting), waiting.wake_at), (vec![], after(80.000_001)));
    let closed = lab.look(80.000_001);
    assert_eq!(reason(&closed), "ends: kubelet.unit.running_for > duration(\"60s\")");
    assert_eq!((closed.diagnosis.verdict, closed.wake_at), (Verdict::Healthy, None));
}

#[test]
fn what_was_read_before_the_last_sighting_ends_nothing() {
    let ends = "signs: [{log: {from: [kubelet], match: 'no luck', ends: 'kubelet.healthz.state == \"ok\"'}}]";
    let mut lab = heard(ends);
    for (read, closes) in [(9.0, false), (10.0, false), (10.000_001, true)] {
        lab.set(read, KUBELET_HEALTHZ_STATE, "ok".to_owned());
        assert_eq!(!changes(&lab.look(12.0)).is_empty(), closes, "read at {read}");
    }
}

#[test]
fn a_sighting_after_the_reading_keeps_the_case_open() {
    let mut lab = heard("signs: [{log: {from: [kubelet], match: 'no luck', ends: 'kubelet.healthz.state == \"ok\"'}}]");
    lab.set(12.0, KUBELET_HEALTHZ_STATE, "ok".to_owned());
    lab.hear(13.0, "it", 0, "no luck");
    assert_eq!(changes(&lab.look(13.5)), Vec::<String>::new());
    lab.set(14.0, KUBELET_HEALTHZ_STATE, "ok".to_owned());
    assert_eq!(changes(&lab.look(14.0)), ["closed it"]);
}

#[test]
fn one_side_that_was_read_since_is_enough_where_it_decides_alone() {
    let ends = "signs: [{log: {from: [kubelet], match: 'no luck', ends: 'kubelet.healthz.state == \"ok\" || kubelet.unit.running'}}]";
    let mut lab = Lab::of(ends);
    lab.set(5.0, KUBELET_UNIT_RUNNING, false);
    lab.hear(10.0, "it", 0, "no luck");
    lab.look(11.0);
    lab.set(12.0, KUBELET_HEALTHZ_STATE, "ok".to_owned());
    assert_eq!(changes(&lab.look(12.0)), ["closed it"]);
}

#[test]
fn ends_may_speak_of_the_sighting() {
    let mut lab =
        Lab::of("signs: [{log: {from: [kubelet], match: 'x', ends: 'kubelet.unit.name == captures.unit && sighting.count < 5'}}]");
    lab.hear_with(10.0, "it", 0, "x", &[("unit", "k3s.service")]);
    lab.set(11.0, KUBELET_UNIT_NAME, "kubelet.service".to_owned());
    assert_eq!(changes(&lab.look(11.0)), ["opened it"]);
    lab.set(12.0, KUBELET_UNIT_NAME, "k3s.service".to_owned());
    assert_eq!(changes(&lab.look(12.0)), ["closed it"]);
}

#[test]
fn a_log_is_quiet_only_when_it_was_read_that_far() {
    let mut lab = heard(QUIET);
    assert_eq!(lab.look(12.0).wake_at, after(610.0));
    lab.facts.set(LOGS_READ_UP_TO, at(650.0), at(609.0));
    let behind = lab.look_as_it_is(650.0);
    assert_eq!((changes(&behind), behind.wake_at), (vec![], None), "the log is not read that far");
    lab.miss(651.0, LOGS_READ_UP_TO, MissingKind::Failed);
    assert_eq!(changes(&lab.look_as_it_is(651.0)), Vec::<String>::new());
    assert_eq!(reason(&lab.look(652.0)), "quiet for 10m");
}

#[test]
fn each_sighting_begins_the_quiet_anew() {
    let mut lab = heard(QUIET);
    lab.hear(400.0, "it", 0, "no luck");
    assert_eq!(lab.look(401.0).wake_at, after(1000.0));
    assert_eq!(changes(&lab.look(999.0)), Vec::<String>::new());
    assert_eq!(changes(&lab.look(1000.0)), ["closed it"]);
}

#[test]
fn absent_ends_all_sightings_that_are_older() {
    let mut lab = heard(BOTH);
    lab.set(10.0, DISK_READ_ONLY, false);
    assert_eq!(changes(&lab.look(12.0)), Vec::<String>::new(), "read no later than the last sighting");
    lab.set(12.5, DISK_READ_ONLY, false);
    assert_eq!(reason(&lab.look(13.0)), "absent: !disk.read_only");
    assert_eq!(changes(&lab.look(14.0)), Vec::<String>::new());
}

#[test]
fn a_fact_sign_that_holds_wins_over_absent() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only}]\nabsent: 'disk.read_only || !disk.read_only'");
    lab.set(0.0, DISK_READ_ONLY, true);
    assert_eq!(changes(&lab.look(0.0)), ["opened it"]);
    assert_eq!(changes(&lab.look(1.0)), Vec::<String>::new());
    lab.set(2.0, DISK_READ_ONLY, false);
    assert_eq!(reason(&lab.look(2.0)), "absent: disk.read_only || !disk.read_only");
}

#[test]
fn sightings_that_are_over_before_the_first_look_open_nothing() {
    let mut lab = Lab::of(BOTH);
    lab.hear(-3600.0, "it", 1, "no luck");
    lab.set(0.0, DISK_READ_ONLY, false);
    let first = lab.look(1.0);
    assert_eq!((first.transitions, first.state), (vec![], State::default()));
}

#[test]
fn a_fact_sign_that_holds_no_more_closes_the_case() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only}]");
    lab.set(0.0, DISK_READ_ONLY, true);
    lab.look(0.0);
    lab.set(1.0, DISK_READ_ONLY, false);
    assert_eq!(reason(&lab.look(1.0)), "no sign holds any more");
}

#[test]
fn a_case_stays_open_while_one_cannot_look_and_stays_as_it_was_told() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only}]\nabsent: '!disk.read_only'\nmessage: 'read-only: {{disk.read_only}}'");
    lab.set(0.0, DISK_READ_ONLY, true);
    lab.look(0.0);
    for kind in [MissingKind::NotYet, MissingKind::Denied, MissingKind::Hung, MissingKind::Failed] {
        lab.miss(1.0, DISK_READ_ONLY, kind);
        let unknown = lab.look(100.0);
        assert_eq!((changes(&unknown), unknown.diagnosis.verdict), (vec![], Verdict::NotReady), "{kind:?}");
        assert_eq!(unknown.diagnosis.causes[0].message, "read-only: true");
        assert_eq!(unknown.diagnosis.unknown[0].what, "disk.read_only");
    }
    lab.set(200.0, DISK_READ_ONLY, false);
    let closed = lab.look(200.0);
    assert_eq!(reason(&closed), "absent: !disk.read_only");
    assert_eq!(closed.transitions[0].cause.message, "read-only: true", "a case closes as it stood last");
}

#[test]
fn a_fact_that_does_not_apply_any_more_closes_the_case() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only}]");
    lab.set(0.0, DISK_READ_ONLY, true);
    lab.look(0.0);
    lab.miss(1.0, DISK_READ_ONLY, MissingKind::NotApplicable);
    assert_eq!(changes(&lab.look(1.0)), ["closed it"]);
}

#[test]
fn a_pending_sign_keeps_an_open_case_open() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only, for: 30s}, {log: {from: [kubelet], match: 'no luck', quiet_for: 1m}}]");
    lab.set(0.0, DISK_READ_ONLY, false);
    lab.hear(0.0, "it", 1, "no luck");
    assert_eq!(changes(&lab.look(0.0)), ["opened it"]);
    lab.set(50.0, DISK_READ_ONLY, true);
    assert_eq!(changes(&lab.look(50.0)), Vec::<String>::new());
    assert_eq!(changes(&lab.look(70.0)), Vec::<String>::new(), "the log is quiet, the fact sign pending");
    assert_eq!(changes(&lab.look(80.0)), Vec::<String>::new(), "now the fact sign holds");
    assert_eq!(lab.look(80.0).diagnosis.causes[0].since, at(0.0));
}

#[test]
fn nothing_ends_in_a_saved_log() {
    let mut lab = Lab { mode: Mode::Saved, ..Lab::of(BOTH) };
    lab.hear(10.0, "it", 1, "no luck");
    lab.set(11.0, DISK_READ_ONLY, false);
    assert_eq!(changes(&lab.look(12.0)), ["opened it"]);
    let later = lab.look(50_000.0);
    assert_eq!((changes(&later), later.wake_at), (vec![], None));
}

#[test]
fn a_cause_that_is_removed_closes_its_case_and_says_so() {
    let mut lab = heard(QUIET);
    lab.catalogue = load(&[file("other", QUIET)]);
    let closed = lab.look(12.0);
    assert_eq!(reason(&closed), "rule removed from the catalogue");
    assert_eq!((closed.transitions[0].cause.title.as_str(), closed.diagnosis.causes.len()), ("Title of it", 0));
    assert_eq!(closed.transitions[0].cause.evidence[0].quote, "no luck");
}

#[test]
fn a_sign_that_is_removed_holds_no_longer_and_one_that_moved_still_does() {
    let other = "{log: {from: [kubelet], match: 'other', quiet_for: 1m}}";
    let same = "{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}";
    let mut lab = heard(QUIET);
    lab.catalogue = load(&[file("it", &format!("signs: [{other}, {same}]"))]);
    assert_eq!(changes(&lab.look(12.0)), Vec::<String>::new());
    lab.hear(13.0, "it", 1, "no luck");
    assert_eq!(lab.look(13.0).diagnosis.causes[0].evidence[0].count, 2);
    lab.catalogue = load(&[file("it", &format!("signs: [{other}]"))]);
    assert_eq!(reason(&lab.look(14.0)), "rule removed from the catalogue");
}

#[test]
fn a_cause_that_comes_back_gets_a_case_of_its_own() {
    let mut lab = Lab::of(BOTH);
    let mut ids = std::collections::BTreeSet::new();
    for round in 0..5 {
        // The same line again, as after a log that was read twice.
        lab.hear(10.0, "it", 1, "no luck");
        lab.miss(20.0, DISK_READ_ONLY, MissingKind::NotYet);
        let opened = lab.look(20.0 + f64::from(round));
        assert_eq!(changes(&opened), ["opened it"]);
        assert!(ids.insert(opened.transitions[0].case_id.clone()), "{ids:?}");
        lab.set(20.0, DISK_READ_ONLY, false);
        assert_eq!(changes(&lab.look(20.5 + f64::from(round))), ["closed it"]);
    }
}

const OVER_BY_WORD: &str =
    "signs: [{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]\nover: {from: [kubelet], match: 'all is well'}";

#[test]
fn a_line_that_says_so_ends_what_was_said_before_it_in_saved_logs_too() {
    for (mode, verdict) in [(Mode::Live, Verdict::Healthy), (Mode::Saved, Verdict::Healthy)] {
        let mut lab = Lab { mode, ..Lab::of(OVER_BY_WORD) };
        lab.hear(10.0, "it", 0, "no luck");
        lab.hear(11.0, "it", OVER, "all is well");
        assert_eq!(lab.look(12.0).diagnosis.verdict, verdict, "{mode:?}");
        lab.hear(13.0, "it", 0, "no luck");
        assert_eq!(lab.look(14.0).diagnosis.verdict, Verdict::NotReady, "{mode:?}: it is said again");
    }
}

#[test]
fn a_line_that_says_so_closes_an_open_case_and_nothing_that_was_said_after_it() {
    let mut lab = heard(OVER_BY_WORD);
    lab.hear(9.0, "it", OVER, "all is well");
    assert_eq!(changes(&lab.look(12.0)), Vec::<String>::new());
    lab.hear(13.0, "it", OVER, "all is well");
    assert_eq!(changes(&lab.look(13.0)), ["closed it"]);
}
