//! What the next boot will do to this node: what is kept over it, and what waits for it.

mod modules;
mod reboot;
mod swap;

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, miss_all, no_kubelet, not_applicable};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] = &["boot"];

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

/// Traces of what starts a node's units at every boot, enabled or not: GKE's configure.sh, EKS' nodeadm, Bottlerocket, Talos, Ignition.
const PROVISIONERS: [&str; 6] = [
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
    // A container that plays a node (kind, minikube) has no boot of its own: fstab, modules and kernel are its host's.
    match is_container(host) {
        Ok(false) => {}
        Ok(true) => return miss_all(facts, REPORTS, at, &not_applicable("this node is a container and boots no kernel of its own")),
        Err(error) => return miss_all(facts, REPORTS, at, &Missing::from(error)),
    }
    facts.put(fact::BOOT_PROVISIONED, at, provisioned(host).map_err(Missing::from));
    facts.put(fact::BOOT_SWAP, at, swap::at_boot(host).map_err(Missing::from));
    reboot::report(look, facts);
    facts.put(fact::BOOT_MODULES_NOT_KEPT, at, modules::not_kept(look));
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

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn a_node_in_a_container_has_no_boot_to_look_at() {
        let node = Node::new().file("/run/systemd/container", "systemd-nspawn\n").known(fact::NODE_IS_KUBERNETES, true);
        let facts = node.look(&CHECK);
        for path in ["boot.swap", "boot.reboot_required", "boot.provisioned"] {
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
