use jiff::tz::TimeZone;

use super::*;

fn parser() -> LineParser {
    LineParser::new("2026-11-23T08:00:00Z".parse().expect("a time"), TimeZone::UTC)
}

/// One line as `source|unit|time|message`.
fn seen(line: &str) -> String {
    let mut parser = parser();
    show(parser.parse(line))
}

fn show(parsed: ParsedLine<'_>) -> String {
    match parsed {
        ParsedLine::Skip => "skip".to_owned(),
        ParsedLine::Record(Spoken { record, .. }) => {
            let at = record.at.map_or("-".to_owned(), |at| at.to_string());
            format!("{:?}|{}|{at}|{}", record.source, record.unit, record.message)
        }
    }
}

fn all(text: &str) -> Vec<String> {
    let mut parser = parser();
    let mut out: Vec<_> = text.lines().map(|line| show(parser.parse(line))).filter(|line| line != "skip").collect();
    out.extend(Some(show(parser.finish())).filter(|line| line != "skip"));
    out
}

const SWAP: &str = r#"E1122 00:54:49.103848   14029 run.go:72] "command failed" err="swap""#;

#[test]
fn audit_lines_have_their_time_and_keep_their_words() {
    for line in ["type=AVC msg=audit(1795308889.104:412): avc:  denied  { read }", "node=w1 type=USER_AVC msg=audit(1795308889.104:413): x"]
    {
        assert_eq!(seen(line), format!("Unknown||2026-11-22T00:54:49.104Z|{line}"));
    }
    for line in [
        "type=AVC msg=audit(",
        "type= msg=audit(1:2",
        "type=AVC msg=audit(99999999999999999999.1:2): x",
        "type=a b msg=audit(1795308889.104:1): x",
    ] {
        assert_eq!(seen(line), format!("Unknown||-|{line}"), "no time that could be read");
    }
}

#[test]
fn journalctl_short_and_its_kin() {
    let want = format!("Kubelet|kubelet|2026-11-22T00:54:49Z|{SWAP}");
    for prefix in [
        "Nov 22 00:54:49 node1 kubelet[14029]: ",
        "11月 22 00:54:49 node1 kubelet[14029]: ",
        "2026-11-22T00:54:49+0000 node1 kubelet[14029]: ",
        "2026-11-22T01:54:49+01:00 node1 kubelet[14029]: ",
        "Sun 2026-11-22 00:54:49 UTC node1 kubelet[14029]: ",
        "Sun 2026-11-22 00:54:49 CET node1 kubelet[14029]: ",
        "1795308889.000000 node1 kubelet[14029]: ",
        "<30>Nov 22 00:54:49 node1 kubelet[14029]: ",
        "    Nov 22 00:54:49 node1 kubelet[14029]: ",
        "> Nov 22 00:54:49 node1 kubelet[14029]: ",
        "\u{1b}[0;1;31mNov 22 00:54:49 node1 kubelet[14029]: \u{1b}[0m",
    ] {
        assert_eq!(seen(&format!("{prefix}{SWAP}")), want, "{prefix}");
    }
    assert_eq!(
        seen(&format!("Nov 22 00:54:49.104001 node1 kubelet[14029]: {SWAP}")),
        format!("Kubelet|kubelet|2026-11-22T00:54:49.104001Z|{SWAP}")
    );
    assert_eq!(seen(&format!("node1 kubelet[14029]: {SWAP}")), format!("Kubelet|kubelet|2026-11-22T00:54:49.103848Z|{SWAP}"));
    assert_eq!(seen(&format!("kubelet: {SWAP}")), format!("Kubelet|kubelet|2026-11-22T00:54:49.103848Z|{SWAP}"));
}

#[test]
fn lines_without_a_speaker_are_unknown() {
    assert_eq!(seen(SWAP), format!("Unknown||2026-11-22T00:54:49.103848Z|{SWAP}"));
    assert_eq!(seen("failed to start daemon: no overlay"), "Unknown||-|failed to start daemon: no overlay");
    assert_eq!(seen("2026-11-22T00:54:49.5Z Mounting command: mount"), "Unknown||2026-11-22T00:54:49.5Z|Mounting command: mount");
    assert_eq!(seen("2026-11-22 00:54:49.000 | plugin: exit status 1 |"), "Unknown||2026-11-22T00:54:49Z|plugin: exit status 1 |");
}

#[test]
fn systemd_is_recorded_under_the_unit_it_speaks_of() {
    let exited = "kubelet.service: Main process exited, code=exited, status=1/FAILURE";
    assert_eq!(seen(&format!("Nov 22 00:54:49 n systemd[1]: {exited}")), format!("Systemd|kubelet.service|2026-11-22T00:54:49Z|{exited}"));
    assert_eq!(seen(&format!("Nov 22 00:54:49 n systemd: {exited}")), format!("Systemd|kubelet.service|2026-11-22T00:54:49Z|{exited}"));
    assert_eq!(seen(exited), format!("Systemd|kubelet.service|-|{exited}"));
    assert_eq!(
        seen("Nov 22 00:54:49 n systemd[1]: Started kubelet.service - kubelet: The Kubernetes Node Agent."),
        "Systemd|kubelet.service|2026-11-22T00:54:49Z|Started kubelet.service - kubelet: The Kubernetes Node Agent."
    );
    assert!(seen("Nov 22 00:54:49 n systemd[812]: x.service: Failed").starts_with("Other|"), "a user's manager");
}

#[test]
fn dmesg_in_its_forms() {
    for line in [
        "[  12.345678] oom",
        "[Sun Nov 22 00:54:49 2026] oom",
        "kern  :err   : [  12.345678] oom",
        "<3>[  12.345678] oom",
        "Nov 22 00:54:49 n kernel: [  12.3] oom",
        "Nov 22 00:54:49 n kernel: : [12.3] oom",
        "kernel:oom",
        "2026-11-22 00:54:49    [12.3] oom",
        "** 11 printk messages dropped ** [   12.345678] oom",
        "10.0.0.2: kern:     err: [2026-11-22T00:54:49Z]: oom",
    ] {
        let got = seen(line);
        assert!(got.starts_with("Kernel|") && got.ends_with("|oom"), "{line}: {got}");
    }
    assert_eq!(seen("[Sun Nov 22 00:54:49 2026] oom"), "Kernel||2026-11-22T00:54:49Z|oom");
    assert_eq!(seen("[preflight] Running pre-flight checks"), "Unknown||-|[preflight] Running pre-flight checks");
    assert!(seen("[  12.3] n kubelet[4]: x").starts_with("Kubelet|kubelet|-|x"), "journalctl -o short-monotonic");
}

#[test]
fn k3s_is_a_bundle_and_its_full_date_tells_the_year() {
    let line = r#"Jan 16 13:15:06 n k3s[37195]: time="2023-01-16T13:15:06+08:00" level=fatal msg="starting kubernetes""#;
    assert!(seen(line).starts_with("Bundle|k3s|2023-01-16T05:15:06Z|time="), "{}", seen(line));
    let two = all(&format!("{line}\nJan 17 00:00:00 n systemd[1]: k3s.service: x"));
    assert!(two[1].starts_with("Systemd|k3s.service|2023-01-17T"), "{}", two[1]);
}

#[test]
fn docker_and_cri_log_files_are_unwrapped() {
    let docker = r#"{"log":"E1122 00:54:49.103848       1 a.go:1] \"x\"\n","stream":"stderr","time":"2026-11-22T00:54:50.5Z"}"#;
    assert_eq!(seen(docker), "Unknown||2026-11-22T00:54:50.5Z|E1122 00:54:49.103848       1 a.go:1] \"x\"");
    assert_eq!(seen("2026-11-22T00:54:50.5Z stderr F E1122 00:54:49.1 x"), "Unknown||2026-11-22T00:54:50.5Z|E1122 00:54:49.1 x");
    let etcd = r#"{"level":"warn","ts":"2026-11-22T00:54:50.5Z","caller":"a.go:1","msg":"slow"}"#;
    assert_eq!(seen(etcd), format!("Unknown||2026-11-22T00:54:50.5Z|{etcd}"));
}

#[test]
fn a_kubelets_own_json_is_read_as_what_klog_would_have_written() {
    let json = r#"{"ts":1795308890500.0,"caller":"kubelet/kubelet_pods.go:7","msg":"Failed \"x\"","pod":{"name":"a","namespace":"b"},"err":"no y"}"#;
    let want = r#"2026-11-22T00:54:50.5Z|E kubelet_pods.go:7] "Failed \"x\"" err="no y" pod="b/a""#;
    assert_eq!(seen(json), format!("Unknown||{want}"));
    assert_eq!(seen(&format!("10.0.0.2: {json}")), format!("Unknown||{want}"), "talosctl logs kubelet");
    assert_eq!(seen(&format!("10.0.0.2: user: warning: [2026-11-22T00:54:51Z]: kubelet: {json}")), format!("Kubelet|kubelet|{want}"));
    let info = r#"{"ts":1795308890500.0,"caller":"a/b.go:7","msg":"x","v":2}"#;
    assert_eq!(seen(info), "Unknown||2026-11-22T00:54:50.5Z|I b.go:7] \"x\"");
}

#[test]
fn json_that_a_message_quotes_stays_in_it() {
    for line in [
        r#"E1122 00:54:49.103848 1 a.go:1] Unauthorized: {"message":"x","code":401}"#,
        r#"2026-11-22T00:54:49Z the server answered {"message":"x"}"#,
        r#"[talos] controller failed {"component":"a","message":"b"}"#,
    ] {
        assert!(seen(line).ends_with(line.trim_start_matches("2026-11-22T00:54:49Z ")), "{line}: {}", seen(line));
    }
}

#[test]
fn other_programs_stay_others_in_every_carrier() {
    let quoted = serde_json::to_string(SWAP).expect("a string");
    for line in [
        format!("Nov 22 00:54:49 n csi-plugin[7]: {SWAP}"),
        format!("[csi-node-x2 csi-plugin] {SWAP}"),
        format!("csi-node-x2 › csi-plugin {SWAP}"),
        format!("[pod/csi-node-x2/csi-plugin] 2026-11-22T00:54:49Z {SWAP}"),
        format!("csi-plugin-1  | {SWAP}"),
        format!(r#"{{"textPayload":{quoted},"resource":{{"labels":{{"container_name":"csi-plugin"}}}}}}"#),
        format!(r#"{{"log":{quoted},"kubernetes":{{"container_name":"csi-plugin"}}}}"#),
    ] {
        assert!(seen(&line).starts_with("Other|csi-plugin"), "{line}: {}", seen(&line));
        let proxy = line.replace("csi-plugin", "kube-proxy");
        assert!(seen(&proxy).starts_with("ControlPlane|kube-proxy"), "{proxy}: {}", seen(&proxy));
    }
}

#[test]
fn journalctl_json_export_and_verbose_give_the_same_entry() {
    let want = ["Kubelet|kubelet.service|2026-11-22T00:54:49.5Z|swap", "Systemd|kubelet.service|2026-11-22T00:54:50Z|bye"];
    let json = r#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795308889500000","_SYSTEMD_UNIT":"kubelet.service","SYSLOG_IDENTIFIER":"kubelet","_PID":"9","PRIORITY":"6","MESSAGE":"swap"}
{"__REALTIME_TIMESTAMP":"1795308890000000","_SYSTEMD_UNIT":"init.scope","UNIT":"kubelet.service","SYSLOG_IDENTIFIER":"systemd","_PID":"1","MESSAGE":[98,121,101]}"#;
    assert_eq!(all(json), want);
    let export = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795308889500000\n_SYSTEMD_UNIT=kubelet.service\nMESSAGE=swap\n\n__CURSOR=s=2\n__REALTIME_TIMESTAMP=1795308890000000\n_PID=1\nUNIT=kubelet.service\nMESSAGE\n\u{3}\0\0\0\0\0\0\0bye\n";
    assert_eq!(all(export), want);
    let verbose = "Sun 2026-11-22 00:54:49.500000 UTC [s=1;i=2;b=3]\n    _SYSTEMD_UNIT=kubelet.service\n    MESSAGE=swap\nSun 2026-11-22 00:54:50 UTC [s=1;i=3]\n    _PID=1\n    UNIT=kubelet.service\n    MESSAGE=bye";
    assert_eq!(all(verbose), want);
}

#[test]
fn what_nobody_logged_is_skipped() {
    for line in ["", "   ", "-- Boot 5d --", "-- No entries --", "--", "lines 1-23/23 (END)", "░░ Subject: x", "```"] {
        assert_eq!(seen(line), "skip", "{line:?}");
    }
}

#[test]
fn continuation_lines_have_no_header() {
    let mut parser = parser();
    let mut headed = |line: &str| matches!(parser.parse(line), ParsedLine::Record(Spoken { headed: true, .. }));
    assert!(headed(SWAP));
    assert!(headed("Nov 22 00:54:49 node1 kubelet[14029]: x"));
    assert!(!headed("pc error: code = Unknown desc = failed"));
    assert!(!headed("  in /etc/kubernetes/kubelet.conf is expired: 2026-07-31 16:00:11 +0000 UTC"));
}

#[test]
fn hostile_and_truncated_input_is_a_record_or_skipped_and_never_a_panic() {
    let lines = [
        "{",
        "{}",
        "{\"log\":1}",
        "{\"MESSAGE\":null}",
        "{\"MESSAGE\":[1,2,999,\"x\"]}",
        "{\"ts\":1e308}",
        "{\"ts\":-1}",
        "[",
        "[]",
        "[1.",
        "[é.1]",
        "<",
        "<999>x",
        "<é>",
        "__CURSOR=",
        "MESSAGE",
        "\0\0\0",
        "Nov 22 00:54:49",
        "Nov 22 00:54:49 ",
        "Nov 22 00:54:49 :",
        "Nov 22 00:54:49 [1]: x",
        "x [s=]",
        "\u{1b}",
        "\u{1b}[",
        "\u{1b}[é",
        "kern:err:",
        "> > > ",
        "# ",
        "time=\"",
        "é月 22 00:00:00 x",
        "Tue 2026-11-22 00:54:49 UTC [s=1]",
        "2026-11-22T00:54:49",
        "Nov 22 00:54:49 n k[4294967296]: x",
    ];
    let mut shared = parser();
    for line in lines {
        for end in (0..=line.len()).filter(|&end| line.is_char_boundary(end)) {
            show(parser().parse(&line[..end]));
            show(shared.parse(&line[..end]));
        }
    }
    let huge = "x".repeat(1 << 20);
    for line in
        [huge.clone(), format!("Nov 22 00:54:49 n kubelet[1]: {huge}"), format!("{{\"MESSAGE\":\"{huge}\"}}"), format!("MESSAGE={huge}")]
    {
        show(shared.parse(&line));
    }
    assert!(seen(&format!("{{\"MESSAGE\":\"{huge}\"}}")).len() < MAX_MESSAGE + 64, "an entry's message is bounded");
    show(shared.finish());
}
