use jiff::Timestamp;
use nodewhy_diagnosis::model::{Diagnosis, Evidence, Layer, PresentCause, Remedy, Severity, Transition, TransitionKind, Unknown, Verdict};

use super::*;

fn cause() -> PresentCause {
    PresentCause {
        case_id: "n/swap-enabled/1".into(),
        code: "swap-enabled".into(),
        title: "t".into(),
        severity: Severity::Critical,
        layer: Layer::Kubelet,
        root: true,
        latent: true,
        since: Timestamp::from_microsecond(1_700_000_000_123_456).expect("a time"),
        message: "m".into(),
        evidence: vec![Evidence { source: "swap.devices".into(), at: None, quote: "q".into(), count: 3 }],
        explains: vec!["kubelet-down".into()],
        explained_by: vec![],
        remedy: vec![Remedy { say: "s".into(), run: Some("swapoff -a".into()) }, Remedy { say: "s".into(), run: None }],
    }
}

fn diagnosis() -> Diagnosis {
    Diagnosis {
        node: "n".into(),
        at: Timestamp::UNIX_EPOCH,
        verdict: Verdict::NotReady,
        causes: vec![cause()],
        unknown: vec![Unknown { what: "swap".into(), why: "denied".into() }],
    }
}

#[test]
fn a_diagnosis_comes_back_as_it_went() {
    assert_eq!(diagnosis_from_wire(diagnosis_to_wire(&diagnosis())), Ok(diagnosis()));
}

#[test]
fn a_transition_comes_back_as_it_went() {
    for kind in [TransitionKind::Opened, TransitionKind::Confirmed, TransitionKind::Closed] {
        let at = Timestamp::from_nanosecond(-1).expect("a time");
        let transition = Transition { kind, case_id: "c".into(), code: "k".into(), at, since: at, reason: "r".into(), cause: cause() };
        assert_eq!(transition_from_wire(transition_to_wire(&transition)), Ok(transition));
    }
}

#[test]
fn every_word_comes_back_as_it_went() {
    use {Layer::*, Severity::*};
    for layer in [Hardware, Kernel, Storage, Network, Time, Runtime, Kubelet, ControlPlane, Workload] {
        assert_eq!(layer_from_wire(layer_to_wire(layer)), Ok(layer));
    }
    for severity in [Info, Warning, Critical] {
        assert_eq!(severity_from_wire(severity_to_wire(severity)), Ok(severity));
    }
    for verdict in [Verdict::Healthy, Verdict::Degraded, Verdict::NotReady, Verdict::Unknown] {
        assert_eq!(verdict_from_wire(verdict_to_wire(verdict)), Ok(verdict));
    }
}

#[test]
fn what_is_missing_unknown_or_too_large_is_refused_by_name() {
    let wrong = |change: fn(&mut nodewhy_proto::v1::Diagnosis)| {
        let mut message = diagnosis_to_wire(&diagnosis());
        change(&mut message);
        diagnosis_from_wire(message).expect_err("refused").to_string()
    };
    assert_eq!(wrong(|d| d.node.clear()), "node is missing");
    assert_eq!(wrong(|d| d.at = None), "at is missing");
    assert_eq!(wrong(|d| d.verdict = 0), "verdict is 0, which stands for nothing in this version");
    assert_eq!(wrong(|d| d.verdict = 99), "verdict is 99, which stands for nothing in this version");
    assert_eq!(wrong(|d| d.causes[0].since = None), "since is missing");
    assert_eq!(wrong(|d| d.causes[0].layer = -1), "layer is -1, which stands for nothing in this version");
    assert_eq!(wrong(|d| d.causes[0].message = "x".repeat(TEXT_MAX + 1)), "message is too large: 65537, at most 65536");
    assert_eq!(wrong(|d| d.causes = vec![d.causes[0].clone(); LIST_MAX + 1]), "causes is too large: 1025, at most 1024");
    let no_code = "code is no cause's code: a-z, 0-9 and -, at most 64 characters";
    assert_eq!(wrong(|d| d.causes[0].code = "\u{1b}]52;c;x".into()), no_code);
    assert_eq!(wrong(|d| d.causes[0].code = "x".repeat(65)), no_code);
    assert!(wrong(|d| d.causes[0].explained_by = vec!["A B".into()]).starts_with("explained_by is no cause's code"));
    assert!(wrong(|d| d.at = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })).contains("out of range"));
    assert!(wrong(|d| d.at = Some(prost_types::Timestamp { seconds: 0, nanos: -1 })).contains("out of range"));
}
