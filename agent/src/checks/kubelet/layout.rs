//! How distributions lay out a kubelet: what is where if no flag says otherwise.

use std::collections::BTreeMap;

use crate::host::{Host, ReadError};

/// Files that only a host has on which a kubelet runs, ran or was to run.
pub(crate) const TRACES: &[&str] = &[
    "/var/lib/kubelet/config.yaml",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/kubelet/config.json",
    "/etc/kubernetes/kubelet/kubelet-config.json",
    "/var/lib/kubelet/kubeconfig",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/rke2/agent",
    "/var/snap/microk8s/current/args/kubelet",
    "/var/lib/k0s/kubelet.conf",
];

/// A distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A kubelet of its own in a unit of its own: kubeadm, EKS, by hand.
    Plain,
    /// k3s: the kubelet is a part of the k3s process.
    K3s,
    /// RKE2: the kubelet is a child of the rke2 process.
    Rke2,
    /// MicroK8s: the kubelet is a part of kubelite, its flags in a file.
    Microk8s,
    /// k0s: the kubelet is a child of the k0s process.
    K0s,
}

/// What holds where neither flag nor file says anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    /// Who sets these defaults: `default` for the kubelet itself.
    pub(crate) from: &'static str,
    pub(crate) fail_swap_on: bool,
    /// `None` where the distribution finds it out at run time.
    pub(crate) cgroup_driver: Option<&'static str>,
    pub(crate) rotate_certificates: bool,
    pub(crate) runtime_endpoint: &'static str,
    pub(crate) eviction_hard: &'static [(&'static str, &'static str)],
}

/// Kubernetes 1.36, pkg/kubelet/apis/config/v1beta1/defaults.go and pkg/kubelet/apis/config/v1beta1/defaults_linux.go.
const KUBELET: Defaults = Defaults {
    from: "default",
    fail_swap_on: true,
    cgroup_driver: Some("cgroupfs"),
    rotate_certificates: false,
    runtime_endpoint: "unix:///run/containerd/containerd.sock",
    eviction_hard: &[
        ("imagefs.available", "15%"),
        ("imagefs.inodesFree", "5%"),
        ("memory.available", "100Mi"),
        ("nodefs.available", "10%"),
        ("nodefs.inodesFree", "5%"),
    ],
};

/// k3s and RKE2 (pkg/daemons/agent): swap is tolerated, memory has no eviction threshold.
const RANCHER: Defaults = Defaults {
    from: "k3s",
    fail_swap_on: false,
    cgroup_driver: None,
    rotate_certificates: false,
    runtime_endpoint: "unix:///run/k3s/containerd/containerd.sock",
    eviction_hard: &[("imagefs.available", "5%"), ("nodefs.available", "5%")],
};

impl Layout {
    /// From the name of the unit that runs the kubelet.
    pub(crate) fn of_unit(unit: &str) -> Self {
        if unit.starts_with("k3s") {
            Self::K3s
        } else if unit.starts_with("rke2") {
            Self::Rke2
        } else if unit.starts_with("snap.") && unit.contains("kubelite") {
            Self::Microk8s
        } else if unit.starts_with("k0s") {
            Self::K0s
        } else {
            Self::Plain
        }
    }

    /// From the name of the process that the kubelet was found by.
    pub(crate) fn of_process(name: &str) -> Self {
        if name.starts_with("k3s") { Self::K3s } else { Self::Plain }
    }

    /// What a unit of any name turns out to run.
    pub(crate) fn or_of_program(self, argv: &[String]) -> Self {
        let program = argv.first().and_then(|program| program.rsplit('/').next());
        match (self, program) {
            (Self::Plain, Some("k3s")) => Self::K3s,
            (Self::Plain, Some("rke2")) => Self::Rke2,
            (Self::Plain, Some("k0s")) => Self::K0s,
            _ => self,
        }
    }

    /// From the traces on disk, where there is no unit.
    pub(crate) fn of_traces(traces: &[&str]) -> Self {
        let any = |part: &str| traces.iter().any(|trace| trace.contains(part));
        match () {
            () if any("/k3s/") => Self::K3s,
            () if any("/rke2/") => Self::Rke2,
            () if any("/microk8s/") => Self::Microk8s,
            () if any("/k0s/") => Self::K0s,
            () => Self::Plain,
        }
    }

    pub(crate) fn defaults(self) -> Defaults {
        match self {
            Self::Plain => KUBELET,
            Self::Microk8s => Defaults { runtime_endpoint: "unix:///var/snap/microk8s/common/run/containerd.sock", ..KUBELET },
            // It writes the rest into the configuration file (pkg/component/worker/kubelet.go).
            Self::K0s => Defaults { runtime_endpoint: "unix:///run/k0s/containerd.sock", ..KUBELET },
            Self::K3s => RANCHER,
            Self::Rke2 => Defaults { from: "rke2", ..RANCHER },
        }
    }

    /// Whether the kubelet is a child of its unit's process, started again by that and not by systemd.
    pub(crate) fn has_child(self) -> bool {
        matches!(self, Self::Rke2 | Self::K0s)
    }

    /// Whether the kubelet's unit itself serves the loopback address that its kubeconfig names.
    pub(crate) fn serves_loopback(self) -> bool {
        matches!(self, Self::K3s | Self::Rke2 | Self::Microk8s)
    }

    /// Where k3s and RKE2 keep their data, unless told otherwise.
    pub(crate) fn data_dir(self) -> Option<&'static str> {
        match self {
            Self::K3s => Some("/var/lib/rancher/k3s"),
            Self::Rke2 => Some("/var/lib/rancher/rke2"),
            Self::Plain | Self::Microk8s | Self::K0s => None,
        }
    }

    /// Configuration file of k3s or RKE2 themselves.
    pub(crate) fn own_config(self) -> Option<&'static str> {
        match self {
            Self::K3s => Some("/etc/rancher/k3s/config.yaml"),
            Self::Rke2 => Some("/etc/rancher/rke2/config.yaml"),
            Self::Plain | Self::Microk8s | Self::K0s => None,
        }
    }

    /// How the names of the variables begin that k3s and RKE2 take for flags.
    pub(crate) fn variables(self) -> Option<&'static str> {
        match self {
            Self::K3s => Some("K3S"),
            Self::Rke2 => Some("RKE2"),
            Self::Plain | Self::Microk8s | Self::K0s => None,
        }
    }
}

/// Which traces of a kubelet there are. One that cannot be looked at counts as the error it is, unless another was found.
pub(crate) fn traces(host: &Host) -> Result<Vec<&'static str>, ReadError> {
    let mut found = Vec::new();
    let mut refused = None;
    for path in TRACES.iter().copied() {
        match host.exists(path) {
            Ok(true) => found.push(path),
            Ok(false) => {}
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// A kubelet's unit file, for hosts whose systemd cannot be asked.
pub(crate) fn unit_on_disk(host: &Host) -> Result<Option<String>, ReadError> {
    for dir in ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"] {
        match host.list(dir) {
            Ok(names) => {
                if let Some(name) = names.into_iter().find(|name| is_kubelet_unit(name)) {
                    return Ok(Some(name));
                }
            }
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_kubelet_unit(name: &str) -> bool {
    let known = ["kubelet.service", "k3s.service", "k3s-agent.service", "rke2-server.service", "rke2-agent.service", "k0sworker.service"];
    known.contains(&name) || (name.starts_with("snap.") && name.contains("kubelite") && name.ends_with(".service"))
}

/// Where nothing says how the kubelet is started (its unit is masked or gone), the files that are there speak: kubeadm's and EKS'.
pub(crate) fn conventional_flags(host: &Host) -> Option<BTreeMap<String, String>> {
    let there = |paths: &[&str]| paths.iter().find(|path| host.exists(path).unwrap_or_default()).map(|path| (*path).to_owned());
    let config =
        there(&["/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet/config.json", "/etc/kubernetes/kubelet/kubelet-config.json"]);
    let kubeconfig = there(&["/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/kubeconfig"]);
    let flags: BTreeMap<String, String> =
        [("config", config), ("kubeconfig", kubeconfig)].into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?))).collect();
    (!flags.is_empty()).then_some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn layouts_are_told_by_unit_or_trace() {
        assert_eq!(Layout::of_unit("kubelet.service"), Layout::Plain);
        assert_eq!(Layout::of_unit("k3s-agent.service"), Layout::K3s);
        assert_eq!(Layout::of_unit("rke2-server.service"), Layout::Rke2);
        assert_eq!(Layout::of_unit("snap.microk8s.daemon-kubelite.service"), Layout::Microk8s);
        assert_eq!(Layout::of_unit("k0scontroller.service"), Layout::K0s);
        assert_eq!(Layout::of_unit("edge.service").or_of_program(&["/usr/local/bin/k3s".to_owned()]), Layout::K3s);
        assert_eq!(Layout::of_traces(&["/var/lib/rancher/rke2/agent"]), Layout::Rke2);
        assert_eq!(Layout::of_traces(&["/var/lib/k0s/kubelet.conf"]), Layout::K0s);
        assert_eq!(Layout::of_traces(&["/var/lib/kubelet/config.yaml"]), Layout::Plain);
    }

    #[test]
    fn a_host_without_kubernetes_has_no_traces() {
        assert!(traces(&Node::new().host()).unwrap().is_empty());
        let node = Node::new().file("/etc/kubernetes/kubelet.conf", "");
        assert_eq!(traces(&node.host()).unwrap(), ["/etc/kubernetes/kubelet.conf"]);
    }
}
