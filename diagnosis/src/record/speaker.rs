//! Who speaks through another: programs that start a kubelet or a runtime and pass on what it says, and instances with names of their own.

use super::{Klog, Source};

/// The source of a line that came under a name. Only a line in the form that Kubernetes' own programs and runtimes write (klog, logfmt)
/// makes more of a name than it says.
pub(super) fn source(name: &str, klog: Option<&Klog<'_>>, is_logfmt: bool) -> Source {
    match Source::of(name) {
        // `docker run kubelet`: neither dockerd nor its helpers write klog's lines themselves.
        Source::Runtime if klog.is_some() && matches!(name, "docker" | "runc" | "conmon") => Source::Bundle,
        Source::Other if klog.is_some() || is_logfmt => match program(name) {
            Some(program) => Source::of(program),
            None if starts_others(name) || klog.is_some_and(is_kubelets) => Source::Unknown,
            None => Source::Other,
        },
        known => known,
    }
}

/// Whether a line is etcd's as it wrote them until 3.4 (capnslog), with a date before it or none: `2019-05-14 05:47:37.483201 E | rafthttp: `.
/// Docker passes it on under its own name, or as `journal`.
pub(super) fn is_etcds(message: &str) -> bool {
    const PACKAGES: [&str; 11] =
        ["etcdmain", "etcdserver", "rafthttp", "raft", "embed", "wal", "snap", "mvcc", "compactor", "flags", "auth"];
    let Some((before, text)) = message.split_once(" | ").filter(|(before, _)| before.len() <= 40) else { return false };
    let level = before.rsplit(' ').next().unwrap_or(before);
    let package = text.split_once(": ").map_or("", |(package, _)| package);
    matches!(level, "C" | "E" | "W" | "N" | "I" | "D") && PACKAGES.contains(&package.split('/').next().unwrap_or(package))
}

/// A name without what a starter or an orchestrator added: `kubelet-1`, `infra_kubelet.1.x7f@node1`, `start-kubelet.sh`.
fn stem(name: &str) -> &str {
    let name = name.split(['@', '.']).next().unwrap_or(name);
    let name = name.strip_prefix("start-").or_else(|| name.strip_prefix("run-")).unwrap_or(name);
    match name.rsplit_once(['-', '_']) {
        Some((stem, instance)) if instance.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

/// The program that is known by the end of its name: a project's `rke_kubelet`. What follows `kubelet-` is another program
/// (kubelet-csr-approver).
fn program(name: &str) -> Option<&str> {
    const PROGRAMS: [&str; 7] = ["kubelet", "kube-proxy", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "k3s"];
    let stem = stem(name);
    if !matches!(Source::of(stem), Source::Other | Source::Unknown) {
        return Some(stem);
    }
    PROGRAMS.into_iter().find(|program| stem.strip_suffix(program).is_some_and(|before| before.ends_with(['-', '_'])))
}

/// Whether a program only starts others: shells, scripts, supervisors, tools that run containers, installers of nodes, and the services of a
/// compose file that runs k3s.
fn starts_others(name: &str) -> bool {
    const STARTERS: [&str; 37] = [
        "sh",
        "bash",
        "dash",
        "ash",
        "zsh",
        "busybox",
        "env",
        "nohup",
        "sudo",
        "chroot",
        "nsenter",
        "taskset",
        "numactl",
        "logger",
        "runsv",
        "supervisord",
        "start-stop-daemon",
        "tini",
        "dumb-init",
        "systemd-run",
        "systemd-nspawn",
        "systemd-cat",
        "podman",
        "nerdctl",
        "rkt",
        "docker-compose",
        "cloud-init",
        "minikube",
        "rancher-agent",
        "rancher-system-agent",
        "talos",
        "machined",
        "server",
        "agent",
        "master",
        "worker",
        "node",
    ];
    name.ends_with(".sh") || STARTERS.contains(&stem(name))
}

/// Whether a line was written in a file that the kubelet alone has (pkg/kubelet of any version).
fn is_kubelets(klog: &Klog<'_>) -> bool {
    const FILES: [&str; 20] = [
        "kubelet.go",
        "kubelet_node_status.go",
        "kubelet_pods.go",
        "kubelet_volumes.go",
        "kubelet_network.go",
        "kubelet_network_linux.go",
        "kubelet_getters.go",
        "kuberuntime_manager.go",
        "kuberuntime_container.go",
        "kuberuntime_sandbox.go",
        "kuberuntime_gc.go",
        "pod_workers.go",
        "pod_container_deletor.go",
        "eviction_manager.go",
        "container_manager_linux.go",
        "qos_container_manager_linux.go",
        "node_container_manager_linux.go",
        "image_gc_manager.go",
        "docker_service.go",
        "docker_sandbox.go",
    ];
    let file = klog.origin.rsplit('/').next().unwrap_or(klog.origin);
    file.split_once(':').is_some_and(|(file, _)| FILES.contains(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "E1122 00:54:49.103848       1 run.go:72] \"command failed\" err=\"x\"";
    const STATUS: &str = "E1122 00:54:49.103848       1 kubelet_node_status.go:94] \"x\"";

    fn spoken(name: &str, line: &str) -> Source {
        source(name, Klog::parse(line).as_ref(), super::super::Logfmt::parse(line).is_some())
    }

    #[test]
    fn what_starts_others_speaks_for_nobody_known() {
        for name in ["sh", "podman", "bootstrap.sh", "rancher-agent", "server_1", "agent-1"] {
            assert_eq!(spoken(name, RUN), Source::Unknown, "{name}");
            assert_eq!(spoken(name, "level=fatal msg=\"x\""), Source::Unknown, "{name}");
            assert_eq!(spoken(name, "plain words"), Source::Other, "{name}");
        }
        assert_eq!(spoken("docker", RUN), Source::Bundle);
        assert_eq!(spoken("docker", "level=fatal msg=\"x\""), Source::Runtime);
    }

    #[test]
    fn etcds_old_lines_are_known_by_their_form() {
        for line in
            ["2019-05-14 05:47:37.483201 E | rafthttp: request cluster ID mismatch", "N | etcdmain: the server is already initialized"]
        {
            assert!(is_etcds(line), "{line}");
        }
        for line in ["E | other: x", "a | etcdmain: x", "E | etcdmain", "", &format!("{} E | raft: x", "x".repeat(40))] {
            assert!(!is_etcds(line), "{line}");
        }
    }

    #[test]
    fn instances_are_their_programs() {
        for (name, source) in [
            ("kubelet-1", Source::Kubelet),
            ("kubelet_1", Source::Kubelet),
            ("infra_kubelet.1.x7f@node1", Source::Kubelet),
            ("start-kubelet.sh", Source::Kubelet),
            ("rke-kubelet", Source::Kubelet),
            ("kube-proxy.sh", Source::ControlPlane),
            ("crio.sh", Source::Runtime),
            ("rke_kube-proxy", Source::ControlPlane),
        ] {
            assert_eq!(spoken(name, RUN), source, "{name}");
        }
    }

    #[test]
    fn others_stay_others_unless_the_kubelets_own_file_speaks() {
        for name in [
            "csi-node-driver-registrar",
            "kubelet-csr-approver",
            "kubelet-exporter",
            "flanneld",
            "calico-node",
            "cluster-autoscaler",
            "journal",
        ] {
            assert_eq!(spoken(name, RUN), Source::Other, "{name}");
        }
        assert_eq!(spoken("my-node-agent", STATUS), Source::Unknown);
        assert_eq!(spoken("kube-proxy", STATUS), Source::ControlPlane, "a name that is known is believed");
    }
}
