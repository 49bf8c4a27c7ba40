//! The real binary, killed and cut off at many points: every transition arrives, once, in order.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nodewhy_proto::v1::{Transition, TransitionKind};
use support::collector::{Collector, listen, words};
use support::journal_file::JournalFile;
use support::{Agent, Node};

const ROUNDS: u32 = 12;

/// One round: a fault that facts and a log line tell, and its end, each seen at the collector before the next.
async fn round(node: &Node, journal: &mut JournalFile, collector: &Collector, number: u32) {
    node.fault(Some(number));
    journal.kubelet(&format!("test fault {number} happened"));
    let seen = usize::try_from(number).unwrap();
    let count = move |kind: TransitionKind, code: &'static str| {
        move |store: &support::collector::Store| {
            let all = store.reports.iter().flat_map(|report| &report.transitions);
            all.filter(|transition| transition.kind() == kind && transition.code == code).count() >= seen
        }
    };
    for code in ["test-by-fact", "test-by-log"] {
        collector.until(&format!("{code} is opened for the {number}th time"), count(TransitionKind::Opened, code)).await;
    }
    node.fault(None);
    for code in ["test-by-fact", "test-by-log"] {
        collector.until(&format!("{code} is closed for the {number}th time"), count(TransitionKind::Closed, code)).await;
    }
}

/// Each code: opened, closed, opened, closed ...; each case opened once and closed once; nothing else.
fn assert_once_and_in_order(transitions: &[Transition], rounds: u32) {
    let mut of_code: BTreeMap<&str, Vec<&Transition>> = BTreeMap::new();
    for transition in transitions.iter().filter(|transition| transition.kind() != TransitionKind::Confirmed) {
        of_code.entry(&transition.code).or_default().push(transition);
    }
    for code in ["test-by-fact", "test-by-log"] {
        let of_code = of_code.get(code).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(of_code.len(), 2 * rounds as usize, "{code}: {:?}", words(transitions));
        let mut cases = std::collections::BTreeSet::new();
        for (number, pair) in (1..).zip(of_code.chunks(2)) {
            assert_eq!((pair[0].kind(), pair[1].kind()), (TransitionKind::Opened, TransitionKind::Closed), "{code} {number}");
            assert_eq!(pair[0].case_id, pair[1].case_id, "{code} {number}");
            assert!(cases.insert(&pair[0].case_id), "{code} {number}: {} was used before", pair[0].case_id);
            let message = &pair[0].cause.as_ref().unwrap().message;
            assert!(message.ends_with(&number.to_string()), "{code} {number}: {message}");
        }
    }
}

#[tokio::test]
async fn kill_9_at_any_point_neither_loses_nor_repeats_a_transition() {
    ended_again_and_again(Agent::kill).await;
}

/// A stop writes down what is known by then: also what was read and not judged yet, since the cursor is behind it.
#[tokio::test]
async fn a_stop_at_any_point_neither_loses_nor_repeats_a_transition() {
    ended_again_and_again(Agent::stop).await;
}

async fn ended_again_and_again(end: fn(&mut Agent)) {
    let (listener, address) = listen().await;
    let collector = Collector::serve(listener, 5).await;
    let node = Arc::new(Node::new(Some(address)));
    let mut journal = JournalFile::system(&node.root());
    let over = Arc::new(AtomicBool::new(false));
    let kills = Arc::new(AtomicU32::new(0));
    let killer = {
        let (node, over, kills) = (Arc::clone(&node), Arc::clone(&over), Arc::clone(&kills));
        std::thread::spawn(move || {
            // Times from before the first judgement to well after a report, spread without chance so that a failure comes again. How long
            // an agent takes to be ready depends on what else the machine does: every third time it is given as long as that.
            let mut agent = node.start();
            for step in 0_u64.. {
                let ready = if step % 3 < 2 { Duration::ZERO } else { time_to_load(&node) };
                std::thread::park_timeout(ready + Duration::from_millis(150 + step * 97 % 1150));
                if over.load(Ordering::Acquire) {
                    return;
                }
                end(&mut agent);
                kills.fetch_add(1, Ordering::AcqRel);
                agent = node.start();
            }
        })
    };
    for number in 1..=ROUNDS {
        round(&node, &mut journal, &collector, number).await;
    }
    over.store(true, Ordering::Release);
    killer.thread().unpark();
    killer.join().unwrap();
    assert!(kills.load(Ordering::Acquire) >= 5, "the agent was hardly ended: {kills:?}");
    assert_once_and_in_order(&collector.transitions(), ROUNDS);
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

#[tokio::test]
async fn while_the_collector_is_away_everything_is_kept_and_arrives_once_in_order_after() {
    let (listener, address) = listen().await;
    drop(listener);
    let node = Node::new(Some(address));
    let mut journal = JournalFile::system(&node.root());
    let mut agent = node.start();
    for number in 1..=4 {
        node.fault(Some(number));
        journal.kubelet(&format!("test fault {number} happened"));
        until_logged(&node, "opened", "test-by-fact", number).await;
        until_logged(&node, "opened", "test-by-log", number).await;
        node.fault(None);
        until_logged(&node, "closed", "test-by-fact", number).await;
        until_logged(&node, "closed", "test-by-log", number).await;
        if number == 2 {
            agent.kill();
            agent = node.start();
        }
    }
    let collector = Collector::serve(tokio::net::TcpListener::bind(address).await.unwrap(), 0).await;
    let all = |store: &support::collector::Store| store.reports.iter().flat_map(|report| &report.transitions).count() >= 16;
    collector.until("all 16 transitions are there", all).await;
    assert_once_and_in_order(&collector.transitions(), 4);
    // And it goes on.
    round(&node, &mut journal, &collector, 5).await;
    drop(agent);
}

#[tokio::test]
async fn a_fault_older_than_the_agent_is_named_at_its_first_start() {
    let (listener, address) = listen().await;
    let collector = Collector::serve(listener, 0).await;
    let node = Node::new(Some(address));
    node.fault(Some(1));
    let mut journal = JournalFile::system(&node.root());
    journal.entry(
        support::journal_file::now_micros() - 3_600_000_000,
        support::journal_file::BOOT,
        &support::journal_file::kubelet_fields(b"test fault 1 happened"),
    );
    for _ in 0..1000 {
        journal.kubelet("nothing of interest");
    }
    let _agent = node.start();
    collector
        .until("the fault is told", |store| {
            store.reports.iter().any(|report| words(&report.transitions).contains(&"opened test-by-log".to_owned()))
        })
        .await;
    let transitions = collector.transitions();
    let opened = transitions.iter().find(|transition| transition.code == "test-by-log").unwrap();
    let age = opened.at.unwrap().seconds - opened.since.unwrap().seconds;
    assert!((3590..3700).contains(&age), "since an hour ago, not {age} s");
}

/// How long the agent's program takes to load its catalogue, now.
fn time_to_load(node: &Node) -> Duration {
    let began = std::time::Instant::now();
    node.command(&["causes", "list"]).output().unwrap();
    began.elapsed()
}

async fn until_logged(node: &Node, kind: &str, code: &str, times: u32) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let count = |log: &str| log.lines().filter(|line| line.contains(kind) && line.contains(&format!("cause=\"{code}\""))).count();
    while count(&node.log()) < times as usize {
        assert!(std::time::Instant::now() < deadline, "{code} was not {kind} {times} times:\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
