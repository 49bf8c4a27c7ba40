//! The clock is set back by more than an hour.

use super::*;

const LATE: f64 = 5000.0;
const ABSENT: &str = "signs: [{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]\nabsent: '!disk.read_only'";

fn heard_before(lines: &str) -> Lab {
    let mut lab = Lab::of(lines);
    lab.hear(LATE, "it", 0, "no luck");
    assert_eq!(changes(&lab.look(LATE + 1.0)), ["opened it"]);
    lab
}

#[test]
fn what_was_heard_before_ends_by_facts_read_since_and_by_no_others() {
    let mut lab = Lab::of(ABSENT);
    lab.set(LATE + 0.5, DISK_READ_ONLY, false);
    lab.hear(LATE + 0.7, "it", 0, "no luck");
    assert_eq!(changes(&lab.look(LATE + 1.0)), ["opened it"]);
    assert_eq!(changes(&lab.look(100.0)), Vec::<String>::new(), "when the disk was looked at nobody can say");
    lab.set(101.0, DISK_READ_ONLY, false);
    assert_eq!(changes(&lab.look(101.0)), ["closed it"]);
}

#[test]
fn quiet_is_counted_from_the_step() {
    let mut lab = heard_before("signs: [{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]");
    assert_eq!(lab.look_as_it_is(100.0).wake_at, after(700.0), "how far the log was read is from before the step");
    assert_eq!(changes(&lab.look(699.0)), Vec::<String>::new());
    assert_eq!(changes(&lab.look(700.0)), ["closed it"]);
}

#[test]
fn a_line_from_before_the_step_that_is_read_after_it_does_not_last_longer() {
    let mut lab = Lab::of(ABSENT);
    lab.hear(LATE, "it", 0, "no luck");
    let opened = lab.look(100.0);
    assert_eq!((changes(&opened), opened.diagnosis.causes[0].since), (vec!["opened it".to_owned()], at(100.0)));
    lab.set(101.0, DISK_READ_ONLY, false);
    assert_eq!(changes(&lab.look(101.0)), ["closed it"]);
}

#[test]
fn a_fact_that_began_to_hold_before_counts_in_time() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only, for: 5s}]");
    lab.set(LATE, DISK_READ_ONLY, true);
    lab.look(LATE);
    assert_eq!(lab.look(100.0).wake_at, after(105.0));
    assert_eq!(changes(&lab.look(105.0)), ["opened it"]);
}

#[test]
fn fading_and_the_pause_between_two_messages_last_no_longer() {
    let root = file("root", "signs: [{fact: disk.read_only}]\nexplains: [symptom]");
    let symptom = file("symptom", "signs: [{fact: '!kubelet.unit.running'}]\nmessage: 'for {{kubelet.unit.restarts}}'");
    let mut lab = Lab::new(&[root, symptom]);
    lab.set(LATE, DISK_READ_ONLY, true);
    lab.set(LATE, KUBELET_UNIT_RUNNING, false);
    lab.look(LATE);
    lab.set(LATE + 1.0, DISK_READ_ONLY, false);
    lab.look(LATE + 1.0);
    lab.set(100.0, KUBELET_UNIT_RESTARTS, 7);
    assert_eq!(codes(&lab.look(100.0), true), Vec::<&str>::new());
    assert_eq!(changes(&lab.look(101.0)), ["confirmed symptom"], "its new words");
    assert_eq!(codes(&lab.look(130.0), true), ["symptom"]);
}
