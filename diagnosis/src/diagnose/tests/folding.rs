use super::*;

fn on(fact: &str) -> String {
    format!("signs: [{{fact: {fact}}}]")
}

/// root explains middle and symptom, middle explains symptom; each has a fact of its own.
fn chain() -> Lab {
    linked("[middle, symptom]")
}

fn linked(root_explains: &str) -> Lab {
    let mut lab = Lab::new(&[
        file("root", &format!("{}\nexplains: {root_explains}\nlayer: storage", on("disk.read_only"))),
        file("middle", &format!("{}\nexplains: [symptom]\nlayer: runtime", on("disk.below_bytes"))),
        file("symptom", &format!("{}\nlayer: kubelet", on("disk.below_inodes"))),
    ]);
    tell(&mut lab, 0.0, [false, false, false]);
    lab
}

fn tell(lab: &mut Lab, seconds: f64, [root, middle, symptom]: [bool; 3]) -> Outcome {
    lab.set(seconds, DISK_READ_ONLY, root);
    lab.set(seconds, DISK_BELOW_BYTES, middle);
    lab.set(seconds, DISK_BELOW_INODES, symptom);
    lab.look(seconds)
}

fn explained_by<'o>(outcome: &'o Outcome, code: &str) -> &'o [String] {
    let cause = outcome.diagnosis.causes.iter().find(|cause| cause.code == code).expect("present");
    assert_eq!(cause.root, cause.explained_by.is_empty());
    &cause.explained_by
}

#[test]
fn symptoms_are_folded_beneath_the_root_through_present_causes_alone() {
    let mut lab = linked("[middle]");
    let all = tell(&mut lab, 1.0, [true, true, true]);
    assert_eq!((codes(&all, true), codes(&all, false)), (vec!["root"], vec!["middle", "symptom"]));
    assert_eq!(all.diagnosis.causes[0].explains, ["middle", "symptom"]);
    assert_eq!(explained_by(&all, "symptom"), ["root"], "the root, not what lies between");
    let mut lab = linked("[middle]");
    let without_middle = tell(&mut lab, 1.0, [true, false, true]);
    assert_eq!((codes(&without_middle, true), codes(&without_middle, false)), (vec!["root", "symptom"], vec![]));
    let mut lab = chain();
    let without_root = tell(&mut lab, 1.0, [false, true, true]);
    assert_eq!((codes(&without_root, true), explained_by(&without_root, "symptom")), (vec!["middle"], &["middle".to_owned()][..]));
}

#[test]
fn a_root_that_is_found_later_takes_the_symptom_over_and_that_is_told() {
    let mut lab = chain();
    assert_eq!(changes(&tell(&mut lab, 1.0, [false, false, true])), ["opened symptom"]);
    let found = tell(&mut lab, 2.0, [true, false, true]);
    assert_eq!(changes(&found), ["opened root", "confirmed symptom"]);
    assert_eq!((found.transitions[1].reason.as_str(), found.transitions[1].cause.root), ("explained by root", false));
    assert_eq!(changes(&tell(&mut lab, 3.0, [true, false, true])), Vec::<String>::new());
}

#[test]
fn what_a_root_leaves_behind_becomes_no_root_for_30_seconds() {
    let mut lab = chain();
    tell(&mut lab, 1.0, [true, false, true]);
    let over = tell(&mut lab, 10.0, [false, false, true]);
    assert_eq!((changes(&over), over.wake_at), (vec!["closed root".to_owned()], after(40.0)));
    assert_eq!((codes(&over, true), explained_by(&over, "symptom")), (vec![], &["root".to_owned()][..]));
    assert_eq!(over.diagnosis.verdict, Verdict::NotReady);
    assert_eq!(changes(&tell(&mut lab, 39.9, [false, false, true])), Vec::<String>::new());
    let alone = tell(&mut lab, 40.0, [false, false, true]);
    assert_eq!((changes(&alone), codes(&alone, true), alone.wake_at), (vec!["confirmed symptom".to_owned()], vec!["symptom"], None));
    assert_eq!(alone.transitions[0].reason, "nothing explains it any more");
}

#[test]
fn what_a_link_leaves_behind_stays_beneath_its_root_for_30_seconds() {
    let mut lab = linked("[middle]");
    assert_eq!(codes(&tell(&mut lab, 1.0, [true, true, true]), true), ["root"]);
    let over = tell(&mut lab, 10.0, [true, false, true]);
    assert_eq!((changes(&over), over.wake_at), (vec!["closed middle".to_owned()], after(40.0)));
    assert_eq!(
        (explained_by(&over, "symptom"), &over.diagnosis.causes[0].explains),
        (&["root".to_owned()][..], &vec!["symptom".to_owned()])
    );
    let alone = tell(&mut lab, 40.0, [true, false, true]);
    assert_eq!((changes(&alone), codes(&alone, true)), (vec!["confirmed symptom".to_owned()], vec!["root", "symptom"]));
}

#[test]
fn a_symptom_that_ends_while_fading_just_closes() {
    let mut lab = chain();
    tell(&mut lab, 1.0, [true, true, true]);
    let over = tell(&mut lab, 10.0, [false, true, true]);
    assert_eq!((explained_by(&over, "middle"), explained_by(&over, "symptom")), (&["root".to_owned()][..], &["root".to_owned()][..]));
    assert_eq!(changes(&over), ["closed root"]);
    let healthy = tell(&mut lab, 20.0, [false, false, false]);
    assert_eq!((changes(&healthy), healthy.wake_at), (vec!["closed middle".to_owned(), "closed symptom".to_owned()], None));
    assert_eq!(changes(&tell(&mut lab, 21.0, [false, false, true])), ["opened symptom"]);
    assert_eq!(codes(&lab.look(21.0), true), ["symptom"], "a new case has nothing to fade from");
}

#[test]
fn a_case_that_the_closed_root_did_not_explain_is_a_root_at_once() {
    let mut lab = chain();
    tell(&mut lab, 1.0, [true, false, false]);
    tell(&mut lab, 2.0, [false, false, false]);
    assert_eq!(codes(&tell(&mut lab, 3.0, [false, false, true]), true), ["symptom"]);
}

#[test]
fn a_root_that_comes_back_while_its_symptom_fades_explains_it_again() {
    let mut lab = chain();
    tell(&mut lab, 1.0, [true, false, true]);
    tell(&mut lab, 2.0, [false, false, true]);
    assert_eq!(changes(&tell(&mut lab, 3.0, [true, false, true])), ["opened root"]);
    let later = tell(&mut lab, 60.0, [true, false, true]);
    assert_eq!((changes(&later), explained_by(&later, "symptom")), (vec![], &["root".to_owned()][..]));
}

#[test]
fn a_root_that_cannot_be_looked_at_still_explains() {
    let mut lab = chain();
    tell(&mut lab, 1.0, [true, false, true]);
    lab.miss(2.0, DISK_READ_ONLY, MissingKind::Hung);
    let unknown = lab.look(60.0);
    assert_eq!((codes(&unknown, true), codes(&unknown, false)), (vec!["root"], vec!["symptom"]));
}

#[test]
fn roots_are_told_by_severity_then_depth_then_age_then_code() {
    let mut lab = Lab::new(&[
        file("d-info", &format!("{}\nseverity: info\nlayer: hardware", on("disk.read_only"))),
        file("c-warning", &format!("{}\nseverity: warning\nlayer: hardware", on("disk.read_only"))),
        file("b-shallow", &format!("{}\nlayer: workload", on("disk.read_only"))),
        file("a-shallow", &format!("{}\nlayer: workload", on("disk.read_only"))),
        file("old-shallow", &format!("{}\nlayer: workload", on("disk.below_bytes"))),
        file("z-deep", &format!("{}\nlayer: kernel", on("disk.read_only"))),
    ]);
    lab.set(0.0, DISK_READ_ONLY, false);
    lab.set(0.0, DISK_BELOW_BYTES, true);
    lab.look(0.0);
    lab.set(1.0, DISK_READ_ONLY, true);
    assert_eq!(codes(&lab.look(1.0), true), ["z-deep", "old-shallow", "a-shallow", "b-shallow", "c-warning", "d-info"]);
}

#[test]
fn the_kubelets_last_words_come_first() {
    let words = "signs: [{log: {from: [kubelet], match: 'no luck', quiet_for: 10m}}]\nlayer: workload";
    let first = |said: f64, from: &str| {
        let words = words.replace("[kubelet]", from);
        let mut lab = Lab::new(&[file("deep", &format!("{}\nlayer: hardware", on("disk.read_only"))), file("words", &words)]);
        lab.set(0.0, DISK_READ_ONLY, true);
        lab.set(0.0, KUBELET_UNIT_EXITED_AT, at(100.0));
        lab.hear(said, "words", 0, "no luck");
        codes(&lab.look(120.0), true)[0].to_owned()
    };
    assert_eq!(first(99.8, "[kubelet]"), "words");
    assert_eq!(first(104.9, "[kubelet]"), "words", "journald may be late");
    assert_eq!(first(94.9, "[kubelet]"), "deep", "not its last");
    assert_eq!(first(99.8, "[kernel]"), "deep", "not its words");
}

#[test]
fn the_verdict_is_the_worst_and_healthy_only_if_all_was_looked_at() {
    let verdict = |severity: &str, present: Option<bool>, critical_seen: bool| {
        let mut lab =
            Lab::new(&[file("it", &format!("{}\nseverity: {severity}", on("disk.read_only"))), file("critical", &on("disk.below_bytes"))]);
        present.into_iter().for_each(|present| lab.set(0.0, DISK_READ_ONLY, present));
        if critical_seen {
            lab.set(0.0, DISK_BELOW_BYTES, false);
        }
        lab.look(0.0).diagnosis.verdict
    };
    for (severity, present, critical_seen, wanted) in [
        ("critical", Some(true), false, Verdict::NotReady),
        ("critical", Some(true), true, Verdict::NotReady),
        ("warning", Some(true), false, Verdict::Unknown),
        ("warning", Some(true), true, Verdict::Degraded),
        ("info", Some(true), true, Verdict::Healthy),
        ("warning", None, true, Verdict::Healthy),
        ("critical", None, true, Verdict::Unknown),
        ("critical", Some(false), true, Verdict::Healthy),
    ] {
        assert_eq!(verdict(severity, present, critical_seen), wanted, "{severity} {present:?} {critical_seen}");
    }
}

const AWAY: &str = "signs: [{log: {from: [kubelet], match: refused, quiet_for: 2m}}]\nexplains: [symptom]";
const STILL: &str = "signs: [{log: {from: [kubelet], match: 'not ready', quiet_for: 2m}}]";

/// A saved log in which the symptom is spoken of at these seconds, and its explanation at 10 s alone.
fn saved_with(layer: &str, spoken_of: &[f64]) -> Outcome {
    let files = [file("away", &format!("{AWAY}\nlayer: {layer}")), file("symptom", STILL)];
    let mut lab = Lab { mode: Mode::Saved, ..Lab::new(&files) };
    lab.hear(10.0, "away", 0, "refused");
    spoken_of.iter().for_each(|&seconds| lab.hear(seconds, "symptom", 0, "not ready"));
    lab.look(900.0)
}

#[test]
fn in_a_saved_log_what_outlives_an_outage_of_the_control_plane_is_not_explained_by_it() {
    assert_eq!(codes(&saved_with("control-plane", &[5.0, 600.0]), true), ["symptom", "away"]);
    assert_eq!(codes(&saved_with("control-plane", &[5.0, 60.0]), true), ["away"], "it may be over with it");
    assert_eq!(codes(&saved_with("control-plane", &[28_800.0]), true), ["away"], "that may be another time zone");
    assert_eq!(codes(&saved_with("storage", &[5.0, 600.0]), true), ["away"], "a broken disk stays broken");
}
