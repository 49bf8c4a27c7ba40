//! Own cause files that come, turn bad and go while the agent runs.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nodewhy_proto::v1::TransitionKind;
use support::Node;
use support::collector::{Collector, Store, listen};
use support::journal_file::JournalFile;

const OWN: &str = "
code: own-fault
title: A fault of our own
layer: kubelet
severity: warning
signs: [{log: {from: [kubelet], match: 'own fault (?<n>[0-9]+)', quiet_for: 1d, examples: ['own fault 1']}}]
message: 'own {{captures.n}}'
docs: {meaning: m}
";

/// The reason of a code's last transition of this kind.
fn reason(store: &Store, kind: TransitionKind, code: &str) -> Option<String> {
    let all = store.reports.iter().flat_map(|report| &report.transitions);
    all.filter(|transition| transition.kind() == kind && transition.code == code).map(|transition| transition.reason.clone()).next_back()
}

fn has(kind: TransitionKind, code: &'static str) -> impl Fn(&Store) -> bool {
    move |store| reason(store, kind, code).is_some()
}

fn says_unknown(store: &Store, what: &str) -> bool {
    let last = store.reports.iter().filter_map(|report| report.diagnosis.as_ref()).next_back();
    last.is_some_and(|diagnosis| diagnosis.unknown.iter().any(|unknown| unknown.what.contains(what)))
}

#[tokio::test]
async fn a_rule_finds_the_past_of_this_boot_stays_while_its_file_is_bad_and_closes_its_case_when_it_is_removed() {
    let (listener, address) = listen().await;
    let collector = Collector::serve(listener, 0).await;
    let node = Node::new(Some(address));
    let mut journal = JournalFile::system(&node.root());
    node.fault(Some(1));
    journal.kubelet("own fault 5");
    journal.kubelet("test fault 1 happened");
    let agent = node.start();
    collector.until("the other case is open", has(TransitionKind::Opened, "test-by-log")).await;

    let file = node.path().join("causes.d/own.yaml");
    std::fs::write(&file, OWN).unwrap();
    collector.until("a rule added finds what was logged before", has(TransitionKind::Opened, "own-fault")).await;

    std::fs::write(&file, "code: own-fault\ntitle: [\n").unwrap();
    collector.until("the bad file is told", |store| says_unknown(store, "own.yaml:2")).await;
    assert!(node.log().contains("last good version"), "{}", node.log());

    std::fs::remove_file(&file).unwrap();
    kill(Pid::from_raw(i32::try_from(agent.0.id()).unwrap()), Signal::SIGHUP).unwrap();
    collector.until("its case closes", has(TransitionKind::Closed, "own-fault")).await;
    let transitions = collector.transitions();
    let of = |kind: TransitionKind, code: &str| transitions.iter().filter(|one| one.kind() == kind && one.code == code).count();
    let closed = transitions.iter().find(|one| one.kind() == TransitionKind::Closed && one.code == "own-fault").unwrap();
    assert_eq!(closed.reason, "rule removed from the catalogue");
    assert_eq!((of(TransitionKind::Opened, "own-fault"), of(TransitionKind::Closed, "own-fault")), (1, 1));
    assert_eq!((of(TransitionKind::Opened, "test-by-log"), of(TransitionKind::Closed, "test-by-log")), (1, 0), "the other case went on");
}
