use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::expr::Spoken;
use super::*;
use crate::facts::schema::*;
use crate::facts::{Facts, Missing, MissingKind, Record, Seen};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    let swap = Record::new().with("path", "/swap.img".to_owned()).with("kind", "file".to_owned());
    facts.set(SWAP_DEVICES, at(0), vec![swap.with("size_bytes", 2_i64 << 30).with("used_bytes", 0_i64)]);
    let fstab = Record::new().with("device", "/swap.img".to_owned()).with("line", 7_i64).with("text", String::new());
    facts.set(SWAP_FSTAB, at(0), vec![fstab]);
    let cni = |name: &str, valid| Record::new().with("path", format!("/etc/cni/net.d/{name}")).with("valid", valid);
    facts.set(CNI_CONFIGS, at(0), vec![cni("a", true), cni("b", false)]);
    facts.set(MEMORY_TOTAL_BYTES, at(0), 1536 << 20);
    facts.set(MEMORY_AVAILABLE_BYTES, at(0), 1023);
    facts.set(KUBELET_UNIT_RAN_FOR, at(0), SignedDuration::from_secs(3790));
    facts.set(KUBELET_UNIT_EXITED_AT, at(0), at(1));
    facts.set(KUBELET_UNIT_NAME, at(0), "kubelet.service".to_owned());
    facts.set(KUBELET_CONFIG_FAIL_SWAP_ON, at(0), true);
    facts.set(KUBELET_FLAGS, at(0), [("v".to_owned(), "2".to_owned()), ("x".to_owned(), "y".to_owned())].into());
    facts.set(CLOCK_SKEW_SECONDS, at(0), 12.5);
    facts.set(DNS_SERVERS, at(0), vec!["10.0.0.1".into(), "10.0.0.2".into()]);
    facts.miss(KUBELET_HEALTHZ_STATE, at(0), Missing::new(MissingKind::Hung, "hung"));
    facts
}

fn with<T>(source: &str, captures: &[(&str, &str)], ask: impl FnOnce(&Template, &Scope<'_>) -> T) -> T {
    let (facts, none) = (facts(), Facts::new());
    let seen = Seen::new(&facts, &none, at(100));
    let captures: BTreeMap<String, String> = captures.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let pods = BTreeMap::from([("shop/web-0".to_owned(), at(2)), ("shop/web-1".to_owned(), at(1))]);
    let spoken = Spoken { captures: &captures, text: "the line", pods: &pods, count: 3, first_at: at(1), last_at: at(2) };
    let template = Template::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    ask(&template, &Scope { spoken: Some(spoken), ..Scope::facts(&seen) })
}

fn say(source: &str) -> String {
    with(source, &[("flag", "--frob")], Template::say)
}

#[test]
fn values_are_worded_by_what_they_are() {
    for (source, text) in [
        ("{{swap.devices}}", "/swap.img (file, 2.0 GiB, 0 B used)"),
        ("{{swap.fstab}}", "/swap.img (line 7)"),
        ("{{cni.configs.filter(c, !c.valid)}}", "/etc/cni/net.d/b (not valid)"),
        ("{{cni.configs.map(c, c.path)}}", "/etc/cni/net.d/a, /etc/cni/net.d/b"),
        ("{{swap.devices.filter(d, d.path == 'x')}}", "none"),
        ("a {{ swap.devices[0].size_bytes }} b", "a 2.0 GiB b"),
        ("{{memory.total_bytes}}, {{memory.available_bytes}}", "1.5 GiB, 1023 B"),
        ("{{kubelet.unit.ran_for}}", "1h 3m"),
        ("{{duration('300ms')}}", "300ms"),
        ("{{kubelet.unit.exited_at}}", "1970-01-01 00:00:01Z"),
        ("{{dns.servers}}", "10.0.0.1, 10.0.0.2"),
        ("{{kubelet.flags}}", "v=2, x=y"),
        ("{{kubelet.flags.v}}", "2"),
        ("{{clock.skew_seconds}}, {{1.0 / 3.0}}, {{2.0}}", "12.5, 0.333, 2"),
        // What rounds to nothing has no sign.
        ("{{-0.0004}}, {{0.0 - 0.0}}, {{-0.002}}, {{-10.0}}", "0, 0, -0.002, -10"),
        ("failSwapOn is {{kubelet.config.fail_swap_on}}", "failSwapOn is true"),
        ("{{captures.flag}}: {{sighting.count}} times since {{sighting.first_at}}", "--frob: 3 times since 1970-01-01 00:00:01Z"),
        ("{{has(kubelet.unit.name) ? kubelet.unit.name : 'kubelet'}}", "kubelet.service"),
        ("{{has(kubelet.healthz.state) ? kubelet.healthz.state : 'not told'}}", "not told"),
        ("{{1 + 1}}", "2"),
        ("no value", "no value"),
        ("", ""),
    ] {
        assert_eq!(say(source), text, "{source}");
    }
}

#[test]
fn what_is_not_known_says_so() {
    assert_eq!(say("a {{kubelet.healthz.state}} b {{captures.nothing}} {{swap.devices[7].path}}"), "a unknown b unknown unknown");
    assert_eq!(with("a {{kubelet.healthz.state}}", &[], Template::say_whole), None);
}

#[test]
fn a_command_with_an_unknown_value_is_none() {
    assert_eq!(
        with("systemctl restart {{kubelet.unit.name}}", &[], Template::command).as_deref(),
        Some("systemctl restart kubelet.service")
    );
    assert_eq!(with("echo {{kubelet.healthz.state}}", &[], Template::command), None);
}

#[test]
fn times_in_commands_are_what_every_journalctl_takes() {
    let command = with("journalctl --since {{kubelet.unit.exited_at}}", &[], Template::command);
    assert_eq!(command.as_deref(), Some("journalctl --since @1"));
}

#[test]
fn nothing_a_log_says_becomes_a_second_command() {
    for hostile in ["; rm -rf /", "$(reboot)", "a\nreboot", "`x`", "a b", "'", "\"", "|x", "&", ">x", "*", "~", "\u{202e}", ""] {
        assert_eq!(with("echo {{captures.x}}", &[("x", hostile)], Template::command), None, "{hostile:?}");
    }
    let plain = "/var/lib/kubelet/pki-2026_a.b:c@d=e,+f";
    assert_eq!(with("echo {{captures.x}}", &[("x", plain)], Template::command), Some(format!("echo {plain}")));
}

#[test]
fn a_long_value_is_cut() {
    let long = "ü".repeat(5000);
    let text = with("{{captures.x}}", &[("x", &long)], Template::say);
    assert!(text.len() <= 1024 + 3 && text.ends_with('…'), "{}", text.len());
}

#[test]
fn broken_texts_are_refused() {
    assert_eq!(Template::compile("{{a").expect_err("open"), TemplateError::Unclosed);
    let error = Template::compile("x {{kubelet.unit.nam}}").expect_err("no such fact").to_string();
    assert!(error.starts_with("in {{kubelet.unit.nam}}: unknown fact `kubelet.unit.nam`; did you mean `kubelet.unit.name`?"), "{error}");
    assert!(Template::compile("{{}}").is_err());
}
