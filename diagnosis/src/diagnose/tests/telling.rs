use super::*;

#[test]
fn the_first_message_that_fits_is_told_and_a_title_where_none_does() {
    let mut lab = Lab::of(
        "signs: [{fact: disk.read_only}]\nmessage: [{when: 'pids.current > 100', say: 'many: {{pids.current}}'}, {when: 'pids.current > 10', say: some}]",
    );
    lab.set(0.0, DISK_READ_ONLY, true);
    let mut told = |current: Option<i64>| {
        match current {
            Some(current) => lab.set(0.0, PIDS_CURRENT, current),
            None => lab.miss(0.0, PIDS_CURRENT, MissingKind::Hung),
        }
        lab.look(0.0).diagnosis.causes[0].message.clone()
    };
    assert_eq!(
        (told(Some(500)), told(Some(50)), told(Some(5)), told(None)),
        ("many: 500".into(), "some".into(), "Title of it".into(), "Title of it".into())
    );
}

#[test]
fn steps_are_shown_unless_they_do_not_fit_and_never_with_something_unknown_in_them() {
    let mut lab = Lab::of(
        "signs: [{fact: disk.read_only}]\nremedy:\n  - {say: always, run: 'echo {{node.name}}'}\n  - {say: perhaps, when: dns.resolves}\n  - {say: no, when: '!disk.read_only'}\n  - {say: 'of {{dns.name}}'}\n  - {say: without command, run: 'echo {{dns.name}}'}",
    );
    lab.set(0.0, DISK_READ_ONLY, true);
    lab.set(0.0, NODE_NAME, "n1".to_owned());
    let outcome = lab.look(0.0);
    let steps: Vec<_> = outcome.diagnosis.causes[0].remedy.iter().map(|step| (step.say.as_str(), step.run.as_deref())).collect();
    assert_eq!(steps, [("always", Some("echo n1")), ("perhaps", None), ("without command", None)]);
}

#[test]
fn a_message_that_keeps_changing_is_told_again_soon_and_then_ever_more_seldom() {
    let mut lab = Lab::of("signs: [{fact: disk.read_only}]\nmessage: '{{pids.current}}'");
    lab.set(0.0, DISK_READ_ONLY, true);
    let mut at_second = |seconds: f64, current: i64| {
        lab.set(seconds, PIDS_CURRENT, current);
        let outcome = lab.look(seconds);
        assert_eq!(outcome.diagnosis.causes[0].message, current.to_string(), "the diagnosis itself is always new");
        (changes(&outcome), outcome.wake_at)
    };
    assert_eq!(at_second(0.0, 1), (vec!["opened it".to_owned()], None));
    assert_eq!(at_second(0.2, 2), (vec![], after(1.0)));
    assert_eq!(at_second(0.8, 3), (vec![], after(1.0)));
    assert_eq!(at_second(1.0, 3), (vec!["confirmed it".to_owned()], None));
    assert_eq!(at_second(1.5, 4), (vec![], after(3.0)));
    assert_eq!(at_second(2.0, 3), (vec![], None), "back to what was told");
    assert_eq!(at_second(20.0, 3), (vec![], None));
    let mut current = 3;
    for told_at in [21.0, 25.0, 33.0, 49.0, 79.0, 109.0, 139.0] {
        current += 1;
        if told_at > 21.0 {
            assert_eq!(at_second(told_at - 0.5, current), (vec![], after(told_at)));
        }
        assert_eq!(at_second(told_at, current), (vec!["confirmed it".to_owned()], None));
    }
}

#[test]
fn the_latest_record_comes_first_then_the_facts_of_the_cause_and_of_its_true_signs() {
    let mut lab = Lab::of(
        "signs: [{log: {from: [kubelet], match: a, quiet_for: 10m}}, {log: {from: [kubelet], match: b, quiet_for: 10m}}, {fact: 'disk.read_only && pids.current > 1'}, {fact: dns.resolves}]\nevidence: [swap.devices, node.name, dns.error]",
    );
    lab.set(0.0, DISK_READ_ONLY, true);
    lab.set(0.0, PIDS_CURRENT, 7);
    lab.set(0.0, DNS_RESOLVES, false);
    lab.set(0.0, NODE_NAME, String::new());
    lab.set(0.0, SWAP_DEVICES, vec![]);
    lab.hear(1.0, "it", 0, "a");
    lab.hear(2.0, "it", 1, "b");
    let outcome = lab.look(3.0);
    let evidence: Vec<_> = outcome.diagnosis.causes[0].evidence.iter().map(|one| (one.source.as_str(), one.quote.as_str())).collect();
    let wanted = [
        ("log:kubelet.service", "b"),
        ("log:kubelet.service", "a"),
        ("swap.devices", "none"),
        ("disk.read_only", "true"),
        ("pids.current", "7"),
    ];
    assert_eq!(evidence, wanted, "what is empty or unknown is no evidence");
}

#[test]
fn captures_of_all_signs_that_hold_can_be_told() {
    let mut lab = Lab::of(
        "signs: [{log: {from: [kubelet], match: '(?P<x>a)', quiet_for: 10m}}, {log: {from: [kubelet], match: '(?P<y>b)', quiet_for: 10m}}]\nmessage: '{{captures.x}} {{captures.y}} {{captures.z}}'",
    );
    lab.hear_with(1.0, "it", 0, "a", &[("x", "1"), ("z", "old")]);
    lab.hear_with(2.0, "it", 1, "b", &[("y", "2"), ("z", "new")]);
    assert_eq!(lab.look(3.0).diagnosis.causes[0].message, "1 2 new");
}

#[test]
fn facts_missing_for_one_reason_are_told_in_one_line() {
    let files: Vec<_> =
        ["kubelet.unit.running", "kubelet.config.exists", "kubelet.unit.restarts == 1", "disk.read_only", "pids.current > 3"]
            .iter()
            .enumerate()
            .map(|(index, fact)| file(&format!("c{index}"), &format!("signs: [{{fact: '{fact}'}}]")))
            .collect();
    let mut lab = Lab::new(&files);
    lab.facts.miss_under("kubelet", at(0.0), &Missing::new(MissingKind::Denied, "EACCES").hint("run as root"));
    lab.miss(0.0, PIDS_CURRENT, MissingKind::Hung);
    let unknown = lab.look(0.0).diagnosis.unknown;
    let lines: Vec<_> = unknown.iter().map(|one| (one.what.as_str(), one.why.as_str())).collect();
    assert_eq!(lines, [("disk.read_only", "not looked at yet"), ("kubelet", "EACCES; run as root"), ("pids.current", "Hung")]);
}

#[test]
fn everything_is_bounded() {
    let signs: Vec<String> = (0..20).map(|n| format!("{{log: {{from: [kubelet], match: 'x{n}', quiet_for: 10m}}}}")).collect();
    let evidence = "[node.name, node.hostname, node.machine_id, node.boot_id, node.kernel, node.os, dns.name, dns.error, apiserver.server]";
    let mut lab = Lab::of(&format!("signs: [{}]\nevidence: {evidence}\nmessage: '{{{{sighting.text}}}}'", signs.join(", ")));
    for key in [NODE_NAME, NODE_HOSTNAME, NODE_MACHINE_ID, NODE_BOOT_ID, NODE_KERNEL, NODE_OS, DNS_NAME, DNS_ERROR, APISERVER_SERVER] {
        lab.set(0.0, key, "ü".repeat(10_000));
    }
    let long = "ü".repeat(1000);
    for n in 0..5000 {
        lab.hear(f64::from(n), "it", (n % 20) as usize, &long);
    }
    let outcome = lab.look(5000.0);
    let cause = &outcome.diagnosis.causes[0];
    assert!(cause.evidence.len() <= 8 && cause.evidence.iter().all(|one| one.quote.len() <= 2048) && cause.message.len() <= 2048);
    assert_eq!(cause.evidence[0].count, 250);
    let size = serde_json::to_string(&outcome.state).expect("written").len();
    assert!(size < 100_000, "{size}");
}

#[test]
fn an_idle_node_has_a_small_state_and_asks_for_nothing() {
    let mut lab =
        Lab::of("signs: [{fact: disk.read_only, for: 3s}, {log: {from: [kubelet], match: x, quiet_for: 10m}}]\nabsent: '!disk.read_only'");
    lab.set(0.0, DISK_READ_ONLY, false);
    let idle = lab.look(0.0);
    assert_eq!((idle.transitions, idle.wake_at), (vec![], None));
    assert_eq!(serde_json::to_string(&idle.state).expect("written"), "{}");
}

#[test]
fn a_state_of_another_version_is_read_as_far_as_it_goes() {
    for json in [
        "{}",
        r#"{"causes": {"x": 1}, "later": true}"#,
        r#"{"watched": {"it": {"logs": {"0": {"count": 3, "later": 1}}, "facts": {"1": {}}, "later": {}}}}"#,
        r#"{"fading": {"it": {}}, "given": {"it": {}}}"#,
    ] {
        assert!(serde_json::from_str::<State>(json).is_ok(), "{json}");
    }
}

#[test]
fn a_cause_of_the_collector_is_put_into_words_with_what_it_knows() {
    let catalogue =
        load(&[file("it", "found_by: collector\nmessage: '{{node.name}} is silent'\nremedy: [{say: look, run: 'ping {{node.name}}'}]")]);
    let mut facts = Facts::new();
    facts.set(NODE_NAME, at(0.0), "n1".to_owned());
    let (message, remedy) = in_words(&catalogue.causes()[0], &facts, at(1.0));
    assert_eq!((message.as_str(), remedy[0].run.as_deref()), ("n1 is silent", Some("ping n1")));
}

#[test]
fn a_host_without_a_kubelet_is_told_with_the_places_looked_at_and_critical_causes_alone_are_counted() {
    let one = |severity: &str, fact: &str| format!("signs: [{{fact: {fact}}}]\nseverity: {severity}");
    let mut lab = Lab::new(&[
        file("a", &one("critical", "disk.read_only")),
        file("b", &one("critical", "disk.below_bytes")),
        file("c", &one("warning", "disk.below_inodes")),
    ]);
    for key in [DISK_READ_ONLY, DISK_BELOW_BYTES, DISK_BELOW_INODES] {
        lab.miss(0.0, key, MissingKind::Failed);
    }
    lab.set(0.0, NODE_IS_KUBERNETES, false);
    lab.set(0.0, NODE_LOOKED_IN, vec!["/etc/kubernetes".to_owned(), "kubelet.service".to_owned()]);
    let outcome = lab.look(0.0);
    assert_eq!(outcome.critical_unknown, 2);
    let first = &outcome.diagnosis.unknown[0];
    assert_eq!((&*first.what, &*first.why), ("kubelet", "no kubelet was found on this host; looked for /etc/kubernetes, kubelet.service"));
    lab.set(1.0, NODE_IS_KUBERNETES, true);
    assert!(lab.look(1.0).diagnosis.unknown.iter().all(|unknown| unknown.what != "kubelet"));
}

#[test]
fn entries_of_the_journal_that_were_not_read_are_told_and_make_no_verdict() {
    let mut lab = Lab::new(&[file("a", "signs: [{fact: disk.read_only}]\nseverity: critical")]);
    lab.set(0.0, DISK_READ_ONLY, false);
    lab.set(0.0, LOGS_JOURNAL_GAP, String::new());
    assert_eq!(lab.look(0.0).diagnosis.unknown, []);
    lab.set(1.0, LOGS_JOURNAL_GAP, "the journal is longer than there was time for".to_owned());
    let diagnosis = lab.look(1.0).diagnosis;
    assert_eq!(diagnosis.unknown[0].what, "logs.journal");
    assert_eq!(diagnosis.verdict, Verdict::Healthy);
}
