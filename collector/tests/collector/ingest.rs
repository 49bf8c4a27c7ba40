//! Reports are taken in once, whatever happens.

use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::attach_request::Message as Say;
use tonic::Code;

use crate::support::agent::{Agent, cause, closes, hello, opens, report, transition};
use crate::support::{Collector, until};

#[tokio::test]
async fn a_case_opens_and_closes_with_times_and_reasons() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    let nodes = collector.nodes().await;
    assert_eq!((nodes[0].verdict(), &nodes[0].roots[..]), (pb::Verdict::NotReady, &["swap-enabled".to_owned()][..]));
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    assert_eq!(collector.node("worker-1").await.diagnosis.expect("there").verdict(), pb::Verdict::Healthy);
    let cases = collector.cases("worker-1").await;
    assert_eq!(cases.len(), 1);
    assert_eq!((&*cases[0].opened_reason, &*cases[0].closed_reason), ("log sign seen", "absent: swap is off"));
    assert_eq!((cases[0].opened_at, cases[0].closed_at), (crate::support::agent::at(1), crate::support::agent::at(2)));
    assert!(cases[0].opened_recorded_at.is_some() && cases[0].closed_recorded_at.is_some());
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_what_is_sent_again_changes_nothing() {
    let mut collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    let before = collector.cases("worker-1").await;
    collector.kill();
    collector.restart();
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    assert_eq!(agent.committed, 2, "Welcome says what is committed");
    agent.committed = 0;
    for again in [opens("worker-1", 1, "swap-enabled"), closes("worker-1", 2, "swap-enabled")] {
        agent.say(Say::Report(again)).await;
    }
    agent.acked(2).await.expect("acknowledged again");
    assert_eq!(collector.cases("worker-1").await, before);
    let events: Vec<_> = before[0].events.iter().map(pb::CaseEvent::kind).collect();
    assert_eq!(events, [pb::TransitionKind::Opened, pb::TransitionKind::Closed]);
}

#[tokio::test]
async fn many_reports_in_flight_are_committed_in_order() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    for sequence in 1..=200 {
        let mut now = cause("worker-1", "swap-enabled");
        now.message = format!("message {sequence}");
        let kind = if sequence == 1 { pb::TransitionKind::Opened } else { pb::TransitionKind::Confirmed };
        let change = transition(kind, &now, i64::try_from(sequence).expect("small"), &format!("change {sequence}"));
        agent.say(Say::Report(report("worker-1", sequence, &[now], vec![change]))).await;
    }
    agent.acked(200).await.expect("all");
    let case = collector.cases("worker-1").await.remove(0);
    assert_eq!(case.cause.expect("there").message, "message 200");
    let reasons: Vec<String> = case.events.into_iter().map(|event| event.reason).collect();
    assert_eq!(reasons.len(), 50, "events are bounded: the first, and the newest of the others");
    assert_eq!((&*reasons[0], &*reasons[1], &*reasons[49]), ("change 1", "change 152", "change 200"));
}

#[tokio::test]
async fn a_hole_in_the_sequence_is_not_acknowledged_over() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.say(Say::Report(closes("worker-1", 2, "swap-enabled"))).await;
    let status = agent.end().await;
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains("missing after 0"), "{status}");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(pb::Report { dropped: 1, ..closes("worker-1", 2, "swap-enabled") }).await;
    assert_eq!(agent.committed, 2, "a hole that the agent speaks of is one");
}

#[tokio::test]
async fn what_was_lost_on_the_way_is_told_by_the_next_diagnosis() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    // The agent lost its state: nothing of the old case, and a new one whose opening was never sent.
    let reborn = pb::Hello { spool_id: "another".into(), boot_id: "another".into(), ..hello("worker-1") };
    let mut agent = Agent::attach(collector.channel().await, reborn).await.expect("welcome");
    assert_eq!(agent.committed, 0);
    agent.report(report("worker-1", 1, &[cause("worker-1", "kubelet-hung")], vec![])).await;
    let cases = collector.cases("worker-1").await;
    let open: Vec<_> = cases.iter().map(|case| (&*case.cause.as_ref().expect("there").code, case.closed_at.is_none())).collect();
    assert_eq!(open, [("kubelet-hung", true), ("swap-enabled", false)]);
    assert_eq!(cases[1].closed_reason, "the agent does not report it any more");
}

#[tokio::test]
async fn a_report_that_cannot_be_read_makes_the_node_unknown_and_stops_nothing() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    let mut strange = opens("worker-1", 2, "swap-enabled");
    strange.diagnosis.as_mut().expect("there").causes[0].layer = 99;
    agent.report(strange).await;
    let node = collector.node("worker-1").await.diagnosis.expect("there");
    assert_eq!(node.verdict(), pb::Verdict::Unknown);
    assert!(node.unknown[0].why.contains("layer is 99"), "{:?}", node.unknown);
    assert!(collector.cases("worker-1").await[0].closed_at.is_none(), "not being able to read closes nothing");
    agent.report(closes("worker-1", 3, "swap-enabled")).await;
    assert_eq!(collector.nodes().await[0].verdict(), pb::Verdict::Healthy);
}

#[tokio::test]
async fn no_node_can_touch_the_cases_of_another() {
    let collector = Collector::start("");
    let mut victim = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    victim.report(opens("worker-1", 1, "swap-enabled")).await;
    let before = collector.cases("worker-1").await;
    let mut other = Agent::attach(collector.channel().await, hello("worker-2")).await.expect("welcome");
    let theirs = transition(pb::TransitionKind::Closed, &cause("worker-1", "swap-enabled"), 9, "mine now");
    other.report(report("worker-2", 1, &[], vec![theirs])).await;
    other.report(pb::Report { sequence: 2, ..closes("worker-1", 2, "swap-enabled") }).await;
    assert_eq!(collector.cases("worker-1").await, before);
    assert_eq!(collector.node("worker-1").await.summary.expect("there").verdict(), pb::Verdict::NotReady);
}

#[tokio::test]
async fn a_second_agent_of_one_name_is_refused_with_what_to_look_for() {
    let collector = Collector::start("");
    let mut first = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    let twin = pb::Hello { spool_id: "of the DaemonSet".into(), ..hello("worker-1") };
    let status = Agent::attach(collector.channel().await, twin).await.err().expect("refused");
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().contains("systemd unit and DaemonSet"), "{status}");
    first.report(opens("worker-1", 1, "swap-enabled")).await;
    // The first one's stream comes again before its end was noticed: it takes its own place.
    let mut again = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    assert_eq!(first.end().await.code(), Code::Aborted);
    again.report(closes("worker-1", 2, "swap-enabled")).await;
}

#[tokio::test]
async fn it_ends_as_ordered_with_agents_attached_and_tells_them() {
    let mut collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    let watching = tokio::spawn(async move { agent.end().await });
    assert_eq!(collector.end().await.code(), Some(0));
    assert_eq!(watching.await.expect("no panic").code(), Code::Unavailable);
    assert!(collector.log().contains("ended as ordered"));
    collector.restart();
    until("the node is still known", async || collector.nodes().await.into_iter().next()).await;
}
