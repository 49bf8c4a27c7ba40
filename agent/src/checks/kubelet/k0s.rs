//! What k0s passes to its kubelet, for when none runs (k0s pkg/component/worker/kubelet.go; its flags: pkg/config/cli.go).

use super::environment::split_words;
use super::flags::{self, Flags};
use crate::host::Host;

const DATA_DIR: &str = "/var/lib/k0s";
/// Of the load balancer that it runs on the node, if it does (pkg/component/worker/nllb/reconciler.go).
const BALANCED: &str = "/run/k0s/nllb/kubeconfig.yaml";

/// The kubelet's flags, as far as the files are there that say so.
pub(super) fn flags(host: &Host, argv: &[String]) -> Flags {
    let own = flags::parse(argv.get(1..).unwrap_or_default());
    let said = |name: &str| own.get(name).filter(|value| !value.is_empty()).cloned();
    let data = said("data-dir").unwrap_or_else(|| DATA_DIR.to_owned());
    let root = said("kubelet-root-dir").unwrap_or_else(|| format!("{data}/kubelet"));
    let there = |paths: &[String]| paths.iter().find(|path| host.exists(path).unwrap_or_default()).cloned();
    let mut result = Flags::new();
    result.insert("cert-dir".to_owned(), format!("{root}/pki"));
    result.insert("root-dir".to_owned(), root);
    let files = [
        ("config", there(&[format!("{data}/kubelet-config.yaml")])),
        ("kubeconfig", there(&[BALANCED.to_owned(), format!("{data}/kubelet.conf")])),
        // TYPE:SOCKET (SplitRuntimeConfig).
        ("container-runtime-endpoint", said("cri-socket").and_then(|socket| Some(socket.split_once(':')?.1.to_owned()))),
    ];
    result.extend(files.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if let Some(extra) = said("kubelet-extra-args") {
        result.extend(flags::parse(&split_words(&extra)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::kubelet::command;
    use crate::checks::kubelet::layout::Layout;
    use crate::checks::testing::Node;
    use crate::host::bus::UnitDefinition;

    fn unit(words: &[&str]) -> UnitDefinition {
        UnitDefinition { exec_start: words.iter().map(|word| (*word).to_owned()).collect(), ..UnitDefinition::default() }
    }

    #[test]
    fn its_own_configuration_is_not_the_kubelets() {
        let node = Node::new()
            .file("/etc/k0s/k0s.yaml", "kind: ClusterConfig\n")
            .file("/var/lib/k0s/kubelet-config.yaml", "")
            .file("/var/lib/k0s/kubelet.conf", "");
        let words = ["/usr/local/bin/k0s", "controller", "--config=/etc/k0s/k0s.yaml", "--single=true", "--kubelet-extra-args=--v=3"];
        let flags = command::find(&node.host(), Layout::K0s, Some(&unit(&words)), Some(5)).flags.unwrap();
        assert_eq!(flags["config"], "/var/lib/k0s/kubelet-config.yaml");
        assert_eq!(flags["kubeconfig"], "/var/lib/k0s/kubelet.conf");
        assert_eq!((flags["root-dir"].as_str(), flags["cert-dir"].as_str()), ("/var/lib/k0s/kubelet", "/var/lib/k0s/kubelet/pki"));
        assert_eq!(flags["v"], "3");
    }

    #[test]
    fn its_kubelet_is_a_process_of_its_own() {
        let node =
            Node::new().file("/proc/90/comm", "kubelet\n").file("/proc/90/cmdline", "/var/lib/k0s/bin/kubelet\0--config=/run/k0s/c.yaml\0");
        let flags = command::find(&node.host(), Layout::K0s, Some(&unit(&["/usr/local/bin/k0s", "worker"])), Some(5)).flags.unwrap();
        assert_eq!(flags["config"], "/run/k0s/c.yaml");
    }

    #[test]
    fn a_runtime_of_the_nodes_own_and_another_directory_are_taken() {
        let words = ["k0s", "worker", "--data-dir=/data/k0s", "--cri-socket=remote:unix:///run/crio/crio.sock"];
        let flags = flags(&Node::new().file("/data/k0s/kubelet.conf", "").host(), &unit(&words).exec_start);
        assert_eq!(flags["kubeconfig"], "/data/k0s/kubelet.conf");
        assert_eq!(flags["container-runtime-endpoint"], "unix:///run/crio/crio.sock");
    }
}
