//! Which node a file of a bundle is about, by where it lies.

/// Beneath one of these a path is the node's own, or the tool's topic.
const ROOTS: [&str; 11] =
    ["var", "etc", "proc", "sys", "run", "usr", "sos_commands", "sos_strings", "host-collectors", "pods", "containers"];
/// Topics by which tools sort a node's files: the EKS and GKE collectors, minikube, kind, rke2's and people's own.
const TOPICS: [&str; 28] = [
    "log",
    "logs",
    "kernel",
    "kubelet",
    "containerd",
    "docker",
    "crio",
    "storage",
    "system",
    "systeminfo",
    "networking",
    "network",
    "var_log",
    "journal",
    "journald",
    "journalctl",
    "systemd",
    "k3s",
    "rke2",
    "rancher",
    "cni",
    "files",
    "commands",
    "host",
    "sandbox-image",
    "gpu",
    "memory",
    "disk",
];

/// The node's directory in the bundle; empty for what lies at the top.
///
/// kind: `logs/kind-worker/kubelet.log`; sos: `sosreport-NODE-DATE/var/log/messages`; EKS: `kubelet/kubelet.log`; people: `NODE/kubelet.log`.
pub fn node_of(path: &str) -> &str {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut end = 0;
    for part in directory.split('/') {
        if ROOTS.contains(&part) {
            break;
        }
        end += part.len() + 1;
    }
    let mut directory = directory.get(..end.saturating_sub(1)).unwrap_or(directory).trim_end_matches('/');
    loop {
        let (above, last) = directory.rsplit_once('/').unwrap_or(("", directory));
        if last.is_empty() || !TOPICS.contains(&last) {
            return directory;
        }
        directory = above;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_of_known_tools_are_understood() {
        for (path, node) in [
            ("logs/kind-worker/kubelet.log", "logs/kind-worker"),
            ("logs/kind-worker/pods/kube-system_x/etcd/0.log", "logs/kind-worker"),
            ("sosreport-n1-2026/var/log/messages", "sosreport-n1-2026"),
            ("sosreport-n1-2026/sos_commands/logs/journalctl_--no-pager_--boot", "sosreport-n1-2026"),
            ("sosreport-n1-2026/proc/swaps", "sosreport-n1-2026"),
            ("eks_i-0abc/kubelet/kubelet.log", "eks_i-0abc"),
            ("eks_i-0abc/var_log/messages", "eks_i-0abc"),
            ("bundle/worker-1/journal/kubelet.log", "bundle/worker-1"),
            ("worker-1/kubelet.log", "worker-1"),
            ("kubelet/kubelet.log", ""),
            ("logs/kubelet.log", ""),
            ("var/log/messages", ""),
            ("kubelet.log", ""),
            ("", ""),
            ("/", ""),
            ("//x", ""),
        ] {
            assert_eq!(node_of(path), node, "{path}");
        }
    }
}
