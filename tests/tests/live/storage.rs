//! Faults of the file system that the kubelet lives on: a real ext4 of its own.

use std::time::Duration;

use nodewhy_tests::node::NodeFs;
use nodewhy_tests::world::{Shape, World, live};

use crate::support::story_that_says;

/// A look every 10 s.
const NAMED_WITHIN: Duration = Duration::from_secs(20);
/// The table of mounts is followed; time enough for a busy machine.
const REMOUNT_NAMED_WITHIN: Duration = Duration::from_secs(3);

fn shape() -> Shape {
    Shape { nodefs: Some(NodeFs::default()), ..Shape::default() }
}

#[test]
fn nodefs_full() {
    live(shape(), async |world| {
        // To the last block: dd ends with "No space left on device".
        let break_it =
            async |world: &mut World| world.node.sh("dd if=/dev/zero of=/var/lib/kubelet/filler bs=1M status=none || true").map(drop);
        let mend_it = async |world: &mut World| world.node.sh("rm /var/lib/kubelet/filler").map(drop);
        story_that_says(world, "disk-pressure", "/var/lib/kubelet", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn out_of_inodes() {
    live(shape(), async |world| {
        let break_it = async |world: &mut World| {
            let script = "mkdir /var/lib/kubelet/many; i=0; while touch /var/lib/kubelet/many/$i 2>/dev/null; do i=$((i+1)); done";
            world.node.sh(script).map(drop)
        };
        let mend_it = async |world: &mut World| world.node.sh("rm -r /var/lib/kubelet/many").map(drop);
        story_that_says(world, "inode-exhaustion", "/var/lib/kubelet", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn remounted_read_only() {
    live(shape(), async |world| {
        let break_it = async |world: &mut World| world.node.run(&["mount", "-o", "remount,ro", "/var/lib/kubelet"]).map(drop);
        let mend_it = async |world: &mut World| world.node.run(&["mount", "-o", "remount,rw", "/var/lib/kubelet"]).map(drop);
        story_that_says(world, "readonly-filesystem", "/var/lib/kubelet", REMOUNT_NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}
