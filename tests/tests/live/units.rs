//! Faults that end the kubelet, keep it from starting, or leave it there without life.

use std::time::Duration;

use nodewhy_tests::node::{KUBELET_CONFIG, kubelet_config};
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, World, live};

use crate::support::{story, story_that_says};

/// A fault of a unit is known at the collector; one that has to last before it counts, a little later.
const NAMED_WITHIN: Duration = Duration::from_secs(8);

fn systemctl(world: &World, words: &[&str]) -> anyhow::Result<()> {
    world.node.run(&[&["systemctl"], words].concat()).map(drop)
}

#[test]
fn unknown_flag() {
    live(Shape::default(), async |world| {
        story_that_says(
            world,
            "kubelet-unknown-flag",
            "--network-plugin",
            NAMED_WITHIN,
            async |world| {
                world.node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--network-plugin=cni\n")?;
                systemctl(world, &["restart", "kubelet"])
            },
            async |world| {
                world.node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n")?;
                systemctl(world, &["restart", "kubelet"])
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn missing_config() {
    live(Shape::default(), async |world| {
        story_that_says(
            world,
            "kubelet-config-missing",
            KUBELET_CONFIG,
            NAMED_WITHIN,
            async |world| {
                world.node.run(&["mv", KUBELET_CONFIG, "/root/config.yaml"])?;
                systemctl(world, &["restart", "kubelet"])
            },
            async |world| {
                world.node.run(&["mv", "/root/config.yaml", KUBELET_CONFIG])?;
                systemctl(world, &["restart", "kubelet"])
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn invalid_yaml_config() {
    live(Shape::default(), async |world| {
        story_that_says(
            world,
            "kubelet-config-invalid",
            KUBELET_CONFIG,
            NAMED_WITHIN,
            async |world| {
                world.node.write(KUBELET_CONFIG, &kubelet_config().replace("cgroupDriver: systemd", "cgroupDriver: systemd: yes"))?;
                systemctl(world, &["restart", "kubelet"])
            },
            async |world| {
                world.node.write(KUBELET_CONFIG, &kubelet_config())?;
                systemctl(world, &["restart", "kubelet"])
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn masked_unit() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| systemctl(world, &["mask", "--now", "kubelet"]);
        let mend_it = async |world: &mut World| {
            // No longer masked and not yet started: a kubelet that somebody stopped, and true.
            world.repair_leads_through("kubelet-down");
            systemctl(world, &["unmask", "kubelet"])?;
            systemctl(world, &["start", "kubelet"])
        };
        story(world, "kubelet-unit-missing-or-disabled", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn stopped_by_hand() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| systemctl(world, &["stop", "kubelet"]);
        let mend_it = async |world: &mut World| systemctl(world, &["start", "kubelet"]);
        story(world, "kubelet-down", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn hung() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| systemctl(world, &["kill", "--signal=STOP", "kubelet"]);
        let mend_it = async |world: &mut World| systemctl(world, &["kill", "--signal=CONT", "kubelet"]);
        story(world, "kubelet-hung", Duration::from_secs(15), break_it, mend_it).await.map(drop)
    });
}

/// Takes the kubelet's port the moment that it is free.
const SQUATTER: &str = "use IO::Socket::INET;
my $s; select undef, undef, undef, 0.0005 until $s = IO::Socket::INET->new(LocalPort => 10250, Listen => 5);
open my $f, '>', '/run/squatting'; close $f; sleep";

#[test]
fn port_taken() {
    live(Shape::default(), async |world| {
        story_that_says(
            world,
            "kubelet-port-in-use",
            "perl[",
            NAMED_WITHIN,
            async |world| {
                world.node.run(&["systemd-run", "--unit=squatter", "perl", "-e", SQUATTER])?;
                until("the squatter has the port", Duration::from_secs(20), async || {
                    systemctl(world, &["restart", "kubelet"])?;
                    Ok(world.node.path("/run/squatting").exists().then_some(()))
                })
                .await
            },
            async |world| {
                systemctl(world, &["stop", "squatter"])?;
                systemctl(world, &["restart", "kubelet"])
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn runtime_socket_gone() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| systemctl(world, &["stop", "containerd"]);
        let mend_it = async |world: &mut World| systemctl(world, &["start", "containerd"]);
        story(world, "runtime-down", Duration::from_secs(12), break_it, mend_it).await.map(drop)
    });
}
