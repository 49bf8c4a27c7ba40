//! A directory of configurations like the one that comes with node-problem-detector v1.37, written in the terms of its formats: same
//! plugins, reasons, conditions and kinds of patterns. Each pattern's own kind of line fires its reason.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::model::{Severity, TransitionKind};
use nodewhy_diagnosis::{Facts, Outcome, State as Remembered, View, diagnose};

use super::monitor::{Line, LogMonitor, begins};
use super::report::{Report, State};
use super::*;
use crate::catalogue::{Loaded, Shelf};
use crate::config::Config;

/// name, plugin, pluginConfig, other fields, conditions, rules (type, condition, reason, pattern).
type Told<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [&'a str], &'a [(&'a str, &'a str, &'a str, &'a str)]);

const TEMPORARY: &str = "temporary";
const PERMANENT: &str = "permanent";

const LOGS: &[Told<'_>] = &[
    (
        "kernel",
        "kmsg",
        "{}",
        r#""logPath": "/dev/kmsg", "lookback": "5m", "bufferSize": 10, "metricsReporting": true"#,
        &["KernelDeadlock", "XfsShutdown", "CperHardwareErrorFatal"],
        &[
            (TEMPORARY, "", "OOMKilling", r"Killed process \d+ \(\S+\) total-vm:\d+kB, anon-rss:\d+kB, file-rss:\d+kB.*"),
            (TEMPORARY, "", "TaskHung", r"task [\S ]+:\w+ blocked for more than \w+ seconds\."),
            (TEMPORARY, "", "UnregisterNetDevice", r"unregister_netdevice: waiting for \S+ to become free\. Usage count = \d+"),
            (TEMPORARY, "", "KernelOops", r"BUG: unable to handle .* NULL pointer dereference.*"),
            (TEMPORARY, "", "KernelOops", r"divide error: 0000 \[#\d+\].*"),
            (TEMPORARY, "", "Ext4Error", r"EXT4-fs error .*"),
            (TEMPORARY, "", "Ext4Warning", r"EXT4-fs warning .*"),
            (TEMPORARY, "", "IOError", r"Buffer I/O error .*"),
            (PERMANENT, "XfsShutdown", "XfsHasShutdown", r"XFS .* Shutting down filesystem.?"),
            (TEMPORARY, "", "MemoryReadError", r"CE memory read error .*"),
            (TEMPORARY, "", "CperHardwareErrorCorrected", r".*\[Hardware Error\]: event severity: corrected$"),
            (TEMPORARY, "", "CperHardwareErrorRecoverable", r".*\[Hardware Error\]: event severity: recoverable$"),
            (PERMANENT, "CperHardwareErrorFatal", "CperHardwareErrorFatal", r".*\[Hardware Error\]: event severity: fatal$"),
            (PERMANENT, "KernelDeadlock", "DockerHung", r"task docker:\w+ blocked for more than \w+ seconds\."),
        ],
    ),
    (
        "readonly",
        "kmsg",
        "{}",
        r#""lookback": "5m""#,
        &["ReadonlyFilesystem"],
        &[(PERMANENT, "ReadonlyFilesystem", "FilesystemIsReadOnly", "Remounting filesystem read-only")],
    ),
    (
        "docker",
        "journald",
        r#"{"source": "dockerd"}"#,
        r#""logPath": "/var/log/journal", "lookback": "5m""#,
        &["CorruptDockerOverlay2"],
        &[
            (TEMPORARY, "", "CorruptDockerImage", r"failed to register layer: rename (.+) (.+): directory not empty.*"),
            (PERMANENT, "CorruptDockerOverlay2", "CorruptDockerOverlay2", r"returned error: readlink /\S+overlay2.*: invalid argument.*"),
            (TEMPORARY, "", "DockerContainerStartupFailure", "container process is already dead: unknown"),
        ],
    ),
    (
        "systemd",
        "journald",
        r#"{"source": "systemd"}"#,
        r#""lookback": "5m""#,
        &[],
        &[
            (TEMPORARY, "", "KubeletStart", r"Started (Kubernetes kubelet|kubelet.service|kubelet.service - .*)."),
            (TEMPORARY, "", "ContainerdStart", r"Starting (containerd container runtime|containerd.service|containerd.service - .*)..."),
        ],
    ),
    (
        "abrt",
        "journald",
        r#"{"source": "abrt-notification"}"#,
        r#""lookback": "5m""#,
        &[],
        &[
            (TEMPORARY, "", "CCPPCrash", r"Process \d+ \(\S+\) crashed in .*"),
            (TEMPORARY, "", "UncaughtException", r"Process \d+ \(\S+\) of user \d+ encountered an uncaught \S+ exception"),
            (TEMPORARY, "", "VMcore", r"System encountered a fatal error in \S+"),
        ],
    ),
    (
        "kern-log",
        "filelog",
        r#"{"timestamp": "^.{15}", "message": "kernel: \\[.*\\] (.*)", "timestampFormat": "Jan _2 15:04:05"}"#,
        r#""logPath": "/var/log/kern.log", "lookback": "5m", "bufferSize": 10"#,
        &[],
        &[(TEMPORARY, "", "TaskHung", r"task \S+:\w+ blocked for more than \w+ seconds\.")],
    ),
    (
        "docker-log",
        "filelog",
        r#"{"timestamp": "^time=\"(\\S*)\"", "message": "msg=\"([^\n]*)\"", "timestampFormat": "2006-01-02T15:04:05.999999999-07:00"}"#,
        r#""logPath": "/var/log/docker.log""#,
        &[],
        &[(TEMPORARY, "", "CorruptDockerImage", r"failed to register layer: rename (.+) (.+): directory not empty.*")],
    ),
    (
        "smart",
        "filelog",
        r#"{"timestamp": "^.{15}", "message": "(?i)Currently unreadable.*sectors|(?i)Offline uncorrectable sectors", "timestampFormat": "Jan _2 15:04:05"}"#,
        r#""logPath": "/var/log/messages", "lookback": "10h", "bufferSize": 1, "skipList": [" audit:", " audit["]"#,
        &["DiskBadBlock"],
        &[(PERMANENT, "DiskBadBlock", "DiskBadBlock", r".*(Currently unreadable.*sectors|Offline uncorrectable sectors).*")],
    ),
];

/// Which file, the line (as its log has it), and the reason with what node-problem-detector makes of it.
const LINES: &[(&str, &str, &str)] = &[
    ("kernel", "Killed process 41231 (java) total-vm:5128388kB, anon-rss:1046720kB, file-rss:0kB, shmem-rss:0kB", "OOMKilling"),
    ("kernel", "INFO: task jbd2/sda1-8 x:512 blocked for more than 120 seconds.", "TaskHung"),
    ("kernel", "INFO: task docker:20744 blocked for more than 120 seconds.", "DockerHung"),
    ("kernel", "unregister_netdevice: waiting for lo to become free. Usage count = 1", "UnregisterNetDevice"),
    ("kernel", "BUG: unable to handle kernel NULL pointer dereference at 0000000000000040", "KernelOops"),
    ("kernel", "divide error: 0000 [#1] SMP", "KernelOops"),
    ("kernel", "EXT4-fs error (device sda3): ext4_find_entry:1436: inode #2: comm x: reading directory lblock 0", "Ext4Error"),
    ("kernel", "EXT4-fs warning (device sda3): ext4_end_bio:351: I/O error 10 writing to inode 3", "Ext4Warning"),
    ("kernel", "Buffer I/O error on dev sdb, logical block 0, async page read", "IOError"),
    ("kernel", "XFS (sda1): Log I/O Error Detected. Shutting down filesystem", "XfsHasShutdown"),
    ("kernel", "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0", "MemoryReadError"),
    ("kernel", "{1}[Hardware Error]: event severity: corrected", "CperHardwareErrorCorrected"),
    ("kernel", "{1}[Hardware Error]: event severity: recoverable", "CperHardwareErrorRecoverable"),
    ("kernel", "{1}[Hardware Error]: event severity: fatal", "CperHardwareErrorFatal"),
    ("readonly", "EXT4-fs (sda1): Remounting filesystem read-only", "FilesystemIsReadOnly"),
    ("docker", "error: failed to register layer: rename /var/lib/docker/a /var/lib/docker/b: directory not empty", "CorruptDockerImage"),
    ("docker", "returned error: readlink /var/lib/docker/overlay2/l: invalid argument", "CorruptDockerOverlay2"),
    ("docker", "OCI runtime start failed: container process is already dead: unknown", "DockerContainerStartupFailure"),
    ("systemd", "Started kubelet.service - kubelet: The Kubernetes Node Agent.", "KubeletStart"),
    ("systemd", "Starting containerd container runtime...", "ContainerdStart"),
    ("abrt", "Process 1234 (will_segfault) crashed in main()", "CCPPCrash"),
    ("abrt", "Process 77 (python3.9) of user 0 encountered an uncaught ValueError exception", "UncaughtException"),
    ("abrt", "System encountered a fatal error in ??()", "VMcore"),
    ("kern-log", "Nov 25 11:59:30 node-1 kernel: [ 1234.567] INFO: task x:1 blocked for more than 120 seconds.", "TaskHung"),
    (
        "docker-log",
        r#"time="2026-11-25T11:59:30.123456789+00:00" level=error msg="failed to register layer: rename a b: directory not empty""#,
        "CorruptDockerImage",
    ),
    ("smart", "Nov 25 11:59:30 node-1 smartd[1]: Device: /dev/sda, 197 Currently unreadable (pending) sectors", "DiskBadBlock"),
];

struct Directory {
    directory: tempfile::TempDir,
}

impl Directory {
    fn like_the_default() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("npd")).expect("made");
        let made = Self { directory };
        for (name, plugin, plugin_config, other, conditions, rules) in LOGS {
            let conditions: Vec<_> =
                conditions.iter().map(|kind| serde_json::json!({"type": kind, "reason": "Fine", "message": "fine"})).collect();
            let rule = |(kind, condition, reason, pattern): &(&str, &str, &str, &str)| serde_json::json!({"type": kind, "condition": condition, "reason": reason, "pattern": pattern});
            let rules: Vec<_> = rules.iter().map(rule).collect();
            let (conditions, rules) = (serde_json::json!(conditions), serde_json::json!(rules));
            made.write(name, &format!(
                r#"{{"plugin": "{plugin}", "pluginConfig": {plugin_config}, {other}, "source": "{name}", "conditions": {conditions}, "rules": {rules}}}"#
            ));
        }
        made.write("ntp", PLUGINS);
        made.write("stats", r#"{"cpu": {"metricsConfigs": {"cpu/load_1m": {"displayName": "cpu/load_1m"}}}, "invokeInterval": "60s"}"#);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("npd").join(format!("{name}.json"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn shelf(&self) -> Shelf {
        let at = |name: &str| self.directory.path().join(name);
        Shelf::open(&Config { causes_dir: at("causes.d"), state_dir: at("state"), npd_configs: vec![at("npd")], ..Config::default() })
    }

    fn monitor(&self, loaded: &Loaded, name: &str, from: Timestamp) -> LogMonitor {
        let file = self.path(name).display().to_string();
        let found = loaded.npd.monitors.iter().find(|(path, _)| *path == file).map(|(_, monitor)| monitor);
        let Some(Monitor::Log(config)) = found else { panic!("{name} is no log monitor") };
        LogMonitor::new(config, loaded.npd.signs_of(&file), from).expect("good")
    }
}

const PLUGINS: &str = r#"{
  "plugin": "custom",
  "pluginConfig": {"invoke_interval": "30s", "timeout": "5s", "max_output_length": 80, "concurrency": 3},
  "source": "ntp-monitor",
  "conditions": [{"type": "NTPProblem", "reason": "NTPIsUp", "message": "ntp service is up"}],
  "rules": [
    {"type": "temporary", "reason": "NTPIsDown", "path": "./plugin/ntp.sh", "timeout": "3s"},
    {"type": "permanent", "condition": "NTPProblem", "reason": "NTPIsDown", "path": "./plugin/ntp.sh", "timeout": "3s"}
  ]
}"#;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("a time")
}

/// One judgement of a node whose journal can be read.
fn judged(
    loaded: &Loaded,
    state: &Remembered,
    at: Timestamp,
    npd: &Report,
    sightings: &[nodewhy_diagnosis::catalogue::Sighting],
) -> Outcome {
    let mut facts = npd.facts();
    for (path, fact) in facts.clone().iter() {
        facts.insert(path, nodewhy_diagnosis::facts::Fact { read_at: at, ..fact.clone() });
    }
    facts.set(s::LOGS_JOURNAL_READABLE, at, true);
    facts.set(s::LOGS_READ_UP_TO, at, at);
    facts.set(s::NODE_BOOTED_AT, at, now() - SignedDuration::from_hours(5));
    let view = View { now: at, node: "n", facts: &facts, sightings, mode: Mode::Live };
    diagnose(&loaded.catalogue, &view, state)
}

fn present(outcome: &Outcome, code: &str) -> bool {
    outcome.diagnosis.causes.iter().any(|cause| cause.code == code)
}

#[test]
fn a_whole_directory_loads_and_its_reasons_and_conditions_are_causes() {
    let loaded = Directory::like_the_default().shelf().load();
    assert_eq!(loaded.refused, vec![]);
    let rules = LOGS.iter().flat_map(|(.., rules)| rules.iter().map(|(kind, _, reason, _)| (*kind, *reason)));
    for (kind, reason) in rules.chain([(TEMPORARY, "NTPIsDown"), (PERMANENT, "NTPIsDown")]) {
        let cause = loaded.catalogue.cause(&causes::code(reason, kind == PERMANENT)).unwrap_or_else(|| panic!("{reason} is no cause"));
        assert!(cause.title.contains(reason), "{}", cause.title);
    }
    let title = |code: &str| loaded.catalogue.cause(code).map(|cause| (cause.title.clone(), cause.severity)).expect("there");
    assert_eq!(
        title("npd-docker-hung"),
        ("KernelDeadlock: DockerHung (a condition of node-problem-detector's rules)".to_owned(), Severity::Warning)
    );
    assert_eq!(title("npd-event-ext4-error").1, Severity::Info);
    // One reason, one cause: of two files, of both kinds.
    assert_eq!(loaded.catalogue.cause("npd-event-kernel-oops").map(|cause| cause.signs.len()), Some(3));
    let origin = loaded.origin("npd-event-task-hung").to_string();
    assert!(origin.contains("kern-log.json") && origin.contains("kernel.json"), "{origin}");
}

#[test]
fn every_pattern_fires_its_reason_with_the_line_as_the_message() {
    let directory = Directory::like_the_default();
    let loaded = directory.shelf().load();
    let mut fired: BTreeSet<&str> = BTreeSet::new();
    for (file, line, reason) in LINES {
        let mut monitor = directory.monitor(&loaded, file, now() - SignedDuration::from_mins(5));
        let sightings = monitor.take(&Line { at: Some(now()), text: line }, now());
        let permanent = LOGS.iter().any(|(.., rules)| rules.iter().any(|(kind, _, of, _)| of == reason && *kind == PERMANENT));
        let code = causes::code(reason, permanent);
        let of_it: Vec<_> = sightings.iter().filter(|sighting| sighting.code == code).collect();
        assert_eq!(of_it.len(), 1, "{file}: {line}: {sightings:?} (not understood: {})", monitor.not_understood);
        let outcome = judged(&loaded, &Remembered::default(), now(), &Report::default(), &sightings);
        let cause = outcome.diagnosis.causes.iter().find(|cause| cause.code == code).unwrap_or_else(|| panic!("{reason} is not present"));
        assert_eq!(cause.message, of_it[0].text);
        assert!(line.contains(&cause.message), "{}", cause.message);
        fired.insert(reason);
    }
    let all: BTreeSet<&str> = LOGS.iter().flat_map(|(.., rules)| rules.iter().map(|(_, _, reason, _)| *reason)).collect();
    assert_eq!(fired, all);
}

#[test]
fn what_a_pattern_does_not_end_with_is_old_or_is_skipped_fires_nothing() {
    let directory = Directory::like_the_default();
    let loaded = directory.shelf().load();
    for (file, at, line) in [
        ("kernel", now(), "task x:1 blocked for more than 120 seconds. And more"),
        ("kernel", now() - SignedDuration::from_hours(1), "divide error: 0000 [#1] SMP"),
        ("smart", now(), "Nov 25 11:59:30 node-1 audit[1]: 197 Currently unreadable (pending) sectors"),
        ("kern-log", now(), "no time in it kernel: [1.0] task x:1 blocked for more than 120 seconds."),
        ("kern-log", now(), "Nov 25 10:00:00 node-1 kernel: [ 1.0] task x:1 blocked for more than 120 seconds."),
    ] {
        let mut monitor = directory.monitor(&loaded, file, now() - SignedDuration::from_mins(5));
        assert!(monitor.take(&Line { at: Some(at), text: line }, now()).is_empty(), "{file}: {line}");
    }
}

#[test]
fn temporary_problems_end_by_quiet_and_permanent_ones_with_the_boot_or_after_a_day() {
    let directory = Directory::like_the_default();
    let loaded = directory.shelf().load();
    let mut monitor = directory.monitor(&loaded, "kernel", Timestamp::MIN);
    let mut sightings = monitor.take(&Line { at: Some(now()), text: "EXT4-fs error (device sda1): x" }, now());
    sightings.extend(monitor.take(&Line { at: Some(now()), text: "XFS (sda1): Shutting down filesystem" }, now()));
    let report = Report::default();
    let first = judged(&loaded, &Remembered::default(), now(), &report, &sightings);
    assert!(present(&first, "npd-event-ext4-error") && present(&first, "npd-xfs-has-shutdown"));
    let later = judged(&loaded, &first.state, now() + SignedDuration::from_mins(11), &report, &[]);
    assert!(!present(&later, "npd-event-ext4-error") && present(&later, "npd-xfs-has-shutdown"));
    // The log cannot be read: it stays beyond a day.
    let unread = Report::default();
    drop(unread.set(&causes::key(&directory.path("kernel").display().to_string(), None), State::Unknown("the disk hangs".into())));
    let day = now() + SignedDuration::from_hours(25);
    let outcome = judged(&loaded, &later.state, day, &unread, &[]);
    assert!(present(&outcome, "npd-xfs-has-shutdown"), "could not look closes nothing");
    assert!(outcome.diagnosis.unknown.iter().any(|unknown| unknown.why.contains("the disk hangs")), "{:?}", outcome.diagnosis.unknown);
    assert!(!present(&judged(&loaded, &later.state, day, &report, &[]), "npd-xfs-has-shutdown"));
    // Another boot.
    let mut facts = report.facts();
    let reboot = now() + SignedDuration::from_hours(1);
    facts.set(s::NODE_BOOTED_AT, reboot, reboot);
    facts.set(s::LOGS_JOURNAL_READABLE, reboot, true);
    let view = View { now: reboot, node: "n", facts: &facts, sightings: &[], mode: Mode::Live };
    let outcome = diagnose(&loaded.catalogue, &view, &later.state);
    let closed = outcome.transitions.iter().find(|change| change.kind == TransitionKind::Closed).expect("closed");
    assert!(closed.code == "npd-xfs-has-shutdown" && closed.reason.starts_with("ends:"), "{closed:?}");
}

#[test]
fn a_plugin_opens_with_1_stays_with_2_and_closes_with_0() {
    let directory = Directory::like_the_default();
    let loaded = directory.shelf().load();
    let (report, key) = (Report::default(), causes::key(&directory.path("ntp").display().to_string(), Some(1)));
    let mut state = Remembered::default();
    let mut at = now();
    for (says, wanted) in [
        (State::Unknown("not yet".into()), false),
        (State::Fine, false),
        (State::Problem("ntp.service is not running".into()), true),
        (State::Unknown("ended with 2".into()), true),
        (State::Fine, false),
    ] {
        at += SignedDuration::from_secs(30);
        drop(report.set(&key, says.clone()));
        let outcome = judged(&loaded, &state, at, &report, &[]);
        assert_eq!(present(&outcome, "npd-ntp-is-down"), wanted, "{says:?}");
        if let (State::Problem(text), Some(cause)) = (&says, outcome.diagnosis.causes.first()) {
            assert_eq!(cause.message, *text);
        }
        if let State::Unknown(why) = &says {
            assert!(outcome.diagnosis.unknown.iter().any(|unknown| unknown.why.contains(why)), "{:?}", outcome.diagnosis.unknown);
        }
        state = outcome.state;
    }
}

#[test]
fn a_file_that_turns_bad_keeps_its_last_good_version_and_a_bad_one_is_refused_alone() {
    let directory = Directory::like_the_default();
    let mut shelf = directory.shelf();
    let causes = shelf.load().catalogue.causes().len();
    directory.write("kernel", r#"{"plugin": "kmsg", "rules": [{"type": "temporary", "reason": "R", "pattern": "("}]}"#);
    let loaded = shelf.load();
    assert_eq!((loaded.catalogue.causes().len(), loaded.refused.len(), loaded.refused[0].kept), (causes, 1, true));
    assert!(loaded.refused[0].to_string().contains("rules[0].pattern"), "{}", loaded.refused[0]);
    let loaded = directory.shelf().load();
    assert!(loaded.catalogue.cause("npd-xfs-has-shutdown").is_none() && loaded.catalogue.cause("npd-ntp-is-down").is_some());
}

#[test]
fn reading_begins_where_node_problem_detector_would_or_where_it_had_ended() {
    let config = |text: &str| match config::parse(text) {
        Ok(Monitor::Log(config)) => config,
        other => panic!("{other:?}"),
    };
    let at = |minutes: i64| now() + SignedDuration::from_mins(minutes);
    let plain = config(r#"{"plugin": "kmsg", "lookback": "5m", "delay": "10m"}"#);
    assert_eq!(begins(&plain, now(), Some(at(-60)), None), at(-5));
    assert_eq!(begins(&plain, now(), Some(at(-12)), None), at(-2), "not before the node is stable");
    assert_eq!(begins(&plain, now(), Some(at(-600)), Some(at(-30))), at(-30), "the agent was away for half an hour");
    assert_eq!(begins(&plain, now(), Some(at(-600)), Some(at(-1))), at(-5));
}

#[test]
fn facts_tell_who_did_not_answer() {
    let report = Report::default();
    assert!(report.set("a", State::Fine).is_none(), "no news");
    let facts: Facts = report.set("a", State::Unknown("it hangs".into())).expect("news");
    assert!(facts.value(s::NPD_UNANSWERED.path()).expect_err("missing").why.contains("a: it hangs"));
    assert_eq!(report.set("a", State::Fine).expect("news").known(s::NPD_UNANSWERED), Some(false));
}

#[test]
fn named_files_come_as_they_are_and_directories_as_their_json() {
    let directory = Directory::like_the_default();
    let listed = files(&[directory.directory.path().join("npd"), PathBuf::from("/no/such.json")]);
    assert_eq!(listed.len(), LOGS.len() + 3);
    assert_eq!(listed.last().map(PathBuf::as_path), Some(Path::new("/no/such.json")));
    drop(Arc::new(Set::default()));
}
