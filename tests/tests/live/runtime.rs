//! Faults of a real containerd, and of the network plugins that it calls.

use std::time::Duration;

use nodewhy_tests::world::{Shape, World, live};

use crate::support::{story, story_that_says};

/// A runtime counts as gone or hung when it has been so for a while.
const NAMED_WITHIN: Duration = Duration::from_secs(30);
const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
const CNI_CONFIG: &str = "/etc/cni/net.d/10-bridge.conflist";

fn systemctl(world: &World, words: &[&str]) -> anyhow::Result<()> {
    world.node.run(&[&["systemctl"], words].concat()).map(drop)
}

#[test]
fn runtime_stopped_in_its_tracks() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| systemctl(world, &["kill", "--signal=STOP", "containerd"]);
        let mend_it = async |world: &mut World| systemctl(world, &["kill", "--signal=CONT", "containerd"]);
        story(world, "runtime-hung", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn cri_plugin_disabled() {
    live(Shape::default(), async |world| {
        let config = world.node.read(CONTAINERD_CONFIG)?;
        story_that_says(
            world,
            "runtime-incompatible",
            "CRI",
            NAMED_WITHIN,
            async |world| {
                world.node.write(
                    CONTAINERD_CONFIG,
                    &config.replace("version = 2\n", "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"),
                )?;
                systemctl(world, &["restart", "containerd"])
            },
            async |world| {
                world.node.write(CONTAINERD_CONFIG, &config)?;
                systemctl(world, &["restart", "containerd"])
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn cni_configuration_missing() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| world.node.run(&["mv", CNI_CONFIG, "/root/"]).map(drop);
        // containerd 1.6 looks again when a file is written; one that is moved there it does not see.
        let mend_it = async |world: &mut World| world.node.run(&["cp", "/root/10-bridge.conflist", CNI_CONFIG]).map(drop);
        story_that_says(world, "cni-not-ready", "/etc/cni/net.d", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}
