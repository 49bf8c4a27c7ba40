use nodewhy_proto::v1::{Diagnosis, Evidence, Layer, Remedy, Severity, Transition, Verdict};

use super::*;

fn cause(number: usize, root: bool, words: usize) -> PresentCause {
    let text = |what: &str| format!("{what} {number}: {}", "x".repeat(words));
    PresentCause {
        case_id: format!("worker-1/own-{number}/1"),
        code: format!("own-{number}"),
        title: format!("Own cause {number}"),
        severity: Severity::Warning.into(),
        layer: Layer::Kernel.into(),
        root,
        since: Some(prost_types::Timestamp::default()),
        message: text("message"),
        evidence: vec![Evidence { source: "log:x.service".into(), at: None, quote: text("quote"), count: 1 }; 3],
        remedy: vec![Remedy { say: text("say"), run: "true".into() }],
        ..PresentCause::default()
    }
}

fn report(causes: Vec<PresentCause>) -> Report {
    let time = Some(prost_types::Timestamp::default());
    let opened = |cause: &PresentCause| Transition {
        kind: TransitionKind::Opened.into(),
        case_id: cause.case_id.clone(),
        code: cause.code.clone(),
        at: time,
        since: time,
        reason: "a sign".into(),
        cause: Some(cause.clone()),
    };
    let transitions = causes.iter().map(opened).collect();
    let diagnosis = Diagnosis { node: "worker-1".into(), at: time, verdict: Verdict::Degraded.into(), causes, unknown: Vec::new() };
    Report { at: time, diagnosis: Some(diagnosis), transitions, ..Report::default() }
}

/// What arrives, which is what the collector can read.
fn sent(report: Report, most: usize) -> (Report, nodewhy_diagnosis::Diagnosis) {
    let bytes = encode(report, most);
    assert!(bytes.len() <= most, "{} of {most}", bytes.len());
    let report = Report::decode(&*bytes).expect("whole");
    let diagnosis = nodewhy_wire::diagnosis_from_wire(report.diagnosis.clone().expect("there")).expect("the collector reads it");
    (report, diagnosis)
}

#[test]
fn a_report_as_they_are_goes_as_it_is() {
    let usual = report((0..20).map(|number| cause(number, number == 0, 100)).collect());
    assert_eq!(encode(usual.clone(), 1 << 20), usual.encode_to_vec());
}

#[test]
fn however_much_is_wrong_every_present_cause_arrives_and_what_is_left_out_is_counted() {
    let huge = report((0..900).map(|number| cause(number, true, 1900)).collect());
    assert!(huge.encoded_len() > 8 << 20);
    let (report, diagnosis) = sent(huge, 1 << 20);
    let present: Vec<_> = diagnosis.causes.iter().map(|cause| &*cause.case_id).collect();
    assert_eq!(present, (0..900).map(|number| format!("worker-1/own-{number}/1")).collect::<Vec<_>>());
    assert!(diagnosis.causes[7].message.starts_with("message 7: xxx"), "{}", diagnosis.causes[7].message);
    assert_eq!(report.transitions, []);
    let note = &diagnosis.unknown.last().expect("a note").why;
    assert!(note.contains("900 changes") && note.contains("pieces of evidence") && note.contains("1048576 are the most"), "{note}");
    assert!(!note.contains(" causes,"), "{note}");
}

#[test]
fn evidence_and_changes_go_before_the_words_and_the_remedy_of_a_present_cause() {
    let large = report((0..200).map(|number| cause(number, number == 0, 1000)).collect());
    let (_, diagnosis) = sent(large.clone(), 1 << 20);
    assert!(diagnosis.causes.iter().all(|cause| cause.message.len() > 1000 && !cause.remedy.is_empty()));
    let (_, diagnosis) = sent(large, 200 << 10);
    let (root, explained) = (&diagnosis.causes[0], &diagnosis.causes[1]);
    assert!(root.message.len() > 1000 && !root.remedy.is_empty() && explained.remedy.is_empty(), "what has to be mended first is whole");
}

#[test]
fn where_not_even_their_names_have_room_the_roots_stay_with_a_count_of_the_others() {
    let huge = report((0..1000).map(|number| cause(number, number % 100 == 99, 50)).collect());
    let (report, diagnosis) = sent(huge, 64 << 10);
    let roots: Vec<_> = diagnosis.causes.iter().filter(|cause| cause.root).map(|cause| &*cause.code).collect();
    assert_eq!((roots.len(), roots[0]), (10, "own-99"));
    let gone = 1000 - diagnosis.causes.len();
    assert!(gone > 0 && diagnosis.unknown.last().expect("a note").why.contains(&format!("{gone} causes")), "{:?}", diagnosis.unknown);
    assert_eq!(report.transitions, []);
}

#[test]
fn longer_lists_than_are_taken_are_shortened_and_no_cause_opens_that_is_not_in_the_diagnosis() {
    let mut long = report((0..LIST_MAX + 80).map(|number| cause(number, number == LIST_MAX + 79, 0)).collect());
    let unknown = Unknown { what: "disk".into(), why: "denied".into() };
    long.diagnosis.as_mut().expect("there").unknown = vec![unknown; LIST_MAX];
    let (report, diagnosis) = sent(long, 4 << 20);
    assert_eq!((diagnosis.causes.len(), diagnosis.unknown.len()), (LIST_MAX, LIST_MAX));
    assert!(diagnosis.causes.iter().any(|cause| cause.root) && report.transitions.len() == LIST_MAX);
    let present: BTreeSet<_> = diagnosis.causes.iter().map(|cause| &*cause.case_id).collect();
    assert!(report.transitions.iter().all(|transition| present.contains(&*transition.case_id)));
    assert!(diagnosis.unknown.last().expect("a note").why.contains("80 causes"), "{:?}", diagnosis.unknown.last());
}
