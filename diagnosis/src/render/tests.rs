use jiff::Timestamp;

use super::*;
use crate::model::{Layer, Unknown};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn cause(code: &str, root: bool, explained_by: &[&str]) -> PresentCause {
    PresentCause {
        case_id: format!("n/{code}/1"),
        code: code.to_owned(),
        title: format!("Title of {code}"),
        severity: Severity::Critical,
        layer: Layer::Kubelet,
        root,
        latent: false,
        since: at("2026-11-23T07:48:58Z"),
        message: format!("message of {code}"),
        evidence: Vec::new(),
        explains: Vec::new(),
        explained_by: explained_by.iter().map(|code| (*code).to_owned()).collect(),
        remedy: Vec::new(),
    }
}

fn swap() -> Diagnosis {
    let mut root = cause("swap-enabled", true, &[]);
    root.evidence = vec![
        Evidence {
            source: "log:kubelet.service".to_owned(),
            at: Some(at("2026-11-23T07:59:49.103848Z")),
            quote: "E1122 run.go:72] \"command failed\"\nsecond line \u{1b}[31m".to_owned(),
            count: 11,
        },
        Evidence { source: "swap.devices".to_owned(), at: None, quote: "/dev/sda2 (partition, 2.0 GiB)".to_owned(), count: 1 },
    ];
    root.remedy = vec![
        Remedy { say: "Turn swap off now".to_owned(), run: Some("swapoff -a".to_owned()) },
        Remedy { say: "Tell whoever owns the image".to_owned(), run: None },
    ];
    Diagnosis {
        node: "worker-1".to_owned(),
        at: at("2026-11-23T08:00:00Z"),
        verdict: Verdict::NotReady,
        causes: vec![root, cause("kubelet-down", false, &["swap-enabled"])],
        unknown: vec![Unknown { what: "apiserver".to_owned(), why: "no kubeconfig yet".to_owned() }],
    }
}

#[test]
fn the_page_says_verdict_root_since_evidence_fix_symptoms_and_unknown_in_this_order() {
    let want = r#"node worker-1: not-ready  (as of 2026-11-23 08:00:00Z)

ROOT CAUSE  swap-enabled
  Title of swap-enabled
  message of swap-enabled
  since 2026-11-23 07:48:58Z (11m 2s)

  Evidence
    2026-11-23 07:59:49Z  log:kubelet.service  (11 times, the last is shown)
      E1122 run.go:72] "command failed"
      second line \x1b[31m
    swap.devices
      /dev/sda2 (partition, 2.0 GiB)

  Fix
    1. Turn swap off now
         swapoff -a
    2. Tell whoever owns the image

  Follows from it
    kubelet-down  (since 2026-11-23 07:48:58Z)
      message of kubelet-down

UNKNOWN  could not be looked at
  apiserver
    no kubeconfig yet
"#;
    assert_eq!(text(&swap(), Style::default()), want);
}

#[test]
fn colours_are_only_there_when_asked_for_and_change_no_word() {
    let coloured = text(&swap(), Style { colour: true, ..Style::default() });
    assert!(coloured.contains("\u{1b}[1;31mnot-ready\u{1b}[0m"));
    let mut plain = String::new();
    for part in coloured.split("\u{1b}[") {
        plain.push_str(
            part.split_once('m').filter(|(code, _)| code.bytes().all(|b| b.is_ascii_digit() || b == b';')).map_or(part, |(_, rest)| rest),
        );
    }
    assert_eq!(plain, text(&swap(), Style::default()));
}

#[test]
fn commands_are_never_wrapped_and_cannot_smuggle_a_second_line() {
    let mut diagnosis = swap();
    let long = format!("echo {}", "word ".repeat(60));
    diagnosis.causes[0].remedy[0].run = Some(long.clone());
    diagnosis.causes[0].remedy[1].run = Some("true\r\u{1b}[8m; rm x".to_owned());
    let page = text(&diagnosis, Style { width: 60, ..Style::default() });
    assert!(page.contains(&format!("         {long}\n")));
    assert!(page.contains("true\\r\\x1b[8m; rm x\n"));
}

#[test]
fn a_long_message_is_wrapped_to_the_width() {
    let mut diagnosis = swap();
    diagnosis.causes[0].message = "many words ".repeat(30);
    diagnosis.causes[0].remedy[1].say = "many words ".repeat(30);
    let page = text(&diagnosis, Style { width: 60, ..Style::default() });
    let too_wide: Vec<_> = page.lines().filter(|line| line.chars().count() > 60 && !line.contains("log:")).collect();
    assert!(too_wide.is_empty(), "{too_wide:?}");
    assert!(page.contains("\n    2. many words"));
}

#[test]
fn several_roots_are_counted_and_each_symptom_is_told_once() {
    let mut diagnosis = swap();
    diagnosis.causes.insert(1, cause("disk-pressure", true, &[]));
    diagnosis.causes[2].explained_by.push("disk-pressure".to_owned());
    let page = text(&diagnosis, Style::default());
    assert!(page.contains("ROOT CAUSE 1 of 2  swap-enabled") && page.contains("ROOT CAUSE 2 of 2  disk-pressure"));
    assert_eq!(page.matches("message of kubelet-down").count(), 1);
}

#[test]
fn what_will_break_stands_in_a_section_of_its_own_after_what_is_broken() {
    let mut diagnosis = swap();
    let later = |code: &str| PresentCause { severity: Severity::Warning, latent: true, ..cause(code, true, &[]) };
    diagnosis.causes.splice(1..1, [cause("disk-pressure", true, &[]), later("swap-at-boot"), later("reboot-pending")]);
    let page = text(&diagnosis, Style::default());
    let heads: Vec<_> = page.lines().filter(|line| line.contains(" of 2  ")).collect();
    assert_eq!(
        heads,
        [
            "ROOT CAUSE 1 of 2  swap-enabled",
            "ROOT CAUSE 2 of 2  disk-pressure",
            "WILL BREAK 1 of 2  swap-at-boot",
            "WILL BREAK 2 of 2  reboot-pending"
        ]
    );
}

#[test]
fn a_symptom_whose_root_has_ended_is_still_told() {
    let mut diagnosis = swap();
    diagnosis.causes.remove(0);
    assert!(text(&diagnosis, Style::default()).contains("Left over from causes that have ended\n  kubelet-down"));
}

#[test]
fn healthy_and_unknown_say_what_they_mean() {
    let mut diagnosis = swap();
    diagnosis.causes.clear();
    diagnosis.verdict = Verdict::Unknown;
    assert!(text(&diagnosis, Style::default()).contains("and something that could be critical could not be looked at."));
    for (count, words) in [(1, "and one cause that would be critical could not be looked for."), (3, "and 3 causes that would be")] {
        let page = text(&diagnosis, Style { critical_unknown: Some(count), ..Style::default() });
        assert!(page.contains(words), "{page}");
    }
    diagnosis.verdict = Verdict::Healthy;
    assert!(text(&diagnosis, Style::default()).contains("No cause found in what could be looked at."));
    diagnosis.unknown.clear();
    assert_eq!(text(&diagnosis, Style::default()), "node worker-1: healthy  (as of 2026-11-23 08:00:00Z)\nNo cause found.\n");
}

#[test]
fn a_host_without_a_kubelet_is_told_as_that_first() {
    let mut diagnosis = swap();
    diagnosis.causes.clear();
    diagnosis.verdict = Verdict::Unknown;
    assert!(!text(&diagnosis, Style::default()).contains("No kubelet was found"));
    diagnosis.unknown =
        vec![Unknown { what: "kubelet".to_owned(), why: "no kubelet was found on this host; looked for /etc/kubernetes".to_owned() }];
    let second =
        |verdict| text(&Diagnosis { verdict, ..diagnosis.clone() }, Style::default()).lines().nth(1).unwrap_or_default().to_owned();
    for verdict in [Verdict::Unknown, Verdict::Healthy] {
        assert!(second(verdict).starts_with("No kubelet was found here: "), "{}", second(verdict));
    }
}

#[test]
fn an_undated_log_shows_no_times() {
    let page = text(&swap(), Style { undated: true, ..Style::default() });
    assert!(!page.contains("2026-") && page.contains("log:kubelet.service"), "{page}");
}

#[test]
fn a_saved_log_without_a_cause_is_not_called_healthy() {
    let mut diagnosis = swap();
    diagnosis.causes.clear();
    diagnosis.verdict = Verdict::Healthy;
    let page = text(&diagnosis, Style { saved_log: true, ..Style::default() });
    assert!(page.contains("nothing found") && !page.contains("healthy"), "{page}");
}

#[test]
fn a_silent_node_says_since_when_and_how_long_ago_before_all_else() {
    let mut diagnosis = swap();
    diagnosis.verdict = Verdict::Unknown;
    diagnosis.causes.insert(0, PresentCause { since: diagnosis.at, ..cause("agent-silent", true, &[]) });
    let style = Style { now: Some(at("2026-11-23T08:00:07Z")), silent_since: Some(diagnosis.at), ..Style::default() };
    let page = text(&diagnosis, style);
    assert!(
        page.starts_with("node worker-1: unknown  (silent since 2026-11-23 08:00:00Z, 7s ago; below is what was known then)\n\nROOT CAUSE 1 of 2  agent-silent\n"),
        "{page}"
    );
    assert!(page.contains("since 2026-11-23 08:00:00Z (7s)"), "spans reach to the reader's time: {page}");
}
