//! What the next boot will do to this node: what is kept over it, and what waits for it.

mod modules;
mod reboot;
mod swap;
mod sysctls;

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, miss_all, no_kubelet, not_applicable};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] = &["boot"];

/// What a node without a kernel of its own has not.
const OF_KERNEL: &[&str] = &[
    "boot.swap",
    "boot.reboot_required",
    "boot.reboot_required_by",
    "boot.reboot_required_since",
    "boot.kernel_modules_gone",
    "boot.newer_kernel",
    "boot.modules_not_kept",
    "boot.sysctls_not_kept",
];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "boot",
    about: "what the next boot will bring back or lose: swap, modules, units; and whether one is waited for",
    stage: Stage::Look,
    period: Duration::from_secs(60),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

/// Traces of what starts a node's units at every boot, enabled or not: GKE's configure.sh, EKS' nodeadm, Bottlerocket, Talos, Ignition, minikube.
const PROVISIONERS: [&str; 7] = [
    "/var/lib/minikube",
    "/home/kubernetes/bin",
    "/usr/bin/nodeadm",
    "/etc/eks/nodeadm",
    "/etc/bottlerocket-release",
    "/usr/share/talos",
    "/usr/lib/systemd/system/ignition-files.service",
];

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let host = &look.host;
    if let Some(why) = no_kubelet(look) {
        return miss_all(facts, REPORTS, at, &why);
    }
    facts.put(fact::BOOT_PROVISIONED, at, provisioned(host).map_err(Missing::from));
    // A container that plays a node (kind, minikube) starts its units, but swap, modules and kernel are its host's.
    match is_container(host) {
        Ok(false) => {}
        Ok(true) => return miss_all(facts, OF_KERNEL, at, &not_applicable("this node is a container and boots no kernel of its own")),
        Err(error) => return miss_all(facts, OF_KERNEL, at, &Missing::from(error)),
    }
    facts.put(fact::BOOT_SWAP, at, swap::at_boot(host).map_err(Missing::from));
    reboot::report(look, facts);
    facts.put(fact::BOOT_MODULES_NOT_KEPT, at, modules::not_kept(look));
    facts.put(fact::BOOT_SYSCTLS_NOT_KEPT, at, sysctls::not_kept(host).map_err(Missing::from));
}

/// PID 1's systemd writes this file when it finds itself in a container (src/core/main.c); Docker and Podman leave theirs.
fn is_container(host: &Host) -> Result<bool, ReadError> {
    for trace in ["/run/systemd/container", "/.dockerenv", "/run/.containerenv"] {
        if host.exists(trace)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn provisioned(host: &Host) -> Result<bool, ReadError> {
    for trace in PROVISIONERS {
        if host.exists(trace)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The kernel's command line, in words.
fn command_line(host: &Host) -> Result<Vec<String>, ReadError> {
    Ok(host.read_line("/proc/cmdline")?.split_whitespace().map(str::to_owned).collect())
}

/// Names in a directory that need not be there.
fn listed(host: &Host, dir: &str) -> Result<Vec<String>, ReadError> {
    match host.list(dir) {
        Err(error) if error.is_absence() => Ok(Vec::new()),
        other => other,
    }
}

/// A file that need not be there has one of these words outside of its comments.
fn names(host: &Host, path: &str, words: &[&str]) -> Result<bool, ReadError> {
    if host.stat(path).is_ok_and(|meta| !meta.is_file()) {
        return Ok(false);
    }
    match host.read_text(path) {
        Err(error) if error.is_absence() => Ok(false),
        Err(error) => Err(error),
        Ok(text) => {
            let mut lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', ';']));
            Ok(lines.any(|line| words.iter().any(|word| line.contains(word))))
        }
    }
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn a_node_in_a_container_has_no_boot_to_look_at() {
        let node = Node::new().file("/run/systemd/container", "systemd-nspawn\n").known(fact::NODE_IS_KUBERNETES, true);
        let facts = node.look(&CHECK);
        assert_eq!(facts.known(fact::BOOT_PROVISIONED), Some(false));
        for path in ["boot.swap", "boot.reboot_required", "boot.modules_not_kept"] {
            assert_eq!(facts.value(path).unwrap_err().kind, MissingKind::NotApplicable, "{path}");
        }
    }

    #[test]
    fn a_cloud_that_starts_the_units_itself_is_seen() {
        let plain = Node::new().file("/proc/cmdline", "ro\n");
        assert_eq!(plain.look(&CHECK).known(fact::BOOT_PROVISIONED), Some(false));
        let eks = Node::new().file("/usr/bin/nodeadm", "");
        assert_eq!(eks.look(&CHECK).known(fact::BOOT_PROVISIONED), Some(true));
    }
}
