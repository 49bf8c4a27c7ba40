//! The node itself: names, kernel, boot.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed, put};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] =
    &["node.hostname", "node.machine_id", "node.boot_id", "node.booted_at", "node.kernel", "node.os", "node.cgroup_version"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "node",
    about: "the node's names, kernel, operating system and boot",
    stage: Stage::Discover,
    period: Duration::from_secs(60),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let host = &look.host;
    let at = look.began_at;
    facts.put(fact::NODE_HOSTNAME, at, hostname());
    put(facts, look, fact::NODE_MACHINE_ID, host.read_line("/etc/machine-id"));
    put(facts, look, fact::NODE_BOOT_ID, host.read_line("/proc/sys/kernel/random/boot_id"));
    facts.put(fact::NODE_BOOTED_AT, at, host.booted_at());
    facts.put(fact::NODE_KERNEL, at, sysinfo::System::kernel_version().map_err(|error| failed(format!("kernel release: {error}"))));
    put(facts, look, fact::NODE_OS, os_name(host));
    put(facts, look, fact::NODE_CGROUP_VERSION, cgroup_version(host));
}

/// Host name as the kernel has it.
pub(crate) fn hostname() -> Result<String, Missing> {
    let name = nix::unistd::gethostname().map_err(|errno| failed(format!("gethostname: {}", errno.desc())))?;
    name.into_string().map_err(|name| failed(format!("the host name is not UTF-8: {}", name.display())))
}

fn os_name(host: &Host) -> Result<String, ReadError> {
    let release = host.read_text("/etc/os-release").or_else(|_| host.read_text("/usr/lib/os-release"))?;
    Ok(pretty_name(&release).unwrap_or_else(|| "Linux".to_owned()))
}

/// os-release(5): PRETTY_NAME, and `Linux` where it is not set.
fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// cgroup.controllers in the root exists on the unified hierarchy only; hybrid set-ups count as 1, as they do for the kubelet.
fn cgroup_version(host: &Host) -> Result<i64, ReadError> {
    if host.exists("/sys/fs/cgroup/cgroup.controllers")? {
        return Ok(2);
    }
    host.list("/sys/fs/cgroup").map(|_| 1)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn a_node_is_described_from_its_files() {
        let node = Node::new()
            .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
            .file("/proc/sys/kernel/random/boot_id", "6d0f9a0e-8c5f-4b63-9d5b-2d7d3f1c1a01\n")
            .file("/proc/stat", "cpu  1 2 3\nbtime 1763769600\nprocesses 5\n")
            .file("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")
            .file("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        let facts = node.look(&CHECK);
        assert_eq!(facts.known(fact::NODE_MACHINE_ID).unwrap(), "0123456789abcdef0123456789abcdef");
        assert_eq!(facts.known(fact::NODE_BOOTED_AT).unwrap(), "2025-11-22T00:00:00Z".parse().unwrap());
        assert_eq!(facts.known(fact::NODE_OS).unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(facts.known(fact::NODE_CGROUP_VERSION), Some(2));
        assert!(facts.known(fact::NODE_HOSTNAME).is_some());
        node.assert_reports_its_own(&CHECK, &facts);
    }

    #[test]
    fn what_is_not_there_is_missing_with_its_reason() {
        let node = Node::new().file("/proc/stat", "cpu 1 2\nbtime soon\n");
        let facts = node.look(&CHECK);
        assert_eq!(node.why(&facts, "node.machine_id"), "open /etc/machine-id: No such file or directory");
        assert_eq!(node.why(&facts, "node.booted_at"), "/proc/stat has no usable btime line");
        assert!(facts.value("node.cgroup_version").is_err());
    }

    #[test]
    fn this_machine_has_booted_in_the_past() {
        let facts = Node::this_machine().look(&CHECK);
        assert!(facts.known(fact::NODE_BOOTED_AT).unwrap() < Timestamp::now());
        assert!(!facts.known(fact::NODE_KERNEL).unwrap().is_empty());
    }
}
