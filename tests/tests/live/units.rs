//! Faults that end the kubelet, or keep it from starting.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use nodewhy_tests::world::{Shape, live};

use crate::support::report;

/// A fault of a unit is known at the collector.
const NAMED_WITHIN: Duration = Duration::from_secs(8);
/// A repair is known there.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn unknown_flag_is_named_and_closed() {
    live(Shape::default(), async |world| {
        world.watch_healthy().await?;
        let node = &world.node;
        node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--network-plugin=cni\n")?;
        let fault_at = Timestamp::now();
        node.run(&["systemctl", "restart", "kubelet"])?;
        let named = world.named_within("kubelet-unknown-flag", fault_at, NAMED_WITHIN).await?;
        ensure!(named.case.cause.as_ref().is_some_and(|cause| cause.message.contains("--network-plugin")), "{named:?}");

        node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n")?;
        let repaired_at = Timestamp::now();
        node.run(&["systemctl", "restart", "kubelet"])?;
        let closed_after = world.closed_within(&named.case.case_id, repaired_at, CLOSED_WITHIN).await?;
        world.was_the_only_root("kubelet-unknown-flag").await?;
        report("kubelet-unknown-flag", &named, closed_after);
        Ok(())
    });
}
