//! The story that the project exists for: swap is on, and the kubelet refuses to run.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use nodewhy_tests::node::KUBELET_CONFIG;
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Alertmanager, Receiver, Shape, World, live};
use serde_json::Value;

use crate::support::{CLOSED_WITHIN, report};

const CODE: &str = "swap-enabled";
/// From the kubelet's exit to the admin's answer.
const NAMED_WITHIN: Duration = Duration::from_secs(2);
const FSTAB: &str = "# /etc/fstab\n/dev/vda / ext4 defaults 0 1\n/swap/swapfile none swap sw 0 0\n";

#[test]
fn swap_is_named_explained_alerted_and_closed() {
    live(Shape { alone: true, restart_sec: Some(2), ..Shape::default() }, async |world| {
        let alertmanager = Alertmanager::start(world).await?;
        let receiver = Receiver::start(world).await?;
        world.collector.tell(&format!(
            "hooks:\n  - {{name: ops, webhook: {{url: '{}'}}}}\n  - {{name: am, alertmanager: {{url: '{}'}}}}\n",
            receiver.url(),
            alertmanager.url()
        ));
        world.watch_healthy().await?;

        let exit = swap_on(world).await?;
        until("kubectl-nodewhy why names swap-enabled and tells all of it", NAMED_WITHIN, async || {
            tells_all_of_it(&named(world)?, exit).map(Some)
        })
        .await?;
        let named = world.named_within(CODE, exit, NAMED_WITHIN).await?;
        ensure!(named.after.unsigned_abs() < NAMED_WITHIN, "{:?} after the exit", named.after);
        until("what follows from it is folded beneath it", Duration::from_secs(20), async || folded(world)).await?;
        told(world)?;
        alerted(world, &alertmanager, &receiver).await?;

        let repaired_at = Timestamp::now();
        world.node.run(&["swapoff", "/swap/swapfile"])?;
        world.node.run(&["systemctl", "restart", "kubelet"])?;
        let closed_after = world.closed_within(&named.case.case_id, repaired_at, CLOSED_WITHIN).await?;
        world.was_the_only_root(CODE).await?;
        in_history(world, &named.case.case_id)?;
        resolved(world, &alertmanager, &receiver).await?;
        report(CODE, &named, closed_after);
        Ok(())
    });
}

/// Turns a real swap file on, lets the kubelet start into it, and says when it ended.
async fn swap_on(world: &World) -> Result<Timestamp> {
    let node = &world.node;
    node.write("/etc/fstab", FSTAB)?;
    node.sh("fallocate -l 64M /swap/swapfile; chmod 600 /swap/swapfile; mkswap -q /swap/swapfile; swapon /swap/swapfile")?;
    let before = Timestamp::now();
    node.run(&["systemctl", "restart", "kubelet"])?;
    let exited = async || {
        let state = node.unit_properties("kubelet.service", &["Result"])?;
        Ok(world.kubelet_exited_at()?.filter(|exit| *exit > before && state == ["exit-code"]))
    };
    until("the kubelet ends because of swap", Duration::from_secs(10), exited).await
}

fn why(world: &World) -> Result<Value> {
    let said = world.collector.ask(&["why", &world.node.name(), "--output", "json"])?;
    serde_json::from_str(&said.stdout).with_context(|| said.text.clone())
}

fn codes(why: &Value, root: bool) -> Vec<&str> {
    let causes = why["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    causes.iter().filter(|cause| cause["root"] == root).filter_map(|cause| cause["code"].as_str()).collect()
}

fn named(world: &World) -> Result<Value> {
    let why = why(world)?;
    if codes(&why, true) != [CODE] {
        bail!("roots are {:?}", codes(&why, true));
    }
    Ok(why)
}

fn tells_all_of_it(why: &Value, exit: Timestamp) -> Result<()> {
    let cause = &why["causes"][0];
    let message = cause["message"].as_str().unwrap_or_default();
    for word in ["/swap/swapfile", "64.0 MiB", "failSwapOn is true", KUBELET_CONFIG, "status 1"] {
        ensure!(message.contains(word), "the message lacks {word:?}: {message}");
    }
    let evidence = cause["evidence"].as_array().context("no evidence")?;
    let quote = |source: &str, words: &str| {
        let found = evidence.iter().find(|one| {
            one["source"].as_str().is_some_and(|said| said.starts_with(source))
                && one["quote"].as_str().is_some_and(|said| said.contains(words))
        });
        found.with_context(|| format!("no evidence {source:?} with {words:?}: {evidence:#?}"))
    };
    let line = quote("log:", "running with swap on is not supported")?;
    let at: Timestamp = line["at"].as_str().context("the line has no time")?.parse()?;
    ensure!(at.duration_since(exit).abs() < jiff::SignedDuration::from_secs(2), "the line's time is {at}, the exit's {exit}");
    quote("swap.devices", "/swap/swapfile")?;
    quote("kubelet.unit.restarts", "")?;
    let remedy = cause["remedy"].to_string();
    for word in ["swapoff -a", "/etc/fstab line 3"] {
        ensure!(remedy.contains(word), "the remedy lacks {word:?}: {remedy}");
    }
    Ok(())
}

fn folded(world: &World) -> Result<Option<()>> {
    let why = why(world)?;
    ensure!(codes(&why, true) == [CODE], "roots are {:?}", codes(&why, true));
    let folded = codes(&why, false);
    Ok(["kubelet-crash-looping", "kubelet-down"].iter().all(|code| folded.contains(code)).then_some(()))
}

/// The answer that an admin reads, and its exit code.
fn told(world: &World) -> Result<()> {
    let said = world.collector.ask(&["why", &world.node.name()])?;
    ensure!(said.code == 2, "exit code {}: {}", said.code, said.text);
    for word in ["not-ready", "swap-enabled", "/swap/swapfile", "swapoff -a", "kubelet-crash-looping", "kubelet-down"] {
        ensure!(said.stdout.contains(word), "why lacks {word:?}: {}", said.stdout);
    }
    let nodes = world.collector.ask(&["nodes"])?;
    ensure!(nodes.stdout.contains(&world.node.name()) && nodes.stdout.contains(CODE), "{}", nodes.text);
    Ok(())
}

async fn alerted(world: &World, alertmanager: &Alertmanager, receiver: &Receiver) -> Result<()> {
    let message = receiver.message("opened", CODE, Duration::from_secs(5)).await?;
    ensure!(message["node"] == world.node.name(), "{message}");
    ensure!(message["cause"]["remedy"].to_string().contains("swapoff -a"), "{message}");
    let alert = until("Alertmanager shows the alert", Duration::from_secs(5), async || {
        Ok(alertmanager.alerts().await?.into_iter().find(|alert| alert["labels"]["cause"] == CODE))
    });
    let alert = alert.await?;
    ensure!(alert["labels"]["node"] == world.node.name() && alert["labels"]["severity"] == "critical", "{alert}");
    ensure!(alert["annotations"]["remedy"].as_str().is_some_and(|remedy| remedy.contains("swapoff -a")), "{alert}");
    Ok(())
}

async fn resolved(world: &World, alertmanager: &Alertmanager, receiver: &Receiver) -> Result<()> {
    let message = receiver.message("resolved", CODE, Duration::from_secs(5)).await?;
    ensure!(message["node"] == world.node.name() && !message["resolvedAt"].is_null(), "{message}");
    until("Alertmanager shows the alert no more", Duration::from_secs(10), async || {
        Ok(alertmanager.alerts().await?.is_empty().then_some(()))
    })
    .await?;
    let told: Vec<_> =
        receiver.messages().iter().map(|message| (message["event"].to_string(), message["cause"]["code"].to_string())).collect();
    ensure!(told.len() == 2, "more than swap-enabled was alerted: {told:?}");
    Ok(())
}

fn in_history(world: &World, case_id: &str) -> Result<()> {
    let said = world.collector.ask(&["history", &world.node.name(), "--output", "json"])?;
    let history: Value = serde_json::from_str(&said.stdout).with_context(|| said.text.clone())?;
    let cases = history.as_array().or_else(|| history["cases"].as_array()).with_context(|| said.text.clone())?;
    let case = cases.iter().find(|case| case["case_id"] == case_id).with_context(|| said.text.clone())?;
    for field in ["opened_at", "opened_reason", "closed_at", "closed_reason"] {
        ensure!(case[field].as_str().is_some_and(|text| !text.is_empty()), "history lacks {field}: {case:#}");
    }
    Ok(())
}
