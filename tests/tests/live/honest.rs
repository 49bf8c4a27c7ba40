//! What must not be said: a cause that is over, a loop that is told as many, a node called healthy that the cluster misses.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, World, live};
use serde_json::Value;

const DROP_IN: &str = "/etc/systemd/system/kubelet.service.d/90-test.conf";
/// Last words of which no fact says that they are over.
const DIES: &str = "echo 'F0124 09:31:40.128840    1777 kubelet.go:1384] Failed to start ContainerManager system validation failed - Following Cgroup subsystem not mounted: [memory]'\nexit 1\n";

fn systemctl(world: &World, words: &[&str]) -> Result<()> {
    world.node.run(&[&["systemctl"], words].concat()).map(drop)
}

/// Has systemd run something else in the kubelet's place.
fn run_instead(world: &World, command: &str) -> Result<()> {
    world.node.write(DROP_IN, &format!("[Service]\nExecStart=\nExecStart={command}\n"))?;
    systemctl(world, &["daemon-reload"])?;
    systemctl(world, &["restart", "kubelet"])
}

/// What a look with no memory says now.
fn check(world: &World) -> Result<Value> {
    let said = world.check_with(&["--output", "json"])?;
    serde_json::from_str(&said.stdout).with_context(|| said.text.clone())
}

fn root(diagnosis: &Value) -> &str {
    diagnosis["causes"][0]["code"].as_str().unwrap_or_default()
}

async fn check_names(world: &World, code: &str) -> Result<()> {
    until(&format!("check names {code}"), Duration::from_secs(20), async || {
        let diagnosis = check(world)?;
        ensure!(root(&diagnosis) == code, "it says {diagnosis:#}");
        Ok(Some(()))
    })
    .await
}

async fn property_is(world: &World, name: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
    until(&format!("{name} of the kubelet's unit"), Duration::from_secs(60), async || {
        let shown = world.node.unit_properties("kubelet.service", &[name])?.remove(0);
        ensure!(wanted(&shown), "it is {shown:?}");
        Ok(Some(()))
    })
    .await
}

#[test]
fn a_loop_of_crashes_that_nobody_knows_the_reason_of_is_one_case() {
    live(Shape { restart_sec: Some(1), ..Shape::default() }, async |world| {
        world.watch_healthy().await?;
        run_instead(world, "/bin/sh -c 'echo of a reason that no catalogue has; exit 3'")?;
        property_is(world, "NRestarts", |count| count.parse::<u32>().is_ok_and(|count| count >= 12)).await?;
        let cases = world.collector.cases(&world.node.name()).await?;
        let looping: Vec<_> =
            cases.iter().filter(|case| case.cause.as_ref().is_some_and(|cause| cause.code == "kubelet-crash-looping")).collect();
        ensure!(looping.len() == 1 && looping[0].closed_at.is_none(), "{looping:#?}");
        Ok(())
    });
}

#[test]
fn a_cause_that_was_mended_is_not_named_when_the_kubelet_is_down_for_another_reason() {
    live(Shape::default(), async |world| {
        world.node.write("/root/dies.sh", DIES)?;
        run_instead(world, "/bin/sh /root/dies.sh")?;
        check_names(world, "cgroup-unsupported").await?;
        world.node.run(&["rm", DROP_IN])?;
        systemctl(world, &["daemon-reload"])?;
        systemctl(world, &["restart", "kubelet"])?;
        let mended = Instant::now();
        world.kubelet_registers().await?;
        // Longer than a dying kubelet takes from its last words to its end.
        until("it has run for a while", Duration::from_secs(30), async || Ok((mended.elapsed() > Duration::from_secs(12)).then_some(())))
            .await?;
        systemctl(world, &["stop", "kubelet"])?;
        check_names(world, "kubelet-down").await
    });
}

#[test]
fn a_node_that_the_cluster_misses_is_not_healthy_though_a_process_runs() {
    live(Shape::default(), async |world| {
        run_instead(world, "/bin/sleep infinity")?;
        until("check names what the cluster says", Duration::from_secs(120), async || {
            let diagnosis = check(world)?;
            Ok((root(&diagnosis) == "node-not-ready" && diagnosis["verdict"] == "not-ready").then_some(()))
        })
        .await
    });
}
