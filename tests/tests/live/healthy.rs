//! Nodes with nothing wrong, and machines that are no nodes.

use std::time::Duration;

use anyhow::{bail, ensure};
use nodewhy_proto::v1::Verdict;
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, live};

/// What a real healthy kubelet said in its first half minute, errors and warnings and all.
const HEALTHY: &str = include_str!("../../fixtures/kubelet-logs/healthy-standalone.log");
/// That half minute, and a machine under load.
const SAID_WITHIN: Duration = Duration::from_secs(60);

/// The agent shows the collector the kubelet's own certificate here: one way of two that it may go.
#[test]
fn a_healthy_node_stays_healthy_whatever_its_kubelet_says() {
    live(Shape { kubelet_credentials: true, ..Shape::default() }, async |world| {
        world.watch_healthy().await?;
        let lines = HEALTHY.lines().count();
        until("the kubelet has said all of it", SAID_WITHIN, async || {
            let said = world.node.run(&["journalctl", "-u", "kubelet", "-o", "cat", "--no-pager"])?;
            // Beside the recorded lines it says that it registers the node.
            let own = |line: &&str| line.contains("\"Attempting to register node\"") || line.contains("\"Successfully registered node\"");
            let recorded = said.lines().filter(|line| line.starts_with(['I', 'W', 'E']) && !own(line)).count();
            if recorded < lines {
                bail!("{recorded} of {lines} lines");
            }
            Ok(Some(()))
        })
        .await?;
        world.healthy_within(Duration::from_secs(1)).await?;
        let seen = world.observer.as_ref().map(|observer| observer.all()).unwrap_or_default();
        let after = seen.iter().skip_while(|seen| seen.verdict != Verdict::Healthy);
        ensure!(after.clone().count() == 1, "it did not stay healthy: {seen:#?}");
        let cases = world.collector.cases(&world.node.name()).await?;
        ensure!(cases.is_empty(), "cases of a healthy node: {cases:#?}");
        Ok(())
    });
}

#[test]
fn where_there_is_no_kubelet_check_says_so_and_still_looks_at_the_host() {
    live(Shape { not_kubernetes: true, ..Shape::default() }, async |world| {
        let said = world.check()?;
        ensure!(said.code == 0, "exit code {}: {}", said.code, said.text);
        for word in ["no kubelet", "/var/lib/kubelet"] {
            ensure!(said.text.to_lowercase().contains(word), "check lacks {word:?}: {}", said.text);
        }
        // As after an I/O error; what is open for writing there, on another mount, keeps it from nothing.
        world.node.sh("mount --bind /var/log /var/log; mount -o remount,bind,ro /var/log")?;
        let said = world.check()?;
        ensure!(said.code == 2 && said.text.contains("readonly-filesystem"), "exit code {}: {}", said.code, said.text);
        Ok(())
    });
}
