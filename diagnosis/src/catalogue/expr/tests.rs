use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::facts::schema::*;
use crate::facts::{Missing, MissingKind, Record};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    facts.set(KUBELET_UNIT_RUNNING, at(10), true);
    facts.set(KUBELET_UNIT_RUNNING_FOR, at(5), SignedDuration::from_secs(61));
    facts.set(KUBELET_UNIT_RESULT, at(10), "success".to_owned());
    facts.set(KUBELET_FLAGS, at(10), [("root-dir".to_owned(), "/k".to_owned())].into());
    let swap = Record::new().with("path", "/swap.img".to_owned()).with("size_bytes", 1_i64 << 31);
    facts.set(SWAP_DEVICES, at(10), vec![swap]);
    facts.set(NOW, at(100), at(100));
    facts.miss(KUBELET_UNIT_EXIT_STATUS, at(10), Missing::new(MissingKind::NotApplicable, "none has ended"));
    facts.miss(KUBELET_HEALTHZ_STATE, at(10), Missing::new(MissingKind::Hung, "hung"));
    facts
}

fn judge(source: &str) -> Truth {
    Expr::compile(source).unwrap_or_else(|error| panic!("{source}: {error}")).judge(&Scope::of(&facts()))
}

fn unknown_of(source: &str) -> Vec<&'static str> {
    match judge(source) {
        Truth::Unknown(missing) => missing.into_iter().map(|(path, _)| path).collect(),
        truth => panic!("{source}: {truth:?}"),
    }
}

#[test]
fn known_facts_decide() {
    for source in [
        "kubelet.unit.running",
        "!kubelet.unit.running || kubelet.unit.result == 'success'",
        "kubelet.unit.running_for > duration('60s')",
        "swap.devices.size() > 0 && swap.devices[0].size_bytes > 1000",
        "swap.devices.exists(d, d.path == '/swap.img')",
        "swap.devices.filter(d, d.size_bytes > 5).size() == 1",
        "swap.devices.all(d, d.path.startsWith('/'))",
        "kubelet.flags['root-dir'] == '/k'",
        "'root-dir' in kubelet.flags",
        "kubelet.unit.result in ['success', 'exit-code']",
        "now - timestamp('1970-01-01T00:00:00Z') > duration('99s')",
        "has(kubelet.unit.running) && !has(kubelet.healthz.state) && !has(kubelet.unit.exit_status)",
        "kubelet.unit.running ? true : false",
    ] {
        assert_eq!(judge(source), Truth::True, "{source}");
        assert_eq!(judge(&format!("!({source})")), Truth::False, "{source}");
    }
}

#[test]
fn a_missing_fact_is_unknown_unless_the_other_side_decides() {
    assert_eq!(unknown_of("kubelet.healthz.state == 'ok'"), ["kubelet.healthz.state"]);
    assert_eq!(unknown_of("kubelet.healthz.state == 'ok' && kubelet.unit.running"), ["kubelet.healthz.state"]);
    assert_eq!(unknown_of("!kubelet.unit.running || kubelet.healthz.state == 'ok'"), ["kubelet.healthz.state"]);
    assert_eq!(unknown_of("!(kubelet.healthz.state == 'ok')"), ["kubelet.healthz.state"]);
    assert_eq!(unknown_of("kubelet.healthz.state == 'ok' && pids.under_pressure"), ["kubelet.healthz.state", "pids.under_pressure"]);
    assert_eq!(judge("kubelet.healthz.state == 'ok' && !kubelet.unit.running"), Truth::False);
    assert_eq!(judge("kubelet.healthz.state == 'ok' || kubelet.unit.running"), Truth::True);
    assert_eq!(judge("kubelet.unit.running || kubelet.healthz.state == 'ok'"), Truth::True);
}

#[test]
fn what_does_not_apply_is_false_and_so_is_its_negation() {
    assert_eq!(judge("kubelet.unit.exit_status == 1"), Truth::False);
    assert_eq!(judge("!(kubelet.unit.exit_status == 1)"), Truth::False);
    assert_eq!(judge("kubelet.unit.exit_status == 1 && kubelet.healthz.state == 'ok'"), Truth::False);
    assert_eq!(judge("kubelet.healthz.state == 'ok' && kubelet.unit.exit_status == 1"), Truth::False);
    assert_eq!(judge("kubelet.unit.exit_status == 1 || kubelet.unit.running"), Truth::True);
    assert_eq!(unknown_of("kubelet.unit.exit_status == 1 || kubelet.healthz.state == 'ok'"), ["kubelet.healthz.state"]);
}

#[test]
fn an_error_that_no_missing_fact_made_is_false() {
    assert_eq!(judge("swap.devices[7].size_bytes > 0"), Truth::False);
    assert_eq!(judge("kubelet.flags['nothing'] == 'x'"), Truth::False);
    assert_eq!(judge("captures.x == 'y'"), Truth::False);
    assert_eq!(judge("1 + 1"), Truth::False);
}

#[test]
fn what_is_wrong_with_an_expression_is_said() {
    let error = |source: &str| Expr::compile(source).expect_err(source).to_string();
    assert!(error("kubelet.unit.runing").contains("did you mean `kubelet.unit.running`"), "{}", error("kubelet.unit.runing"));
    assert!(error("kubelet.unit").contains("no fact `kubelet.unit`"));
    assert!(error("frobnicate > 1").contains("no fact `frobnicate`"));
    assert!(error("kubelet.unit.running.x").contains("no fact"));
    assert!(error("swap.devices.exists(d, d.sise == 1)").contains("no field `sise`; it has path, kind, size_bytes, used_bytes"));
    assert!(error("swap.devices[0].pat == 'x'").contains("no field `pat`"));
    assert!(error("frob(kubelet.unit.running)").contains("no function `frob`"));
    assert!(error("kubelet.unit.running &&").starts_with("not a CEL expression"));
    assert!(error("").starts_with("not a CEL expression"));
    assert!(error(&"(".repeat(500)).contains("nested"));
}

#[test]
fn the_facts_read_are_known_and_the_oldest_reading_counts() {
    let expr =
        Expr::compile("kubelet.unit.running && kubelet.unit.running_for > duration('1s') && kubelet.healthz.state == 'ok'").expect("valid");
    assert_eq!(expr.paths, ["kubelet.healthz.state", "kubelet.unit.running", "kubelet.unit.running_for"]);
    assert_eq!(expr.read_at(&facts()), Some(at(5)));
}
