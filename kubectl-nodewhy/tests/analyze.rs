//! `analyze` through the real program, on a real kubelet's logs in every form people save them in.

mod support;

use std::path::{Path, PathBuf};

use nodewhy_diagnosis::model::{PresentCause, Severity};
use serde_json::Value;
use support::{Run, kubectl};

fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kubelet-logs")
}

fn log(name: &str) -> String {
    std::fs::read_to_string(logs().join(name)).expect("a fixture")
}

fn analyze(input: &[u8]) -> Run {
    kubectl(&["analyze", "--output", "json", "-"], input)
}

/// The causes in one node's log, without a process of its own.
fn judged(input: &[u8]) -> Vec<PresentCause> {
    let (mut nodes, _) = kubectl_nodewhy::analyze::of_bytes("log", input, jiff::Timestamp::now());
    nodes.pop().map(|node| node.causes).unwrap_or_default()
}

fn codes(json: &Value) -> Vec<String> {
    json["causes"].as_array().expect("a list of causes").iter().map(|cause| cause["code"].as_str().expect("a code").to_owned()).collect()
}

fn first(input: &str) -> String {
    let run = analyze(input.as_bytes());
    codes(&run.json()).first().cloned().unwrap_or_else(|| panic!("no cause in {}", run.stdout))
}

const SWAP: &str = r#"E1122 00:54:49.103848   14029 run.go:72] "command failed" err="failed to run Kubelet: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false""#;

#[test]
fn every_labelled_log_of_a_real_kubelet_is_named_by_its_cause() {
    let labels = log("labels.tsv");
    let wrong: Vec<_> = std::thread::scope(|threads| {
        let rows = labels.lines().filter(|row| !row.starts_with('#'));
        let judged: Vec<_> = rows.map(|row| threads.spawn(move || wrongly_named(row))).collect();
        assert!(judged.len() > 20, "the labels are there");
        judged.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong with the answer for a row of the labels: file, cause, other causes a fair judge accepts.
fn wrongly_named(row: &str) -> Option<String> {
    let mut fields = row.split('\t');
    let (name, cause) = (fields.next()?, fields.next()?);
    let accepted: Vec<_> = [cause].into_iter().chain(fields.next().unwrap_or("").split(',')).collect();
    let found = judged(log(name).as_bytes());
    let codes: Vec<&str> = found.iter().map(|cause| cause.code.as_str()).collect();
    let right = if cause == "none" {
        found.iter().all(|cause| cause.severity != Severity::Critical)
    } else if nodewhy_causes::catalogue().cause(cause).is_some() {
        found.first().is_some_and(|first| accepted.contains(&first.code.as_str()) && first.root)
    } else {
        true
    };
    (!right).then(|| format!("{name}: {cause}, got {codes:?}"))
}

#[test]
fn a_cause_is_found_whatever_carried_the_line() {
    let short = |prefix: &str| format!("{prefix}{SWAP}\n");
    let escaped = SWAP.replace('\\', "\\\\").replace('"', "\\\"");
    let (left, right) = SWAP.split_at(130);
    for input in [
        short(""),
        short("Nov 22 00:54:49 node1 kubelet[14029]: "),
        short("        Nov 22 00:54:49 node1 kubelet[14029]: "),
        short("11月 22 00:54:49 node1 kubelet[14029]: "),
        short("2026-11-22T00:54:49+0000 node1 kubelet[14029]: "),
        short("kubelet[14029]: "),
        short("> "),
        short("2026-11-22T00:54:49.103848999Z stderr F "),
        format!("{{\"log\":\"{escaped}\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T00:54:49.2Z\"}}\n"),
        format!("{{\"__REALTIME_TIMESTAMP\":\"1795308889103848\",\"_SYSTEMD_UNIT\":\"kubelet.service\",\"MESSAGE\":\"{escaped}\"}}\n"),
        format!("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795308889103848\n_SYSTEMD_UNIT=kubelet.service\nMESSAGE={SWAP}\n\n"),
        format!("Sun 2026-11-22 00:54:49.103848 UTC [s=1;i=2]\n    _SYSTEMD_UNIT=kubelet.service\n    MESSAGE={SWAP}\n"),
        format!("{left}\n{right}\n"),
        SWAP.replace("E1122 00:54:49.103848   14029 ", ""),
        SWAP.replace('\n', "\r\n"),
    ] {
        let found = judged(input.as_bytes());
        assert_eq!(found.first().map(|first| first.code.as_str()), Some("swap-enabled"), "{input}");
    }
}

#[test]
fn the_newest_line_may_come_first() {
    let mut lines: Vec<_> = log("swap-on.log").lines().filter(|line| line.starts_with(['I', 'W', 'E'])).map(str::to_owned).collect();
    lines.reverse();
    assert_eq!(first(&lines.join("\n")), "swap-enabled");
}

#[test]
fn a_cause_is_found_among_a_healthy_kubelets_lines() {
    let noise = log("healthy-standalone.log");
    let noise: Vec<_> = noise.lines().collect();
    let (before, after) = noise.split_at(noise.len() / 2);
    assert_eq!(first(&format!("{}\n{SWAP}\n{}\n", before.join("\n"), after.join("\n"))), "swap-enabled");
}

#[test]
fn since_is_the_time_of_the_line_and_the_year_is_the_latest_that_fits() {
    let json = analyze(format!("Nov 22 00:54:49 node1 kubelet[1]: {SWAP}\n").as_bytes()).json();
    let since = json["causes"][0]["since"].as_str().expect("a time").to_owned();
    assert!(since.ends_with("-11-22T00:54:49Z"), "{since}");
    assert_eq!(json["node"], "node1");
    let zoned = kubectl(
        &["analyze", "-o", "json", "--timezone", "+02:00", "--node", "other", "-"],
        format!("Nov 22 00:54:49 node1 kubelet[1]: {SWAP}\n").as_bytes(),
    )
    .json();
    assert!(zoned["causes"][0]["since"].as_str().is_some_and(|since| since.ends_with("-11-21T22:54:49Z")));
    assert_eq!((&zoned["node"], &zoned["input"]["assumed_timezone"]), (&"other".into(), &"+02".into()));
}

#[test]
fn what_ended_one_kubelet_is_over_when_the_next_one_runs() {
    let died = format!(
        "Nov 22 00:54:49 n kubelet[14029]: {SWAP}\nNov 22 00:54:49 n systemd[1]: kubelet.service: Main process exited, code=exited, status=1/FAILURE\n"
    );
    let runs: String = (0..4).map(|minute| format!("Nov 22 01:0{minute}:00 n kubelet[15000]: I1122 01:0{minute}:00.000000   15000 reconciler.go:1] \"Reconciler: start to sync state\"\n")).collect();
    assert_eq!(first(&died), "swap-enabled");
    let later = analyze(format!("{died}{runs}").as_bytes());
    assert!(!codes(&later.json()).contains(&"swap-enabled".to_owned()), "{}", later.stdout);
    let again = SWAP.replace("00:54:49.103848   14029", "01:10:00.000000   15000");
    assert_eq!(first(&format!("{died}{runs}Nov 22 01:10:00 n kubelet[15000]: {again}\n")), "swap-enabled", "and comes back");
}

#[test]
fn the_exit_in_the_log_is_told_as_a_fact() {
    let died = format!(
        "Nov 22 00:54:49 n kubelet[14029]: {SWAP}\nNov 22 00:54:49 n systemd[1]: kubelet.service: Main process exited, code=exited, status=1/FAILURE\n\
         Nov 22 00:54:49 n systemd[1]: kubelet.service: Failed with result 'exit-code'.\n"
    );
    let text = kubectl(&["analyze", "-"], died.as_bytes()).stdout;
    assert!(text.contains("ROOT CAUSE  swap-enabled") && text.contains("systemctl restart kubelet.service"), "{text}");
}

#[test]
fn people_get_the_verdict_first_and_what_was_read_last() {
    let run = kubectl(&["analyze", "-"], log("swap-on.log").as_bytes());
    assert_eq!(run.code, 2);
    assert!(
        run.stdout.starts_with("this log: not-ready")
            && run.stdout.contains("ROOT CAUSE  swap-enabled")
            && run.stdout.contains("log:stdin"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("Read 179 lines from ") && run.stdout.contains("taken as UTC"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'));
}

#[test]
fn a_log_without_a_known_cause_exits_0_and_is_not_called_healthy() {
    let run = kubectl(&["analyze", "-"], log("pods-static-healthy.log").as_bytes());
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(run.stdout.contains("nothing found") && !run.stdout.contains("healthy\n"), "{}", run.stdout);
}

/// Each node's name, verdict and first cause.
fn told(json: &Value) -> Vec<(String, String, String)> {
    let nodes = json["nodes"].as_array().unwrap_or_else(|| panic!("not several nodes: {json}"));
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    nodes.iter().map(|node| (text(&node["node"]), text(&node["verdict"]), text(&node["causes"][0]["code"]))).collect()
}

fn row(node: &str, verdict: &str, code: &str) -> (String, String, String) {
    (node.to_owned(), verdict.to_owned(), code.to_owned())
}

const CONFIG: &str = r#"E1122 00:54:50.557119     801 run.go:72] "command failed" err="failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: failed to load Kubelet config file /var/lib/kubelet/config.yaml, error failed to read kubelet config file \"/var/lib/kubelet/config.yaml\", error: open /var/lib/kubelet/config.yaml: no such file or directory""#;

#[test]
fn each_host_of_a_log_has_its_own_diagnosis() {
    let calm = |host: &str, second: u32| {
        format!("Nov 22 00:54:{second:02} {host} kubelet[700]: I1122 00:54:{second:02}.000000   700 kubelet.go:1] \"Starting kubelet\"\n")
    };
    let short = calm("worker-3", 1)
        + &format!("Nov 22 00:54:49 worker-1 kubelet[14029]: {SWAP}\n")
        + "Nov 22 00:54:50 logs rsyslogd[44]: [origin software=\"rsyslogd\"] start\n"
        + &format!("Nov 22 00:54:50 worker-2.example.org kubelet[801]: {CONFIG}\n")
        + "Nov 22 00:54:51 0a1b2c3d4e5f app[7]: hello from a container\n"
        + &calm("worker-3", 52)
        + &calm("worker-1", 53)
        + &calm("worker-2", 54);
    let all = [
        row("logs", "healthy", ""),
        row("worker-1", "not-ready", "swap-enabled"),
        row("worker-2", "not-ready", "kubelet-config-missing"),
        row("worker-3", "healthy", ""),
    ];
    let run = analyze(short.as_bytes());
    assert_eq!((run.code, told(&run.json())), (2, all.to_vec()), "{}", run.stderr);
    let lines = run.json()["nodes"].as_array().map(|nodes| nodes.iter().map(|node| node["input"]["lines"].as_u64()).collect::<Vec<_>>());
    assert_eq!(lines, Some(vec![Some(1), Some(2), Some(3), Some(2)]), "the container's line is of who spoke before");
    let text = kubectl(&["analyze", "-"], short.as_bytes());
    for heading in ["node logs: nothing found", "node worker-1: not-ready", "node worker-2: not-ready", "node worker-3: nothing found"] {
        assert!(text.stdout.lines().any(|line| line.starts_with(heading)), "{heading}: {}", text.stdout);
    }
    let one = kubectl(&["analyze", "--node", "worker-1", "-o", "json", "-"], short.as_bytes());
    assert_eq!((one.code, codes(&one.json())[0].as_str()), (2, "swap-enabled"));
    let other = kubectl(&["analyze", "--node", "worker-9", "-"], short.as_bytes());
    assert!(other.code == 3 && other.stderr.contains("worker-1, worker-2, worker-3"), "{}", other.stderr);
}

#[test]
fn hosts_are_known_in_json_and_in_export_too() {
    let escaped = |line: &str| line.replace('\\', "\\\\").replace('"', "\\\"");
    let json = |host: &str, line: &str| {
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"1795308889103848\",\"_HOSTNAME\":\"{host}\",\"_SYSTEMD_UNIT\":\"kubelet.service\",\"MESSAGE\":\"{}\"}}\n",
            escaped(line)
        )
    };
    let export = |host: &str, line: &str| {
        format!("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795308889103848\n_HOSTNAME={host}\n_SYSTEMD_UNIT=kubelet.service\nMESSAGE={line}\n\n")
    };
    for form in [&json as &dyn Fn(&str, &str) -> String, &export] {
        let input = form("alpha", SWAP) + &form("beta", "I1122 00:54:50.000000   700 kubelet.go:1] \"Starting kubelet\"");
        let run = analyze(input.as_bytes());
        let want = [row("alpha", "not-ready", "swap-enabled"), row("beta", "healthy", "")];
        assert_eq!((run.code, told(&run.json())), (2, want.to_vec()), "{input}");
    }
}

#[test]
fn one_host_under_several_names_stays_one_node() {
    let names = ["localhost", "worker-1", "worker-1.example.org", "WORKER-1", "0a1b2c3d4e5f"];
    let lines: String = names.iter().map(|name| format!("Nov 22 00:54:49 {name} kubelet[14029]: {SWAP}\n")).collect();
    let json = analyze(lines.as_bytes()).json();
    assert_eq!((codes(&json)[0].as_str(), &json["causes"][0]["evidence"][0]["count"]), ("swap-enabled", &5.into()), "{json}");
    let only = analyze(format!("Nov 22 00:54:49 localhost kubelet[14029]: {SWAP}\n").as_bytes()).json();
    assert_eq!(only["node"], "localhost");
}

#[test]
fn a_first_line_that_was_cut_within_the_hosts_name_makes_no_second_node() {
    let line = |host: &str| format!("{host} kubelet[14029]: {SWAP}\n");
    let json = analyze((line("r-1") + &line("worker-1") + &line("worker-1")).as_bytes()).json();
    assert_eq!((json["node"].as_str(), codes(&json)[0].as_str()), (Some("worker-1"), "swap-enabled"), "{json}");
    let two = analyze((line("worker-1") + &line("r-1") + &line("worker-1")).as_bytes()).json();
    assert_eq!(two["nodes"].as_array().map(Vec::len), Some(2), "only a first line is cut so");
}

#[test]
fn what_nobody_can_tell_of_hosts_leaves_them_unknown() {
    let bare = format!("{SWAP}\nNov 22 00:54:50 a-1 kubelet[7]: started\nNov 22 00:54:51 b-1 kubelet[7]: started\n");
    let run = analyze(bare.as_bytes());
    assert!(
        run.code == 2 && run.json()["nodes"][0]["unknown"][0]["why"].as_str().is_some_and(|why| why.contains("name no host"))
            || run.code == 3,
        "{}",
        run.stdout
    );
    assert!(run.stderr.contains("1 lines name no host"), "{}", run.stderr);
    let many: String = (0..300).map(|n| format!("Nov 22 00:54:49 node-{n} kubelet[7]: started\n")).collect();
    let run = analyze(many.as_bytes());
    assert_eq!((run.code, run.json()["nodes"].as_array().map(Vec::len)), (3, Some(256)));
    assert!(run.stderr.contains("44 records"), "{}", run.stderr);
}

#[test]
fn what_is_no_log_is_unknown_and_exits_3() {
    let noise: Vec<u8> = (0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for garbage in [&b"hello\nthis is no log\n"[..], b"apiVersion: v1\nkind: Node\nstatus:\n  nodeInfo:\n    kubelet: v1.36\n", &noise] {
        let run = analyze(garbage);
        let json = run.json();
        assert_eq!((run.code, json["verdict"].as_str()), (3, Some("unknown")), "{}", run.stdout);
        assert!(json["unknown"][0]["why"].as_str().is_some_and(|why| why.contains("no log")), "{}", run.stdout);
        assert!(run.stderr.contains("stdin: ") && run.stderr.contains("journalctl"), "{}", run.stderr);
        let text = kubectl(&["analyze", "-"], garbage);
        assert!(text.code == 3 && text.stdout.starts_with("this log: unknown"), "{}", text.stdout);
    }
    let run = analyze(format!("{SWAP}\n").repeat(3).replace("E1122 00:54:49.103848   14029 ", "").as_bytes());
    assert_eq!(run.code, 2, "a line without a head may still be known: {}", run.stdout);
}

#[test]
fn a_file_that_is_no_log_beside_one_that_is_leaves_the_node_unknown() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (good, bad) = (write("kubelet.log", &log("healthy-standalone.log")), write("notes.txt", "it broke at noon\n"));
    let run = kubectl(&["analyze", "--output", "json", &good, &bad], b"");
    assert_eq!((run.code, run.json()["verdict"].as_str()), (3, Some("unknown")), "{}", run.stdout);
    assert_eq!(run.json()["unknown"].as_array().map(Vec::len), Some(1));
    assert_eq!(run.json()["unknown"][0]["what"], "notes.txt");
}

#[test]
fn files_are_read_as_one_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (one, two) = (write("one.log", &log("healthy-standalone.log")), write("two.log", SWAP));
    let json = kubectl(&["analyze", "--output", "json", &one, &two], b"").json();
    assert_eq!(codes(&json)[0], "swap-enabled");
    assert_eq!(json["input"]["lines"], 285);
    let yaml = kubectl(&["analyze", "--output", "yaml", &two], b"");
    assert!(yaml.code == 2 && yaml.stdout.contains("code: swap-enabled"), "{}", yaml.stdout);
}

#[test]
fn input_that_cannot_be_used_is_named_and_exits_3() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().to_str().expect("UTF-8");
    let bad_facts = format!("{dir}/facts.json");
    std::fs::write(&bad_facts, "{\"swap\": {\"no_such_fact\": 1}}").expect("written");
    for (args, says) in [
        (vec!["/nonexistent.log"], "/nonexistent.log"),
        (vec![dir], dir),
        (vec!["-"], "no log line"),
        (vec!["--facts", "/nonexistent.json", "-"], "/nonexistent.json"),
        (vec!["--facts", &bad_facts, "-"], "no_such_fact"),
    ] {
        let run = kubectl(&[&["analyze"], args.as_slice()].concat(), b"\n\n-- No entries --\n");
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{args:?}");
        assert!(run.stderr.contains(says), "{args:?}: {}", run.stderr);
    }
    assert_eq!(kubectl(&["analyze", "--timezone", "Mars/Olympus", "-"], b"x").code, 64);
    assert_eq!(kubectl(&["analyze"], b"x").code, 64);
}

#[test]
fn hostile_bytes_lose_nothing_else() {
    let mut seed = 7_u64;
    let mut noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        })
        .collect();
    noise.extend([b"\n", "\0".repeat(1 << 20).as_bytes(), b"\n", SWAP.as_bytes(), b"\xff\xfe\n", &[b'x'; 1 << 20]].concat());
    let run = analyze(&noise);
    let json = run.json();
    assert_eq!(codes(&json).first().map(String::as_str), Some("swap-enabled"), "{}", run.stdout);
    assert!(
        json["input"]["invalid_utf8_lines"].as_u64() > Some(1000) && json["input"]["cut_lines"].as_u64() >= Some(2),
        "{}",
        json["input"]
    );
}

#[test]
fn memory_is_bounded_whatever_comes() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    // 200 MB of address space for 310 MB of input: one line without end, then the same causes over and over.
    let script = format!("ulimit -v 200000; exec '{}' analyze --output json -", env!("CARGO_BIN_EXE_kubectl-nodewhy"));
    let mut child = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        let block = vec![b'x'; 1 << 20];
        let lines = format!("{SWAP}\n").repeat(1000);
        let endless = (0..300).try_for_each(|_| stdin.write_all(&block)).and_then(|()| stdin.write_all(b"\n"));
        endless.and_then(|()| (0..25).try_for_each(|_| stdin.write_all(lines.as_bytes())))
    });
    let output = child.wait_with_output().expect("ends");
    writer.join().expect("the writer ends").expect("all of it was read");
    let json: Value = serde_json::from_slice(&output.stdout).expect("a diagnosis");
    assert_eq!(json["causes"][0]["code"], "swap-enabled");
    assert_eq!(json["causes"][0]["evidence"][0]["count"], 25_000);
}
