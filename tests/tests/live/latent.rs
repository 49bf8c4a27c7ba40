//! What will break a node, told while it still runs.

use std::time::Duration;

use nodewhy_tests::node::{KUBELET_CONFIG, kubelet_config};
use nodewhy_tests::world::{Shape, live};

use crate::support::story_that_says;

/// The longest period of a check, and how long it has to last.
const NAMED_WITHIN: Duration = Duration::from_secs(100);

#[test]
fn an_edit_that_the_next_start_would_refuse() {
    live(Shape::default(), async |world| {
        story_that_says(
            world,
            "kubelet-config-edited",
            "config.yaml:2: maxPods has to be at least 0, not -1",
            NAMED_WITHIN,
            async |world| {
                world.node.write(
                    KUBELET_CONFIG,
                    &kubelet_config().replace("authentication:\n  anonymous:", "maxPods: -1\nauthentication:\n  anonymous:"),
                )
            },
            async |world| world.node.write(KUBELET_CONFIG, &kubelet_config()),
        )
        .await
        .map(drop)
    });
}

#[test]
fn a_kubelet_that_the_next_boot_does_not_start() {
    live(Shape::default(), async |world| {
        story_that_says(
            world,
            "kubelet-disabled-at-boot",
            "kubelet.service is disabled",
            NAMED_WITHIN,
            async |world| world.node.run(&["systemctl", "disable", "kubelet"]).map(drop),
            async |world| world.node.run(&["systemctl", "enable", "kubelet"]).map(drop),
        )
        .await
        .map(drop)
    });
}
