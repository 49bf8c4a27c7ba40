//! The nodes themselves.

use std::time::Duration;

use anyhow::ensure;
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, live};

#[test]
fn a_node_runs_units_and_keeps_what_they_say_and_how_they_ended() {
    live(Shape { not_kubernetes: true, ..Shape::default() }, async |world| {
        world.node.write("/etc/systemd/system/fails.service", "[Service]\nExecStart=sh -c 'echo last words; exit 7'\n")?;
        world.node.run(&["systemctl", "daemon-reload"])?;
        world.node.run(&["systemctl", "start", "fails.service"])?;
        until("the unit has failed", Duration::from_secs(10), async || {
            let state = world.node.unit_properties("fails.service", &["ActiveState", "Result", "ExecMainStatus"])?;
            let said = world.node.run(&["journalctl", "-u", "fails.service", "-o", "cat"])?;
            ensure!(state == ["failed", "exit-code", "7"] && said.contains("last words"), "{state:?} {said}");
            Ok(Some(()))
        })
        .await
    });
}

#[test]
fn a_kubernetes_node_has_a_runtime_that_answers_and_a_kubelet_that_is_registered() {
    live(Shape::default(), async |world| {
        let node = &world.node;
        let state = node.unit_properties("kubelet.service", &["ActiveState", "SubState", "NRestarts", "UnitFileState"])?;
        ensure!(state == ["active", "running", "0", "enabled"], "{state:?}");
        ensure!(node.unit_properties("containerd.service", &["SubState"])? == ["running"]);
        let health = node.on_network(&[
            "bash",
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/10248; printf 'GET /healthz HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3; cat <&3",
        ])?;
        ensure!(health.starts_with("HTTP/1.1 200 OK") && health.ends_with("ok"), "{health}");
        ensure!(world.api.renewals(&node.name()) > 0);
        Ok(())
    });
}
