//! Kernel modules that the pod network needs and that somebody loaded by hand: after the next boot they are not there.
//!
//! overlay, nf_conntrack and ip_vs* are loaded when they are first used; br_netfilter is not: without it traffic between pods on a bridge
//! passes by the rules of Services, and flannel ends at once ("Failed to check br_netfilter"). Whatever could load it counts as if it did.

use nodewhy_diagnosis::Missing;
use nodewhy_diagnosis::facts::schema as fact;

use super::{listed, names};
use crate::checks::Look;
use crate::host::{Host, ReadError};

const MODULE: &str = "br_netfilter";

/// modules-load.d(5), and what older systems read.
const LISTS: [&str; 6] = [
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
    "/lib/modules-load.d",
    "/etc/sysconfig/modules",
];
const SCRIPTS: [&str; 4] = ["/etc/modules", "/etc/rc.local", "/etc/rc.d/rc.local", "/etc/initramfs-tools/modules"];

/// Programs that load it themselves when they start: dockerd (libnetwork), k3s and RKE2 (pkg/daemons/agent), MicroK8s.
const LOADERS: [&str; 4] = [
    "/usr/bin/dockerd",
    "/usr/lib/systemd/system/docker.service",
    "/lib/systemd/system/docker.service",
    "/etc/systemd/system/docker.service",
];

pub(super) fn not_kept(look: &Look) -> Result<Vec<String>, Missing> {
    let host = &look.host;
    if !is_loaded(host)? || !needs_bridge(look)? || loads_itself(look) || is_kept(host)? {
        return Ok(Vec::new());
    }
    Ok(vec![MODULE.to_owned()])
}

/// One that is built in is not in /proc/modules.
fn is_loaded(host: &Host) -> Result<bool, ReadError> {
    let modules = match host.read_text("/proc/modules") {
        Err(error) if error.is_absence() => return Ok(false),
        other => other?,
    };
    Ok(modules.lines().any(|line| line.split(' ').next() == Some(MODULE)))
}

/// A CNI configuration puts pods on a bridge.
fn needs_bridge(look: &Look) -> Result<bool, ReadError> {
    let dir = look.known.known(fact::CNI_CONFIG_DIR).unwrap_or_else(|| "/etc/cni/net.d".to_owned());
    let names = match look.host.list(&dir) {
        Err(error) if error.is_absence() => return Ok(false),
        other => other?,
    };
    for name in names.iter().filter(|name| [".conf", ".conflist", ".json"].iter().any(|end| name.ends_with(end))) {
        let text: String = look.host.read_text(format!("{dir}/{name}"))?.split_whitespace().collect();
        if text.contains("\"type\":\"bridge\"") || text.contains("\"type\":\"flannel\"") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn loads_itself(look: &Look) -> bool {
    let unit = look.known.known(fact::KUBELET_UNIT_NAME).unwrap_or_default();
    unit != "kubelet.service" || LOADERS.iter().any(|path| look.host.exists(path).unwrap_or(true))
}

fn is_kept(host: &Host) -> Result<bool, ReadError> {
    let on_command_line = super::command_line(host)?.iter().any(|word| word.contains("modules") && word.contains(MODULE));
    if on_command_line {
        return Ok(true);
    }
    for path in SCRIPTS {
        if names_it(host, path)? {
            return Ok(true);
        }
    }
    for dir in LISTS.iter().chain(&["/etc/systemd/system"]) {
        if named_beneath(host, dir)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// In a file of the directory, or in one of a unit's own directory of drop-ins in it.
fn named_beneath(host: &Host, dir: &str) -> Result<bool, ReadError> {
    for name in listed(host, dir)? {
        let path = format!("{dir}/{name}");
        if name.ends_with(".d") {
            for drop_in in listed(host, &path)? {
                if names_it(host, &format!("{path}/{drop_in}"))? {
                    return Ok(true);
                }
            }
        } else if !name.contains(".target.") && names_it(host, &path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names_it(host: &Host, path: &str) -> Result<bool, ReadError> {
    names(host, path, &[MODULE, "br-netfilter"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const BRIDGE: &str = r#"{"plugins": [{"type": "flannel"}]}"#;

    fn node() -> Node {
        Node::new()
            .file("/proc/cmdline", "ro\n")
            .file("/proc/modules", "overlay 151552 0 - Live 0x0\nbr_netfilter 32768 0 - Live 0x0\n")
            .file("/etc/cni/net.d/10-flannel.conflist", BRIDGE)
            .known(fact::KUBELET_UNIT_NAME, "kubelet.service".to_owned())
    }

    fn lost(node: &Node) -> bool {
        !not_kept(&node.look_for(&crate::checks::boot::CHECK)).unwrap().is_empty()
    }

    #[test]
    fn a_module_loaded_by_hand_is_lost() {
        assert!(lost(&node()));
        assert!(lost(&node().file("/etc/modules-load.d/k8s.conf", "overlay\n# br_netfilter\n")));
    }

    #[test]
    fn whatever_may_load_it_at_boot_keeps_it() {
        for path in [
            "/etc/modules-load.d/k8s.conf",
            "/usr/lib/modules-load.d/cluster.conf",
            "/etc/modules",
            "/etc/systemd/system/containerd.service.d/10-modules.conf",
            "/etc/systemd/system/kube-prep.service",
        ] {
            assert!(!lost(&node().file(path, "ExecStartPre=/sbin/modprobe br_netfilter\n")), "{path}");
        }
        assert!(!lost(&node().file("/proc/cmdline", "ro modules_load=br_netfilter\n")));
        assert!(!lost(&node().file("/usr/bin/dockerd", "")));
        assert!(!lost(&node().known(fact::KUBELET_UNIT_NAME, "k3s.service".to_owned())));
    }

    #[test]
    fn one_that_nobody_needs_or_that_is_not_loaded_is_not_missed() {
        assert!(!lost(&node().file("/etc/cni/net.d/10-flannel.conflist", r#"{"plugins": [{"type": "calico"}]}"#)));
        assert!(!lost(&node().file("/proc/modules", "overlay 151552 0 - Live 0x0\n")));
    }
}
