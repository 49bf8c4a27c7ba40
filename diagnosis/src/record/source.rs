//! Who speaks: from a unit or a syslog identifier to the kind of program signs listen to.

use serde::{Deserialize, Serialize};

/// Which program a record comes from, as far as it can be told. Signs name the sources they listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The kubelet.
    Kubelet,
    /// containerd, CRI-O, dockerd, cri-dockerd and their shims.
    Runtime,
    /// The kernel.
    Kernel,
    /// systemd itself (PID 1) speaking about a unit.
    Systemd,
    /// kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy.
    ControlPlane,
    /// etcd.
    Etcd,
    /// Another program, known by name.
    Other,
    /// k3s, rke2, kubelite: kubelet, runtime, control plane and etcd in one program; signs of any of the four may match it.
    Bundle,
    /// Nothing in the line says; every sign may match it.
    Unknown,
    /// No log record has it: a sign that listens to it is recognised by a monitor of the agent's own (node-problem-detector's rules).
    Monitor,
}

impl Source {
    /// The source behind a unit (`k3s-agent.service`), a syslog identifier (`containerd`) or a container's name (`kube-apiserver`).
    /// An empty name is `Unknown`.
    ///
    /// For a journal entry: `_TRANSPORT=kernel` is [`Source::Kernel`]; `_PID=1` with `UNIT` is [`Source::Systemd`]; otherwise this of
    /// `_SYSTEMD_UNIT`, and if that gives `Other`, this of `SYSLOG_IDENTIFIER` where root says it (a kubelet under another unit's name).
    pub fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let name = name.strip_suffix(".service").or_else(|| name.strip_suffix(".scope")).unwrap_or(name);
        if name.is_empty() {
            return Self::Unknown;
        }
        if let Some(source) = exact(name) {
            return source;
        }
        if let Some(source) = of_snap(name) {
            return source;
        }
        // Instances and generated names: k3s-agent@1, containerd-shim-runc-v2, rke2-agent-foo.
        const FAMILIES: [(&str, Source); 5] = [
            ("k3s-", Source::Bundle),
            ("rke2-", Source::Bundle),
            ("containerd-shim", Source::Runtime),
            ("crio-conmon-", Source::Runtime),
            ("kubelet@", Source::Kubelet),
        ];
        FAMILIES.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or(Self::Other, |(_, source)| *source)
    }

    /// For journal entries: the unit decides, then the identifier.
    pub fn of_entry(unit: &str, identifier: &str) -> Self {
        match Self::of(unit) {
            Self::Other | Self::Unknown => match Self::of(identifier) {
                Self::Unknown => Self::of(unit),
                source => source,
            },
            source => source,
        }
    }
}

/// Snaps run as the unit snap.SNAP.APP and log as SNAP.APP: MicroK8s' (snap.)microk8s.daemon-kubelite, EKS' snap.kubelet-eks.daemon,
/// Canonical Kubernetes' k8s.kubelet, Juju's kubelet.daemon.
fn of_snap(name: &str) -> Option<Source> {
    let full = name.strip_prefix("snap.");
    let (snap, app) = match full {
        Some(full) => full.split_once('.').unwrap_or((full, "")),
        None => name.split_once('.')?,
    };
    let app = app.strip_prefix("daemon-").unwrap_or(app);
    let program = snap.strip_suffix("-eks").unwrap_or(snap);
    let found = match app {
        // MicroK8s' names of the control plane's programs.
        "proxy" | "scheduler" | "controller-manager" if snap == "microk8s" => Some(Source::ControlPlane),
        app => exact(app).or_else(|| exact(program)),
    };
    match full {
        Some(_) => found.or(Some(Source::Other)),
        // Without `snap.` many a file is called so: containerd.sock, kubelet.log.
        None => found.filter(|_| matches!(snap, "microk8s" | "k8s" | "docker") || matches!(app, "daemon" | "kubelet-eks")),
    }
}

fn exact(name: &str) -> Option<Source> {
    Some(match name {
        // kubenswrapper starts OpenShift's kubelet (hyperkube); its lines carry that name.
        "kubelet" | "kubenswrapper" | "hyperkube" | "kubelet-wrapper" | "atomic-openshift-node" | "origin-node" => Source::Kubelet,
        "containerd" | "docker" | "dockerd" | "docker-current" | "dockerd-current" | "crio" | "cri-o" | "conmon" | "cri-docker"
        | "cri-dockerd" | "runc" | "crun" | "docker-containerd" | "docker-containerd-shim" => Source::Runtime,
        "kernel" => Source::Kernel,
        "systemd" | "init" => Source::Systemd,
        "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "kube-proxy" | "apiserver" => Source::ControlPlane,
        "etcd" | "k8s-dqlite" => Source::Etcd,
        "k3s" | "k3s-agent" | "rke2" | "rke2-server" | "rke2-agent" | "k0s" | "k0scontroller" | "k0sworker" | "kubelite" | "microshift"
        // minikube before 0.26 ran everything in one program.
        | "localkube" => {
            Source::Bundle
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_identifiers_are_told_apart() {
        for (name, source) in [
            ("kubelet.service", Source::Kubelet),
            ("kubenswrapper", Source::Kubelet),
            ("k3s-agent.service", Source::Bundle),
            ("k3s-agent-foo", Source::Bundle),
            ("rke2-server", Source::Bundle),
            ("snap.microk8s.daemon-kubelite.service", Source::Bundle),
            ("snap.kubelet-eks.daemon.service", Source::Kubelet),
            ("snap.lxd.daemon.service", Source::Other),
            ("snap.microk8s.daemon-containerd", Source::Runtime),
            ("microk8s.daemon-kubelite", Source::Bundle),
            ("microk8s.daemon-kubelet", Source::Kubelet),
            ("microk8s.daemon-proxy", Source::ControlPlane),
            ("microk8s.daemon-flanneld", Source::Other),
            ("k8s.kubelet", Source::Kubelet),
            ("k8s.containerd", Source::Runtime),
            ("kubelet.daemon", Source::Kubelet),
            ("kubelet-eks.daemon", Source::Kubelet),
            ("kube-proxy.daemon", Source::ControlPlane),
            ("containerd.sock", Source::Other),
            ("kubelet.log", Source::Other),
            ("flannel.daemon", Source::Other),
            ("containerd-shim-runc-v2", Source::Runtime),
            ("crio-conmon-0a1b.scope", Source::Runtime),
            // A container's own.
            ("crio-0a1b.scope", Source::Other),
            ("/usr/bin/dockerd", Source::Runtime),
            ("kernel", Source::Kernel),
            ("systemd", Source::Systemd),
            ("systemd-networkd", Source::Other),
            ("sshd", Source::Other),
            ("", Source::Unknown),
            ("kubelet.service.d", Source::Other),
        ] {
            assert_eq!(Source::of(name), source, "{name}");
        }
    }

    #[test]
    fn an_entry_is_known_by_its_unit_first_and_then_by_its_identifier() {
        assert_eq!(Source::of_entry("kubelet.service", "bash"), Source::Kubelet);
        assert_eq!(Source::of_entry("my-node-agent.service", "kubelet"), Source::Kubelet);
        assert_eq!(Source::of_entry("", "containerd"), Source::Runtime);
        assert_eq!(Source::of_entry("sshd.service", ""), Source::Other);
        assert_eq!(Source::of_entry("", ""), Source::Unknown);
    }
}
