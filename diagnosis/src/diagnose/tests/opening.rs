use super::*;

const FACT: &str = "signs: [{fact: disk.read_only}]";
const HELD: &str = "signs: [{fact: disk.read_only, for: 3s}]";
const LOG: &str = "signs: [{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]";

#[test]
fn a_fact_sign_opens_a_case_that_keeps_its_identity() {
    let mut lab = Lab::of(FACT);
    lab.set(0.0, DISK_READ_ONLY, false);
    assert_eq!((changes(&lab.look(0.0)), lab.look(0.0).diagnosis.verdict), (vec![], Verdict::Healthy));
    lab.set(1.0, DISK_READ_ONLY, true);
    let opened = lab.look(1.0);
    assert_eq!(changes(&opened), ["opened it"]);
    let change = &opened.transitions[0];
    assert_eq!((change.reason.as_str(), change.since, change.at), ("fact: disk.read_only", at(1.0), at(1.0)));
    assert_eq!(opened.diagnosis.causes[0].evidence[0].source, "disk.read_only");
    let later = lab.look(60.0);
    assert_eq!(changes(&later), Vec::<String>::new());
    assert_eq!((&later.diagnosis.causes[0].case_id, later.diagnosis.causes[0].since), (&change.case_id, at(1.0)));
    assert!(change.case_id.starts_with("n1/it/"), "{}", change.case_id);
}

#[test]
fn a_log_sign_opens_a_case_since_its_first_sighting_and_counts() {
    let mut lab = Lab::of(LOG);
    for seconds in [1.0, 2.0, 3.0] {
        lab.hear(seconds, "it", 0, "no luck");
    }
    let opened = lab.look(4.0);
    assert_eq!(changes(&opened), ["opened it"]);
    let cause = &opened.diagnosis.causes[0];
    assert_eq!((cause.since, cause.evidence[0].count, cause.evidence[0].at), (at(1.0), 3, after(3.0)));
    assert_eq!((cause.evidence[0].source.as_str(), cause.evidence[0].quote.as_str()), ("log:kubelet.service", "no luck"));
    lab.hear(5.0, "it", 0, "no luck at all");
    let later = lab.look(5.0);
    assert_eq!(changes(&later), Vec::<String>::new(), "a count is no change");
    assert_eq!((later.diagnosis.causes[0].evidence[0].count, later.diagnosis.causes[0].evidence[0].quote.as_str()), (4, "no luck at all"));
}

#[test]
fn since_is_the_earlier_of_log_and_fact() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only}, {log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]");
    lab.set(5.0, DISK_READ_ONLY, true);
    lab.hear(2.0, "it", 1, "no luck");
    assert_eq!(lab.look(5.0).diagnosis.causes[0].since, at(2.0));
}

#[test]
fn a_fact_sign_with_for_is_pending_until_it_has_been_true_for_long_enough() {
    let mut lab = Lab::of(HELD);
    lab.set(0.0, DISK_READ_ONLY, true);
    let pending = lab.look(0.0);
    assert_eq!((changes(&pending), pending.wake_at, pending.diagnosis.verdict), (vec![], after(3.0), Verdict::Healthy));
    assert_eq!(lab.look(2.999).wake_at, after(3.0));
    let opened = lab.look(3.0);
    assert_eq!((changes(&opened), opened.wake_at), (vec!["opened it".to_owned()], None));
    assert_eq!(opened.transitions[0].since, at(0.0));
}

#[test]
fn a_break_begins_the_time_anew_and_so_does_not_being_able_to_look() {
    for broken in [true, false] {
        let mut lab = Lab::of(HELD);
        lab.set(0.0, DISK_READ_ONLY, true);
        lab.look(0.0);
        if broken {
            lab.set(2.0, DISK_READ_ONLY, false)
        } else {
            lab.miss(2.0, DISK_READ_ONLY, MissingKind::Hung)
        }
        lab.look(2.0);
        lab.set(2.5, DISK_READ_ONLY, true);
        assert_eq!(changes(&lab.look(4.0)), Vec::<String>::new());
        assert_eq!(changes(&lab.look(6.9)), Vec::<String>::new());
        assert_eq!(changes(&lab.look(7.0)), ["opened it"]);
    }
}

#[test]
fn in_one_look_a_fact_sign_counts_at_once() {
    for mode in [Mode::Once, Mode::Saved] {
        let mut lab = Lab { mode, ..Lab::of(HELD) };
        lab.set(0.0, DISK_READ_ONLY, true);
        assert_eq!(changes(&lab.look(0.0)), ["opened it"], "{mode:?}");
    }
}

#[test]
fn so_many_sightings_in_that_time_are_a_sign_and_fewer_or_slower_ones_are_not() {
    let counted = "signs: [{log: {from: [kubelet], match: 'no luck', count: 3, within: 1m, quiet_for: 10m}}]";
    let heard = |seconds: &[f64]| {
        let mut lab = Lab::of(counted);
        for seconds in seconds {
            lab.hear(*seconds, "it", 0, "no luck");
            lab.look(*seconds);
        }
        lab.look(500.0).diagnosis.causes.first().map(|cause| cause.since)
    };
    assert_eq!(heard(&[0.0, 59.0]), None);
    assert_eq!(heard(&[0.0, 31.0, 62.0, 93.0, 124.0]), None);
    assert_eq!(heard(&[0.0, 100.0, 130.0, 160.0]), after(100.0));
    // Once there were enough, slower ones do not take it back.
    assert_eq!(heard(&[0.0, 1.0, 2.0, 100.0, 200.0, 300.0, 400.0]), after(0.0));
}

#[test]
fn sightings_too_few_are_forgotten_when_no_more_can_join_them() {
    let mut lab = Lab::of("signs: [{log: {from: [kubelet], match: 'no luck', count: 3, within: 1m, quiet_for: 10m}}]");
    lab.hear(0.0, "it", 0, "no luck");
    assert_eq!(lab.look(1.0).wake_at, after(60.0));
    let later = lab.look(60.0);
    assert_eq!((later.state, later.wake_at), (State::default(), None));
}

#[test]
fn a_log_sign_that_does_not_concern_the_node_is_none_but_not_knowing_does_not_hide_it() {
    let only_if = "signs: [{log: {from: [runtime], match: 'no luck', only_if: 'runtime.name == \"docker\"', quiet_for: 10m}}]";
    let opens = |prepare: &dyn Fn(&mut Lab)| {
        let mut lab = Lab::of(only_if);
        prepare(&mut lab);
        lab.hear(1.0, "it", 0, "no luck");
        !changes(&lab.look(1.0)).is_empty()
    };
    assert!(!opens(&|lab| lab.set(0.0, RUNTIME_NAME, "containerd".to_owned())));
    assert!(opens(&|lab| lab.set(0.0, RUNTIME_NAME, "docker".to_owned())));
    assert!(opens(&|lab| lab.miss(0.0, RUNTIME_NAME, MissingKind::Failed)));
}

#[test]
fn a_sighting_of_a_thing_that_is_not_the_nodes_does_not_hide_an_earlier_one_that_is() {
    let only_if =
        "signs: [{log: {from: [kernel], match: 'error on (?P<device>[a-z]+)', only_if: 'captures.device in swap.units', quiet_for: 10m}}]";
    let says = |prepare: &dyn Fn(&mut Lab), devices: &[&str]| {
        let mut lab = Lab::of(only_if);
        prepare(&mut lab);
        for (at, device) in devices.iter().enumerate() {
            lab.hear_with(at as f64, "it", 0, &format!("error on {device}"), &[("device", device)]);
        }
        let causes = lab.look(5.0).diagnosis.causes;
        causes.first().map(|cause| cause.evidence[0].quote.clone())
    };
    let known = |lab: &mut Lab| lab.set(0.0, SWAP_UNITS, vec!["sda".to_owned()]);
    assert_eq!(says(&known, &["sdz"]), None);
    assert_eq!(says(&known, &["sda", "sdz"]).as_deref(), Some("error on sda"));
    let unknown = |lab: &mut Lab| lab.miss(0.0, SWAP_UNITS, MissingKind::Hung);
    assert_eq!(says(&unknown, &["sdz"]).as_deref(), Some("error on sdz"));
}

#[test]
fn not_being_able_to_look_opens_nothing_and_is_told() {
    for kind in [MissingKind::NotYet, MissingKind::Denied, MissingKind::Hung, MissingKind::Failed] {
        let mut lab = Lab::of(FACT);
        lab.miss(0.0, DISK_READ_ONLY, kind);
        let outcome = lab.look(0.0);
        assert_eq!((changes(&outcome), outcome.diagnosis.verdict), (vec![], Verdict::Unknown), "{kind:?}");
        assert_eq!(outcome.diagnosis.unknown[0].what, "disk.read_only");
        assert_eq!(outcome.diagnosis.unknown[0].why, format!("{kind:?}"));
    }
}

#[test]
fn what_does_not_apply_is_healthy() {
    let mut lab = Lab::of("signs: [{fact: '!kubelet.unit.running'}]");
    lab.miss(0.0, KUBELET_UNIT_RUNNING, MissingKind::NotApplicable);
    let outcome = lab.look(0.0);
    assert_eq!((outcome.diagnosis.verdict, outcome.diagnosis.unknown), (Verdict::Healthy, vec![]));
}

#[test]
fn without_a_journal_a_log_sign_is_unknown_unless_the_cause_is_seen_to_be_absent() {
    let mut lab = Lab::of(&format!("{LOG}\nabsent: '!disk.read_only'"));
    lab.set(0.0, LOGS_JOURNAL_READABLE, false);
    lab.set(0.0, DISK_READ_ONLY, true);
    let deaf = lab.look(0.0);
    assert_eq!((deaf.diagnosis.verdict, deaf.diagnosis.unknown[0].what.as_str()), (Verdict::Unknown, "logs.journal.readable"));
    lab.set(1.0, DISK_READ_ONLY, false);
    assert_eq!(lab.look(1.0).diagnosis.verdict, Verdict::Healthy);
    lab.miss(2.0, DISK_READ_ONLY, MissingKind::Hung);
    assert_eq!(lab.look(2.0).diagnosis.verdict, Verdict::Unknown);
    // A host without any journal has no log to be read.
    lab.miss(3.0, LOGS_JOURNAL_READABLE, MissingKind::NotApplicable);
    assert_eq!(lab.look(3.0).diagnosis.verdict, Verdict::Healthy);
}

#[test]
fn without_the_files_that_hold_the_kubelets_log_a_log_sign_is_unknown_too() {
    let mut lab = Lab::of(LOG);
    lab.set(0.0, LOGS_JOURNAL_READABLE, true);
    assert_eq!(lab.look(0.0).diagnosis.verdict, Verdict::Healthy, "none are known of");
    lab.miss(1.0, LOGS_FILES_READABLE, MissingKind::Denied);
    let deaf = lab.look(1.0);
    assert_eq!((deaf.diagnosis.verdict, deaf.diagnosis.unknown[0].what.as_str()), (Verdict::Unknown, "logs.files.readable"));
    lab.set(2.0, LOGS_FILES_READABLE, true);
    assert_eq!(lab.look(2.0).diagnosis.verdict, Verdict::Healthy);
}

#[test]
fn a_saved_log_has_nothing_unknown() {
    let mut lab = Lab { mode: Mode::Saved, ..Lab::new(&[file("a", FACT), file("b", LOG)]) };
    lab.facts = Facts::new();
    let nothing = lab.look_as_it_is(0.0);
    assert_eq!((nothing.diagnosis.verdict, nothing.diagnosis.unknown), (Verdict::Healthy, vec![]));
    lab.hear(-500.0, "b", 0, "no luck");
    assert_eq!(lab.look_as_it_is(1.0).diagnosis.verdict, Verdict::NotReady);
}

#[test]
fn a_saved_log_may_be_read_newest_first() {
    let mut lab = Lab { mode: Mode::Saved, ..Lab::of(LOG) };
    for seconds in [9.0, 5.0, 7.0, 2.0] {
        lab.hear(seconds, "it", 0, &format!("no luck at {seconds}"));
        lab.look_as_it_is(10.0);
    }
    let outcome = lab.look_as_it_is(10.0);
    let cause = &outcome.diagnosis.causes[0];
    assert_eq!((cause.since, cause.evidence[0].at, cause.evidence[0].quote.as_str()), (at(2.0), after(9.0), "no luck at 9"));
}

#[test]
fn sightings_taken_in_without_judging_open_nothing_until_the_next_look() {
    let mut lab = Lab { mode: Mode::Saved, ..Lab::of(LOG) };
    lab.hear(3.0, "it", 0, "no luck");
    lab.state.see(&lab.catalogue, &std::mem::take(&mut lab.heard));
    assert_eq!(lab.state.open().count(), 0);
    assert_eq!(changes(&lab.look(4.0)), ["opened it"]);
    assert_eq!(lab.state.open().collect::<Vec<_>>(), ["it"]);
}

#[test]
fn sightings_of_what_is_not_in_the_catalogue_say_nothing() {
    let mut lab = Lab::new(&[file("it", LOG), file("other", FACT)]);
    lab.set(0.0, DISK_READ_ONLY, false);
    for (code, sign) in [("nobody", 0), ("it", 1), ("it", 70_000), ("other", 0)] {
        lab.hear(1.0, code, sign, "no luck");
    }
    let outcome = lab.look(1.0);
    assert_eq!((outcome.transitions, outcome.state), (vec![], State::default()));
}

#[test]
fn the_collectors_causes_are_not_judged_here() {
    let mut lab = Lab::of("found_by: collector");
    let outcome = lab.look(0.0);
    assert_eq!((outcome.diagnosis.verdict, outcome.diagnosis.unknown), (Verdict::Healthy, vec![]));
}
