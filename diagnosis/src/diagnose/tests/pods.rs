//! A cause of single pods that hits many at once.

use super::*;
use crate::model::Severity;

const MANY: &str = "severity: warning\nsigns: [{log: {from: [kubelet], match: cannot start, quiet_for: 1h}}, {log: {from: [runtime], match: cannot run, quiet_for: 1h}}]\n\
     critical_when: 'sighting.pods.size() >= 3'\nmessage: '{{sighting.pods}}: {{captures.container}}'";

fn severity(outcome: &Outcome) -> Severity {
    outcome.diagnosis.causes[0].severity
}

#[test]
fn a_warning_of_single_pods_is_critical_while_many_are_hit_at_once_and_says_so_at_once() {
    let mut lab = Lab::of(MANY);
    lab.hear_with(0.0, "it", 0, "x", &[("pod", "a/one")]);
    lab.hear_with(0.1, "it", 0, "x", &[("pod", "a/two")]);
    lab.hear_with(0.2, "it", 0, "x", &[("pod", "a/two")]);
    let outcome = lab.look(1.0);
    assert_eq!((severity(&outcome), outcome.diagnosis.verdict), (Severity::Warning, Verdict::Degraded));
    assert_eq!(outcome.diagnosis.causes[0].message, "a/one, a/two: unknown");
    // Another sign of the same cause counts with it.
    lab.hear_with(1.1, "it", 1, "x", &[("pod", "b/three")]);
    let outcome = lab.look(1.2);
    assert_eq!((severity(&outcome), outcome.diagnosis.verdict), (Severity::Critical, Verdict::NotReady));
    assert_eq!(changes(&outcome), ["confirmed it"]);
    assert_eq!(outcome.transitions[0].reason, "it is critical now");
}

#[test]
fn pods_hit_one_after_the_other_over_hours_are_not_many_at_once() {
    let mut lab = Lab::of(MANY);
    for (number, minutes) in [0.0, 11.0, 22.0, 33.0].into_iter().enumerate() {
        lab.hear_with(minutes * 60.0, "it", 0, "x", &[("pod", &format!("a/{number}"))]);
        assert_eq!(severity(&lab.look(minutes * 60.0 + 1.0)), Severity::Warning);
    }
}

#[test]
fn so_many_pods_are_remembered_and_the_newest_stay() {
    let mut lab = Lab::of(MANY);
    for number in 0..40 {
        lab.hear_with(f64::from(number), "it", 0, "x", &[("pod", &format!("a/{number:02}"))]);
    }
    let message = lab.look(41.0).diagnosis.causes[0].message.clone();
    assert_eq!(message.split(", ").count(), 16, "{message}");
    assert!(message.contains("a/39") && !message.contains("a/23"), "{message}");
}

#[test]
fn a_container_is_told_only_with_its_own_pod() {
    let mut lab = Lab::of(MANY);
    lab.hear_with(0.0, "it", 0, "x", &[("pod", "a/one"), ("container", "app")]);
    lab.hear_with(1.0, "it", 1, "x", &[("pod", "a/two")]);
    assert_eq!(lab.look(2.0).diagnosis.causes[0].message, "a/one, a/two: unknown");
}
