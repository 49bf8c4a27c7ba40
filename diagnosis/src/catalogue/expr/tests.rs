use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::facts::schema::*;
use crate::facts::{Facts, Missing, MissingKind, Record, Seen};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    facts.set(KUBELET_UNIT_RUNNING, at(10), true);
    facts.set(KUBELET_UNIT_RUNNING_FOR, at(5), SignedDuration::from_secs(61));
    facts.set(KUBELET_UNIT_EXITED_AT, at(10), at(50));
    facts.set(KUBELET_UNIT_RESULT, at(10), "success".to_owned());
    facts.set(KUBELET_FLAGS, at(10), [("root-dir".to_owned(), "/k".to_owned())].into());
    let swap = Record::new().with("path", "/swap.img".to_owned()).with("size_bytes", 1_i64 << 31);
    facts.set(SWAP_DEVICES, at(10), vec![swap]);
    facts.set(NOW, at(100), at(100));
    facts.miss(KUBELET_UNIT_EXIT_STATUS, at(10), Missing::new(MissingKind::NotApplicable, "none has ended"));
    facts.miss(KUBELET_HEALTHZ_STATE, at(10), Missing::new(MissingKind::Hung, "hung"));
    facts
}

fn compile(source: &str) -> Expr {
    Expr::predicate(source, Variables::Sighting).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn judge(source: &str) -> Truth {
    judge_waking(source, None).0
}

fn judge_waking(source: &str, fresh_after: Option<Timestamp>) -> (Truth, Option<Timestamp>) {
    let (facts, none, wake) = (facts(), Facts::new(), Wake::default());
    let seen = Seen::new(&facts, &none, at(100));
    let truth = compile(source).truth(&Scope { fresh_after, ..Scope::facts(&seen) }, &wake);
    (truth, wake.earliest())
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
        "has(kubelet.unit.running) && !has(kubelet.unit.exit_status)",
        "size([has(kubelet.unit.running), has(kubelet.healthz.state)].filter(x, x)) == 1",
        "now - kubelet.unit.exited_at == duration('50s')",
        "kubelet.unit.exited_at < now && swap.devices.size() == 1 && kubelet.flags.size() == 1",
        "kubelet.flags.exists(name, kubelet.flags[name] == '/k')",
        "(kubelet.unit.running ? kubelet.unit.result : 'x') == 'success'",
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
}

#[test]
fn whether_something_is_there_is_unknown_while_it_cannot_be_seen() {
    assert_eq!(unknown_of("has(kubelet.healthz.state)"), ["kubelet.healthz.state"]);
    assert_eq!(unknown_of("!has(kubelet.healthz.state)"), ["kubelet.healthz.state"]);
    assert_eq!(judge("has(kubelet.healthz.state) && kubelet.unit.exit_status == 1"), Truth::False);
}

#[test]
fn a_choice_is_as_unknown_as_its_condition_or_what_it_chooses() {
    assert_eq!(unknown_of("kubelet.healthz.state == 'ok' ? true : false"), ["kubelet.healthz.state"]);
    assert_eq!(judge("kubelet.unit.running ? true : kubelet.healthz.state == 'ok'"), Truth::True);
    assert_eq!(unknown_of("kubelet.unit.running ? kubelet.healthz.state == 'ok' : true"), ["kubelet.healthz.state"]);
}

#[test]
fn what_was_read_before_is_as_good_as_not_read() {
    assert_eq!(judge_waking("kubelet.unit.running", Some(at(9))).0, Truth::True);
    assert!(matches!(judge_waking("kubelet.unit.running", Some(at(10))).0, Truth::Unknown(_)));
    assert!(matches!(judge_waking("kubelet.unit.running_for > duration('1s')", Some(at(9))).0, Truth::Unknown(_)));
    let either = "kubelet.unit.running_for > duration('1s') || kubelet.unit.running";
    assert_eq!(judge_waking(either, Some(at(9))).0, Truth::True, "one fresh fact is enough where it decides alone");
    assert!(matches!(judge_waking("swap.devices.exists(d, d.path != '')", Some(at(10))).0, Truth::Unknown(_)));
}

#[test]
fn a_value_that_only_time_will_change_says_when() {
    let wakes = |source: &str| judge_waking(source, None).1.map(|at| at.as_microsecond());
    assert_eq!(wakes("kubelet.unit.running_for > duration('70s')"), Some(109_000_001));
    assert_eq!(wakes("duration('70s') < kubelet.unit.running_for"), Some(109_000_001));
    assert_eq!(wakes("now - kubelet.unit.exited_at > duration('1m')"), Some(110_000_001));
    assert_eq!(wakes("kubelet.unit.running_for > duration('60s')"), None, "long since");
    assert_eq!(wakes("kubelet.unit.exited_at < now"), None);
    assert_eq!(wakes("kubelet.unit.ran_for > duration('60s')"), None);
}

#[test]
fn what_is_wrong_with_an_expression_is_said() {
    let error = |source: &str| Expr::compile(source).expect_err(source).to_string();
    assert!(error("kubelet.unit.runing").contains("did you mean `kubelet.unit.running`"), "{}", error("kubelet.unit.runing"));
    for (source, says) in [
        ("kubelet.unit", "unknown fact `kubelet.unit`"),
        ("frobnicate > 1", "unknown fact `frobnicate`"),
        ("has(kubelet.unit.runing)", "unknown fact `kubelet.unit.runing`"),
        ("kubelet.unit.running.x", "no field `x`"),
        ("swap.devices.exists(d, d.sise == 1)", "a record of path, kind, size_bytes, used_bytes` has no field `sise`"),
        ("swap.devices[0].pat == 'x'", "no field `pat`"),
        ("swap.devices.filter(d, d.size_bytes > 1)[0].pat == 'x'", "no field `pat`"),
        ("swap.devices.filter(d, d.size_bytes > 1).map(e, e.path)[0] == 1", "that never holds"),
        ("frob(kubelet.unit.running)", "unknown function `frob`"),
        ("kubelet.unit.running.startsWith('x')", "startsWith() is asked of true or false"),
        ("kubelet.unit.result.startsWith()", "takes 2 value(s); 1 are given"),
        ("kubelet.unit.result == 1", "a text is compared with a whole number: that never holds"),
        ("kubelet.unit.restarts > duration('1s')", "that never holds"),
        ("kubelet.unit.result in [1, 2] && kubelet.unit.restarts", "take conditions"),
        ("1 + 1", "a condition must be true or false"),
        ("!kubelet.unit.result", "take conditions"),
        ("kubelet.unit.running_for > duration('soon')", "duration"),
        ("captures.x == 'y'", "`captures` is known only in"),
        ("kubelet.unit.running &&", "not a CEL expression"),
        ("", "not a CEL expression"),
        ("Foo{a: 1}", "there is no type `Foo`"),
    ] {
        assert!(error(source).contains(says), "{source}: {}", error(source));
    }
    assert!(error(&"(".repeat(500)).contains("nested"));
    assert!(error(&format!("'{}' == ''", "x".repeat(5000))).contains("longer"));
}

#[test]
fn hostile_nesting_is_refused_or_judged_but_never_overflows_the_stack() {
    for source in [format!("{}true", "!".repeat(4000)), format!("true{}", " && true".repeat(500)), format!("1{}", " + 1".repeat(1000))] {
        if let Ok(expr) = Expr::compile(&source) {
            let (facts, none) = (facts(), Facts::new());
            expr.truth(&Scope::facts(&Seen::new(&facts, &none, at(1))), &Wake::default());
        }
    }
}

#[test]
fn the_facts_read_are_known() {
    let expr =
        compile("kubelet.unit.running && has(kubelet.healthz.state) && certificates.exists(c, c.not_after < now) && kubelet.flags.x != ''");
    assert_eq!(expr.paths, ["kubelet.unit.running", "kubelet.healthz.state", "certificates", "now", "kubelet.flags"]);
}

/// Whatever is judged here without CEL is judged as CEL would.
#[test]
fn plain_comparisons_agree_with_cel() {
    let operands = [
        "kubelet.unit.restarts",
        "3",
        "kubelet.unit.result",
        "'success'",
        "kubelet.unit.running",
        "true",
        "swap.devices.size()",
        "1",
        "kubelet.unit.running_for",
        "duration('61s')",
        "now",
        "kubelet.unit.exited_at",
        "now - kubelet.unit.exited_at",
    ];
    let (mut facts, none, wake) = (facts(), Facts::new(), Wake::default());
    facts.set(KUBELET_UNIT_RESTARTS, at(10), 3);
    let seen = Seen::new(&facts, &none, at(100));
    let scope = Scope::facts(&seen);
    let mut compared = 0;
    for left in operands {
        for right in operands {
            for operator in ["==", "!=", "<", "<=", ">", ">="] {
                let source = format!("{left} {operator} {right}");
                let Ok(expr) = Expr::compile(&source) else { continue };
                let by_cel = ValueExpr::compile(&source).expect("compiles as a predicate too").value(&scope);
                let native = expr.truth(&scope, &wake);
                // CEL does not order booleans.
                if by_cel.is_some() {
                    assert_eq!(Some(crate::facts::Value::Bool(native == Truth::True)), by_cel, "{source}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
