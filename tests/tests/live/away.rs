//! Everything that is wrong at a time when somebody is away: collector, API server, kubelet, agent.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Receiver, Shape, World, live};
use serde_json::Value;

use crate::support::{CLOSED_WITHIN, tell};

const NAMED_WITHIN: Duration = Duration::from_secs(10);
/// An agent tries to reach its collector again, ever more seldom.
const BACK_WITHIN: Duration = Duration::from_secs(30);
const UNKNOWN_FLAG: &str = "KUBELET_EXTRA_ARGS=--network-plugin=cni\n";

fn kubelet(world: &World, verb: &str) -> Result<()> {
    world.node.run(&["systemctl", verb, "kubelet"]).map(drop)
}

#[test]
fn with_kubelet_api_server_and_collector_down_check_names_the_cause_within_a_second() {
    live(Shape::default(), async |world| {
        world.node.write("/etc/default/kubelet", UNKNOWN_FLAG)?;
        kubelet(world, "restart")?;
        // Dropped, not refused: what is asked has to be waited for.
        let rules = "add table inet fault; add chain inet fault out { type filter hook output priority 0 ; }; add rule inet fault out tcp dport 6443 drop";
        world.node.on_network(&["nft", rules])?;
        world.api.stop().await;
        until("the kubelet has ended", NAMED_WITHIN, async || {
            Ok((world.node.unit_properties("kubelet.service", &["Result"])? == ["exit-code"]).then_some(()))
        })
        .await?;

        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let said = world.check_with(&["--output", "json"])?;
            ensure!(said.code == 2, "exit code {}: {}", said.code, said.text);
            let diagnosis: Value = serde_json::from_str(&said.stdout).with_context(|| said.text.clone())?;
            ensure!(diagnosis["causes"][0]["code"] == "kubelet-unknown-flag" && diagnosis["causes"][0]["root"] == true, "{diagnosis:#}");
            fastest = fastest.min(said.took);
        }
        tell(&format!("check with kubelet, API server and collector down: {fastest:?}"));
        // The fastest of three: the machine has other things to do.
        ensure!(fastest < Duration::from_secs(1), "check took {fastest:?}");
        Ok(())
    });
}

#[test]
fn a_fault_older_than_the_agent_is_named_when_it_starts() {
    live(Shape::default(), async |world| {
        world.collector.start().await?;
        world.node.write("/etc/default/kubelet", UNKNOWN_FLAG)?;
        let fault_at = Timestamp::now();
        kubelet(world, "restart")?;
        until("the kubelet has ended", NAMED_WITHIN, async || {
            Ok((world.node.unit_properties("kubelet.service", &["Result"])? == ["exit-code"]).then_some(()))
        })
        .await?;
        world.start_agent()?;
        world.named_within("kubelet-unknown-flag", fault_at, NAMED_WITHIN).await.map(drop)
    });
}

/// `opened` and `closed` with the cause's code, in the order in which the agent's journal has them.
fn told_by_agent(world: &World) -> Result<Vec<(bool, String)>> {
    let said = world.node.run(&["journalctl", "-u", "nodewhy-agent", "-o", "cat", "--no-pager"])?;
    let change = |line: &str| {
        let opened = line.contains(" opened: ");
        let code = line.split_once("cause=\"")?.1.split_once('"')?.0.to_owned();
        (opened || line.contains(" closed ")).then_some((opened, code))
    };
    Ok(said.lines().filter_map(change).collect())
}

async fn agent_tells(world: &World, opened: bool, code: &str) -> Result<()> {
    until(&format!("the agent says that {code} is {}", if opened { "open" } else { "closed" }), CLOSED_WITHIN, async || {
        Ok(told_by_agent(world)?.iter().any(|(kind, told)| *kind == opened && told == code).then_some(()))
    })
    .await
}

async fn all_closed(world: &World) -> Result<()> {
    until("the agent has closed all cases", CLOSED_WITHIN, async || {
        let told = told_by_agent(world)?;
        let (opened, closed): (Vec<_>, Vec<_>) = told.iter().partition(|(opened, _)| *opened);
        Ok((opened.len() == closed.len()).then_some(()))
    })
    .await
}

#[test]
fn what_happens_while_the_collector_is_away_arrives_after_once_and_in_order() {
    live(Shape::default(), async |world| {
        world.watch_healthy().await?;
        world.collector.kill()?;

        world.node.write("/etc/default/kubelet", UNKNOWN_FLAG)?;
        kubelet(world, "restart")?;
        agent_tells(world, true, "kubelet-unknown-flag").await?;
        world.node.write("/etc/default/kubelet", "\n")?;
        kubelet(world, "restart")?;
        all_closed(world).await?;
        kubelet(world, "stop")?;
        agent_tells(world, true, "kubelet-down").await?;
        kubelet(world, "start")?;
        all_closed(world).await?;
        let told = told_by_agent(world)?;

        let back_at = Timestamp::now();
        world.collector.start().await?;
        let name = world.node.name();
        let cases = until("all cases are at the collector", BACK_WITHIN, async || {
            let cases = world.collector.cases(&name).await?;
            let closed = cases.iter().filter(|case| case.closed_at.is_some()).count();
            if closed < told.len() / 2 {
                bail!("{closed} closed cases of {}", told.len() / 2);
            }
            Ok(Some(cases))
        })
        .await?;
        let mut arrived: Vec<_> = cases
            .iter()
            .flat_map(|case| {
                let code = case.cause.as_ref().map(|cause| cause.code.clone()).unwrap_or_default();
                let at = |at: Option<prost_types::Timestamp>| at.map(|at| (at.seconds, at.nanos));
                [(at(case.opened_at), true, code.clone()), (at(case.closed_at), false, code)]
            })
            .collect();
        arrived.sort_by_key(|(at, ..)| *at);
        let in_order: Vec<_> = arrived.iter().map(|(_, opened, code)| (*opened, code.clone())).collect();
        ensure!(in_order == told, "the agent told {told:?}, the collector has {arrived:?}");
        let ids: BTreeSet<_> = cases.iter().map(|case| &case.case_id).collect();
        ensure!(ids.len() == cases.len(), "a case arrived twice: {cases:#?}");
        let recorded_after = cases.iter().all(|case| case.opened_recorded_at.is_some_and(|at| at.seconds >= back_at.as_second()));
        ensure!(recorded_after, "recorded before the collector was back: {cases:#?}");
        world.healthy_within(BACK_WITHIN).await
    });
}

#[test]
fn an_alert_that_was_committed_is_delivered_though_the_collector_is_killed_before() {
    live(Shape::default(), async |world| {
        let receiver = Receiver::start(world).await?;
        world.collector.tell(&format!("hooks: [{{name: ops, webhook: {{url: '{}'}}}}]\n", receiver.url()));
        world.watch_healthy().await?;
        receiver.refuse(true);
        let fault_at = Timestamp::now();
        kubelet(world, "stop")?;
        let named = world.named_within("kubelet-down", fault_at, NAMED_WITHIN).await?;
        until("the receiver has refused a message", NAMED_WITHIN, async || Ok((receiver.refused() > 0).then_some(()))).await?;
        world.collector.kill()?;
        receiver.refuse(false);
        ensure!(receiver.messages().is_empty(), "delivered before the kill");
        world.collector.start().await?;
        receiver.message("opened", "kubelet-down", NAMED_WITHIN).await?;

        let repaired_at = Timestamp::now();
        kubelet(world, "start")?;
        world.closed_within(&named.case.case_id, repaired_at, BACK_WITHIN).await?;
        receiver.message("resolved", "kubelet-down", NAMED_WITHIN).await?;
        let keys: Vec<_> = receiver.messages().iter().map(|message| message["key"].to_string()).collect();
        ensure!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
        Ok(())
    });
}
