//! May live tests run here? Where they cannot, they say so; in CI they have to.

use nix::unistd::geteuid;

use crate::cgroup;
use crate::command::on_this_machine;

/// Tools that the nodes need, and the Debian packages that they come in.
const TOOLS: &[(&str, &str)] = &[
    ("systemd-nspawn", "systemd-container"),
    ("debootstrap", "debootstrap"),
    ("nsenter", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("mkfs.ext4", "e2fsprogs"),
    ("prometheus-alertmanager", "prometheus-alertmanager"),
];

/// True if nodes can be booted on this machine. If not, says on stderr why the test is skipped.
///
/// # Panics
/// In CI (`CI=true`), where live tests have to run.
pub fn nodes_can_boot() -> bool {
    let Err(why) = look() else { return true };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "live tests have to run in CI, and cannot: {why}");
    tell(&format!("SKIPPED: {why}"));
    false
}

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn tell(line: &str) {
    eprintln!("{line}");
}

fn look() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("real systemd nodes need root (systemd-nspawn, network namespaces, mounts)".to_owned());
    }
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| !on_this_machine(tool)) {
        return Err(format!("{tool} is missing: apt-get install {package}"));
    }
    cgroup::hierarchies().map(drop).map_err(|error| format!("{error:#}"))
}
