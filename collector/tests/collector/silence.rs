//! Silence is found by the collector's clock, and a silent node is never healthy.

use nodewhy_proto::v1 as pb;

use crate::support::agent::{Agent, hello, opens, report};
use crate::support::{Collector, until};

fn quick(node: &str) -> pb::Hello {
    pb::Hello { heartbeat_interval: Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 }), ..hello(node) }
}

async fn silent(collector: &Collector, node: &str, wanted: bool) -> pb::NodeSummary {
    until(&format!("silent is {wanted}"), async || collector.node(node).await.summary.filter(|summary| summary.silent == wanted)).await
}

#[tokio::test]
async fn an_agent_that_is_not_heard_is_silent_until_it_has_caught_up() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, quick("worker-1")).await.expect("welcome");
    agent.report(report("worker-1", 1, &[], vec![])).await;
    assert_eq!(collector.nodes().await[0].verdict(), pb::Verdict::Healthy);
    drop(agent);

    let summary = silent(&collector, "worker-1", true).await;
    assert_eq!((summary.verdict(), &summary.roots[..]), (pb::Verdict::Unknown, &["agent-silent".to_owned()][..]));
    let diagnosis = collector.node("worker-1").await.diagnosis.expect("there");
    assert_eq!((diagnosis.verdict(), &*diagnosis.causes[0].code), (pb::Verdict::Unknown, "agent-silent"));
    assert!(diagnosis.causes[0].remedy.iter().any(|step| step.run.contains("nodewhy-agent check")));

    // It is back, and says that it has kept two reports: what is known of the node is not yet of now.
    let mut agent = Agent::attach(collector.channel().await, quick("worker-1")).await.expect("welcome");
    agent.beat(3).await;
    agent.report(opens("worker-1", 2, "swap-enabled")).await;
    assert!(collector.node("worker-1").await.summary.expect("there").silent, "not yet healthy, not yet anything");
    agent.report(report("worker-1", 3, &[crate::support::agent::cause("worker-1", "swap-enabled")], vec![])).await;
    agent.beat(3).await;
    let summary = silent(&collector, "worker-1", false).await;
    assert_eq!((summary.verdict(), &summary.roots[..]), (pb::Verdict::NotReady, &["swap-enabled".to_owned()][..]));
    let cases = collector.cases("worker-1").await;
    let silence = cases.iter().find(|case| case.case_id.contains("agent-silent")).expect("on record");
    assert_eq!(silence.closed_reason, "the agent speaks again");
    assert!(silence.opened_reason.contains("nothing was heard for 5s"), "{}", silence.opened_reason);
}

#[tokio::test]
async fn a_silence_outlives_a_restart_and_one_begins_not_because_of_it() {
    let mut collector = Collector::start("");
    let mut gone = Agent::attach(collector.channel().await, quick("gone")).await.expect("welcome");
    gone.report(report("gone", 1, &[], vec![])).await;
    drop(gone);
    silent(&collector, "gone", true).await;
    let mut here = Agent::attach(collector.channel().await, quick("here")).await.expect("welcome");
    here.report(report("here", 1, &[], vec![])).await;
    collector.kill();
    collector.restart();
    assert!(collector.node("gone").await.summary.expect("there").silent);
    let here = collector.node("here").await.summary.expect("there");
    assert_eq!((here.silent, here.verdict()), (false, pb::Verdict::Healthy), "it had no time to come back yet");
}
