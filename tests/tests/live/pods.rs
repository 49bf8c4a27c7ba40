//! Faults of pods on a real containerd and runc; the stand-in kubelet runs them as static pods and tells what it got for an answer.

use std::time::Duration;

use nodewhy_tests::node::IMAGE;
use nodewhy_tests::world::{Shape, live};

use crate::support::{container_runs, end_pod, run_pod, story_that_says};

/// From the manifest to the kubelet's second attempt.
const NAMED_WITHIN: Duration = Duration::from_secs(30);
const PLUGIN: &str = "/usr/lib/cni/bridge";

fn shape() -> Shape {
    Shape { has_image: true, ..Shape::default() }
}

#[test]
fn broken_cni_plugin() {
    live(shape(), async |world| {
        story_that_says(
            world,
            "cni-sandbox-failed",
            "bridge",
            NAMED_WITHIN,
            async |world| {
                world.node.sh(&format!("mv {PLUGIN} /root/bridge; printf '#!/bin/sh\\nexit 1\\n' >{PLUGIN}; chmod +x {PLUGIN}"))?;
                run_pod(world, "app", IMAGE, "sleep infinity")
            },
            async |world| {
                world.node.run(&["mv", "/root/bridge", PLUGIN])?;
                container_runs(world).await.map(drop)
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn registry_away() {
    live(shape(), async |world| {
        // Nobody listens there.
        let image = format!("{}:5000/app:1.0", world.node.slot().host_address());
        story_that_says(
            world,
            "image-pull-failed",
            &image,
            NAMED_WITHIN,
            async |world| run_pod(world, "app", &image, "sleep infinity"),
            async |world| end_pod(world, "app"),
        )
        .await
        .map(drop)
    });
}

#[test]
fn container_that_ends_again_and_again() {
    live(shape(), async |world| {
        story_that_says(
            world,
            "crash-loop",
            &format!("default/app-{}", world.node.name()),
            NAMED_WITHIN,
            async |world| run_pod(world, "app", IMAGE, "exit 3"),
            async |world| end_pod(world, "app"),
        )
        .await
        .map(drop)
    });
}
