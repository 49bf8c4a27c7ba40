//! The data directory: damaged, taken, full of old things.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_collector::presence::Presence;
use nodewhy_collector::silence::{GRACE, Silence};
use nodewhy_collector::store::{CasePage, Keep, NewReport, Refused, Seen, Store, StoreError, Taken};
use nodewhy_proto::v1 as pb;

use crate::support::agent::{closes, hello, opens};
use crate::support::{Collector, quiet, write};

const DAY: Duration = Duration::from_secs(24 * 3600);
const KEEP: Keep = Keep { cases: DAY, cases_per_node: 3, silent_nodes: DAY };

async fn attach(store: &Store, node: &str) {
    let seen = Seen { hello: hello(node), heartbeat: Duration::from_secs(10), at: Timestamp::now() };
    store.hello(seen).await.expect("stored");
}

async fn put(store: &Store, report: pb::Report) -> Taken {
    let node = report.diagnosis.as_ref().expect("there").node.as_str().into();
    let transitions = report.transitions.into_iter().map(nodewhy_wire::transition_from_wire);
    let diagnosis = nodewhy_wire::diagnosis_from_wire(report.diagnosis.expect("there"));
    let content = Ok((diagnosis.expect("good"), transitions.collect::<Result<Vec<_>, _>>().expect("good")));
    let (sequence, dropped, boot_id) = (report.sequence, report.dropped, report.boot_id);
    let new = NewReport { node, spool_id: "s".into(), sequence, dropped, boot_id, content, at: Timestamp::now() };
    store.report(new).await.expect("queued").await.expect("answered").expect("stored")
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    for damage in [&b"this is no database at all, but a text of some length".repeat(100)[..], &b"SQLite format 3\0".repeat(300)[..]] {
        std::fs::write(dir.path().join("nodewhy.db"), damage).expect("written");
        let error = Store::open(dir.path(), quiet()).expect_err("refused").to_string();
        assert!(error.contains("nodewhy.db") && error.contains("Move it away"), "{error}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_made_is_told_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), "file", "");
    let error = Store::open(&file.join("data"), quiet()).expect_err("refused").to_string();
    assert!(error.contains("cannot make the data directory") && error.contains("file/data"), "{error}");
}

#[tokio::test]
async fn a_second_collector_on_one_directory_is_refused_and_says_so() {
    let collector = Collector::start("");
    let error = Store::open(&collector.data(), quiet()).expect_err("refused");
    assert!(matches!(error, StoreError::Open { .. }) && error.to_string().contains("another nodewhy-collector uses"), "{error}");
}

#[tokio::test]
async fn closed_cases_go_when_they_are_old_or_too_many_and_open_ones_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), quiet()).expect("opened").store;
    attach(&store, "n").await;
    for (sequence, code) in [(1, "a"), (3, "b"), (5, "c"), (7, "d")] {
        put(&store, opens("n", sequence, code)).await;
        put(&store, closes("n", sequence + 1, code)).await;
    }
    put(&store, opens("n", 9, "open")).await;
    let codes = async || {
        let cases = store.cases(CasePage { size: 100, ..CasePage::default() }).await.expect("read");
        cases.into_iter().map(|case| case.cause.code).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["open", "d", "c", "b", "a"]);
    let pruned = store.prune(KEEP, Timestamp::now()).await.expect("pruned");
    assert_eq!((pruned.cases, codes().await), (1, vec!["open".into(), "d".into(), "c".into(), "b".into()]));
    let tomorrow = Timestamp::now().checked_add(SignedDuration::from_hours(25)).expect("a time");
    let pruned = store.prune(KEEP, tomorrow).await.expect("pruned");
    assert_eq!((pruned.cases, codes().await), (3, vec!["open".to_owned()]));
}

#[tokio::test]
async fn a_failed_report_leaves_nothing_and_the_one_behind_it_is_a_gap() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), quiet()).expect("opened").store;
    attach(&store, "n").await;
    assert_eq!(put(&store, opens("n", 1, "a")).await, Taken::UpTo(1));
    assert_eq!(put(&store, opens("n", 3, "a")).await, Taken::Gap(1));
    assert_eq!(put(&store, opens("n", 1, "a")).await, Taken::UpTo(1));
    let content = Err(Refused("for the test".into()));
    let new = NewReport {
        node: "n".into(),
        spool_id: "s".into(),
        sequence: 2,
        dropped: 0,
        boot_id: String::new(),
        content,
        at: Timestamp::now(),
    };
    let taken = store.report(new).await.expect("queued").await.expect("answered");
    assert_eq!(taken, Ok(Taken::UpTo(2)));
}

#[tokio::test]
async fn after_a_restart_every_agent_has_its_grace() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), quiet()).expect("opened").store;
    attach(&store, "n").await;
    let presence = Presence::default();
    let silence = Silence { store, presence: presence.clone(), keep: KEEP };
    tokio::time::pause();
    silence.recall(GRACE).await.expect("read");
    assert!(presence.knows("n"));
    tokio::time::advance(GRACE - Duration::from_secs(1)).await;
    assert!(presence.silent_now().is_empty(), "three heartbeats have passed, and it may still be on its way");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(presence.silent_now(), ["n".into()]);
}

#[test]
fn a_configuration_that_cannot_be_used_ends_the_program_with_file_and_line() {
    let dir = tempfile::tempdir().expect("a directory");
    for (text, says) in [
        ("listen: 127.0.0.1:0\nlissten: x\n", ":2:"),
        ("listen: 0.0.0.0:0\n", "is not on loopback, and there is no tls"),
        ("listen: 0.0.0.0:0\ntls: {certFile: /none/c, keyFile: /none/k, clientCAFile: /none/ca}\n", "tls.certFile /none/c: cannot read it"),
    ] {
        let config = write(dir.path(), "collector.yaml", text);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nodewhy-collector"));
        let ran = command.arg("--config").arg(&config).arg("--data-dir").arg(dir.path().join("data")).output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(3), "{text}: {said}");
        assert!(said.contains(says), "{text}: {said}");
    }
}
