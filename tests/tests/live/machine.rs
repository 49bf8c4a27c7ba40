//! Faults of what is one for the whole machine, its kernel: nothing else runs at the same time, and the node hears what the kernel says.

use std::time::Duration;

use anyhow::{Context, Result};
use nodewhy_tests::command::run;
use nodewhy_tests::machine::set_sysctl;
use nodewhy_tests::node::IMAGE;
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, World, live};

use crate::support::{container_runs, end_pod, run_pod, story_that_says};

const NAMED_WITHIN: Duration = Duration::from_secs(30);
/// What a container may use; its shell alone takes 2 MiB.
const MEMORY: u64 = 16 << 20;

fn shape() -> Shape {
    Shape { alone: true, hears_kernel: true, ..Shape::default() }
}

#[test]
fn container_killed_for_want_of_memory() {
    live(Shape { has_image: true, ..shape() }, async |world| {
        let pod = format!("default/app-{}", world.node.name());
        // One that stays: where no pod has logs at all, the agent does not know that this one is gone.
        run_pod(world, "other", IMAGE, "sleep infinity")?;
        container_runs(world).await?;
        story_that_says(
            world,
            "oom-kill",
            &pod,
            NAMED_WITHIN,
            async |world| {
                // Waits for its limit; one that is started again after it was killed waits for ever.
                run_pod(world, "app", IMAGE, "while [ ! -e /limited ]; do sleep 0.1; done; x=nodewhy; while :; do x=$x$x; done")?;
                let uid = pod_uid(world, "app").await?;
                let container = until("the container to be limited runs", Duration::from_secs(40), async || {
                    Ok(world.node.containers("main")?.into_iter().find(|container| container.pod_uid == uid))
                })
                .await?;
                world.node.limit_memory(&container, MEMORY)?;
                world.node.sh(&format!("touch /proc/{}/root/limited", container.pid)).map(drop)
            },
            async |world| end_pod(world, "app"),
        )
        .await
        .map(drop)
    });
}

/// The kubelet's directory for a pod's logs is `namespace_name_uid`.
async fn pod_uid(world: &World, name: &str) -> Result<String> {
    let beginning = format!("default_{name}-");
    until("the pod has a directory for its logs", Duration::from_secs(40), async || {
        let directories = world.node.run(&["ls", "/var/log/pods"])?;
        let directory = directories.lines().find(|directory| directory.starts_with(&beginning));
        Ok(directory.and_then(|directory| directory.rsplit_once('_')).map(|(_, uid)| uid.to_owned()))
    })
    .await
}

/// A datagram to each of so many ports: an entry each in the connection tracking table.
const FLOWS: &str = "use IO::Socket::INET;
my $s = IO::Socket::INET->new(Proto => 'udp', LocalPort => 9) or die;
for my $port (20000 .. 20999) { send($s, 'x', 0, pack_sockaddr_in($port, inet_aton($ARGV[0]))) }";

#[test]
fn connection_tracking_full() {
    live(shape(), async |world| {
        let (slot, host) = (world.node.slot(), world.node.slot().host_address().to_string());
        story_that_says(
            world,
            "conntrack-full",
            "512",
            NAMED_WITHIN,
            async |world| {
                // Any rule about a connection's state makes the kernel track those of this network.
                for words in ["add table inet pods", "add chain inet pods out { type filter hook output priority 0; }"] {
                    world.node.on_network(&["nft", words])?;
                }
                world.node.on_network(&["nft", "add rule inet pods out ct state established accept"])?;
                // The agent's own connection is among them once it has spoken, and keeps its place.
                world.heard_again(2).await?;
                set_sysctl(slot, "net/netfilter/nf_conntrack_max", "512")?;
                world.node.run(&["perl", "-e", FLOWS, &host]).map(drop)
            },
            async |world| {
                set_sysctl(slot, "net/netfilter/nf_conntrack_max", "262144")?;
                world.node.on_network(&["nft", "delete table inet pods"]).map(drop)
            },
        )
        .await
        .map(drop)
    });
}

#[test]
fn no_inotify_instance_left() {
    live(shape(), async |world| {
        let slot = world.node.slot();
        story_that_says(
            world,
            "inotify-exhaustion",
            "limits of a user: 1 instances",
            NAMED_WITHIN,
            // Fewer than systemd alone has: whoever asks for one more is refused.
            async |_| set_sysctl(slot, "fs/inotify/max_user_instances", "1"),
            async |_| set_sysctl(slot, "fs/inotify/max_user_instances", "128"),
        )
        .await
        .map(drop)
    });
}

#[test]
fn no_process_id_left() {
    live(shape(), async |world| {
        story_that_says(
            world,
            "pid-pressure",
            "600",
            NAMED_WITHIN,
            async |world| {
                // Linux 6.14 and later: each pid namespace has a limit of its own.
                world.node.sh("mount -o remount,bind,rw /proc/sys; echo 600 >/proc/sys/kernel/pid_max")?;
                world.node.run(&["systemd-run", "--unit=sleepers", "perl", "-e", SLEEPERS])?;
                until("no process can be started", Duration::from_secs(10), async || {
                    Ok(world.node.path("/run/no-more").exists().then_some(()))
                })
                .await
            },
            async |world| {
                // From outside: nothing can be started inside, yet.
                std::fs::write(world.node.path("/run/enough"), "")?;
                until("the limit is raised", Duration::from_secs(10), async || {
                    world.node.sh("echo 4194304 >/proc/sys/kernel/pid_max").map(Some)
                })
                .await
                .map(drop)
            },
        )
        .await
        .map(drop)
    });
}

/// Starts processes until the kernel refuses, and ends them when told.
const SLEEPERS: &str = "my @pids; while (1) { my $pid = fork; last unless defined $pid; if (!$pid) { sleep 600; exit } push @pids, $pid }
open my $f, '>', '/run/no-more'; close $f;
select undef, undef, undef, 0.05 until -e '/run/enough'; kill 'KILL', @pids";

/// systemd-nspawn leaves the kernel's file systems out of a container's /sys.
const SHOW_EXT4: &str = "mkdir /run/sysfs; mount -t sysfs sysfs /run/sysfs
mount -o remount,bind,rw /sys; mount -o remount,rw /sys; mkdir -p /sys/fs/ext4; mount --bind /run/sysfs/fs/ext4 /sys/fs/ext4; ls /sys/fs/ext4";

/// Where the damaged file system is mounted.
const KUBELET: &str = "/var/lib/kubelet";

#[test]
fn ext4_error() {
    live(shape(), async |world| {
        let image = world.node.slot().dir().join("swap/kubelet.img").to_string_lossy().into_owned();
        std::fs::File::create(&image)?.set_len(32 << 20)?;
        run(&["mkfs.ext4", "-q", &image])?;
        let device = attach(world, &image)?;
        world.node.sh(SHOW_EXT4)?;
        story_that_says(
            world,
            "filesystem-corruption",
            &device,
            NAMED_WITHIN,
            async |_| {
                let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
                std::fs::write(&trigger, "directory entry is damaged").with_context(|| format!("cannot write {trigger}"))
            },
            async |world| {
                world.node.run(&["umount", KUBELET])?;
                // 1: errors were corrected.
                let checked = nodewhy_tests::command::output(&["e2fsck", "-fy", &image])?;
                anyhow::ensure!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
                attach(world, &image).map(drop)
            },
        )
        .await
        .map(drop)
    });
}

/// Mounts an image in the node, and gives the name of its loop device.
fn attach(world: &World, image: &str) -> Result<String> {
    let path = run(&["losetup", "--find", "--show", image])?.trim().to_owned();
    let device = path.trim_start_matches("/dev/").to_owned();
    let number = device.trim_start_matches("loop");
    let mounted = world.node.sh(&format!(
        "[ -e /dev/{device} ] || mknod /dev/{device} b 7 {number}
         mount -t ext4 /dev/{device} /mnt; cp -a {KUBELET}/. /mnt; umount /mnt; mount -t ext4 /dev/{device} {KUBELET}"
    ));
    // It goes with the mount.
    run(&["losetup", "--detach", &path])?;
    mounted.map(|_| device)
}
