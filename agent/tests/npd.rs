//! node-problem-detector's configurations, run by the real agent: a file that rotates, the journal by identifier, plugins.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod support;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nodewhy_proto::v1::TransitionKind::{Closed, Opened};
use support::Node;
use support::collector::{Collector, Store, listen, words};
use support::journal_file::{BOOT, JournalFile, now_micros};

const FILE: &str = r#"{"plugin": "filelog",
  "pluginConfig": {"timestamp": "^(\\S+) ", "message": "^\\S+ app: (.*)", "timestampFormat": "2006-01-02T15:04:05.999999999Z07:00"},
  "logPath": "/var/log/app.log", "lookback": "1h", "source": "app-monitor", "conditions": [],
  "rules": [{"type": "temporary", "reason": "AppFailed", "pattern": "began to fail\nfailed \\d+ times"},
            {"type": "temporary", "reason": "AppStopped", "pattern": "stopped"}]}"#;

const JOURNAL: &str = r#"{"plugin": "journald", "pluginConfig": {"source": "dockerd"}, "logPath": "/var/log/journal", "lookback": "5m",
  "source": "docker-monitor", "conditions": [{"type": "CorruptDocker", "reason": "DockerIsFine", "message": "fine"}],
  "rules": [{"type": "permanent", "condition": "CorruptDocker", "reason": "OverlayCorrupt", "pattern": "readlink .*: invalid argument.*"}]}"#;

const PLUGIN: &str = r#"{"plugin": "custom", "pluginConfig": {"invoke_interval": "200ms", "timeout": "5s"}, "source": "plugin-monitor",
  "conditions": [{"type": "NTPProblem", "reason": "NTPIsUp", "message": "up"}],
  "rules": [{"type": "permanent", "condition": "NTPProblem", "reason": "NTPIsDown", "path": "./plugin/ntp.sh"}]}"#;

fn configured(node: &Node) -> std::path::PathBuf {
    let directory = node.path().join("npd");
    std::fs::create_dir_all(directory.join("plugin")).unwrap();
    for (name, text) in [("file.json", FILE), ("journal.json", JOURNAL), ("plugin.json", PLUGIN)] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let script = directory.join("plugin/ntp.sh");
    std::fs::write(&script, format!("#!/bin/sh\necho ntp is not running\nexit $(cat {}/exit)\n", directory.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    ends_with(&directory, 0);
    directory
}

fn ends_with(directory: &Path, code: u8) {
    std::fs::write(directory.join("exit.new"), code.to_string()).unwrap();
    std::fs::rename(directory.join("exit.new"), directory.join("exit")).unwrap();
}

fn log(node: &Node, name: &str, message: &str) {
    let path = node.root().join("var/log").join(name);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{} app: {message}", jiff::Timestamp::now()).unwrap();
}

fn dockerd(journal: &mut JournalFile, message: &str) {
    let fields = [format!("MESSAGE={message}"), "SYSLOG_IDENTIFIER=dockerd".into(), "_SYSTEMD_UNIT=docker.service".into(), "_UID=0".into()];
    journal.entry(now_micros(), BOOT, &fields.map(String::into_bytes));
}

fn happened(what: &str) -> impl Fn(&Store) -> bool {
    move |store| store.reports.iter().any(|report| words(&report.transitions).iter().any(|said| said == what))
}

#[tokio::test]
async fn logs_are_followed_over_rotations_and_plugins_open_and_close_their_condition() {
    let (listener, address) = listen().await;
    let collector = Collector::serve(listener, 0).await;
    let node = Node::new(Some(address));
    let mut journal = JournalFile::system(&node.root());
    let directory = configured(&node);
    log(&node, "app.log", "began to fail");
    log(&node, "app.log", "failed 3 times");
    let _agent = node.start_with(|command| {
        command.arg("--npd-config").arg(&directory);
    });
    collector.until("lines from before the start", happened("opened npd-event-app-failed")).await;
    // The machine that the test runs on may have something of its own, a disk that fills up.
    let opened = |one: &&nodewhy_proto::v1::Transition| one.kind() == Opened && one.code == "npd-event-app-failed";
    let message = collector.transitions().iter().find(opened).map(|one| one.cause.clone().unwrap().message);
    assert_eq!(message.as_deref(), Some("began to fail\nfailed 3 times"));

    std::fs::rename(node.root().join("var/log/app.log"), node.root().join("var/log/app.log.1")).unwrap();
    log(&node, "app.log", "stopped");
    collector.until("a line after the rotation", happened("opened npd-event-app-stopped")).await;

    dockerd(&mut journal, "returned error: readlink /var/lib/docker/overlay2/l: invalid argument");
    collector.until("an entry of the journal", happened("opened npd-overlay-corrupt")).await;

    ends_with(&directory, 1);
    collector.until("the plugin says so", happened("opened npd-ntp-is-down")).await;
    ends_with(&directory, 2);
    ends_with(&directory, 0);
    collector.until("the plugin says that it is over", happened("closed npd-ntp-is-down")).await;
    let transitions = collector.transitions();
    let of_ntp: Vec<_> = transitions.iter().filter(|one| one.code == "npd-ntp-is-down").map(|one| one.kind()).collect();
    assert_eq!(of_ntp, [Opened, Closed], "unknown closes nothing");
    let ntp = transitions.iter().find(|one| one.code == "npd-ntp-is-down").unwrap().cause.clone().unwrap();
    assert_eq!(ntp.message, "ntp is not running");
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

#[test]
fn a_rule_is_explained_with_its_configuration_before_or_behind_the_code() {
    let node = Node::new(None);
    let directory = configured(&node);
    let file = directory.to_str().unwrap();
    for arguments in [["--npd-config", file, "npd-ntp-is-down"], ["npd-ntp-is-down", "--npd-config", file]] {
        let output = node.command(&[&["causes", "explain"][..], &arguments].concat()).output().unwrap();
        let (page, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && page.contains("ntp"), "{arguments:?}: {page}{error}");
    }
    std::fs::write(directory.join("typo.json"), r#"{"plugin": "kmsg", "rules": [{"reason": "Odd", "patern": "x", "pattern": "y"}]}"#)
        .unwrap();
    let output = node.command(&["causes", "list", "--npd-config", file]).output().unwrap();
    let (list, notes) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(list.contains("npd-odd") && notes.contains("typo.json: node-problem-detector does not know rules[0].patern"), "{notes}");
}

#[test]
fn check_reads_the_logs_and_runs_the_plugins_once_and_waits_for_none_that_hangs() {
    let node = Node::new(None);
    JournalFile::system(&node.root()).kubelet("nothing of interest");
    let directory = configured(&node);
    ends_with(&directory, 1);
    log(&node, "app.log", "stopped");
    let arguments = ["check", "--output", "json", "--npd-config", directory.to_str().unwrap()];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let output = node.command(&arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if text.contains("npd-ntp-is-down") && text.contains("npd-event-app-stopped") {
            break;
        }
        // It has less than a second, which may be too little on a machine busy with other tests.
        assert!(std::time::Instant::now() < deadline, "{text}");
    }
    std::fs::write(directory.join("plugin/ntp.sh"), "#!/bin/sh\nsleep 1000\n").unwrap();
    let began = std::time::Instant::now();
    let output = node.command(&arguments).output().unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("npd.unanswered") && !text.contains("\"code\": \"npd-ntp-is-down\""), "{text}");
}
