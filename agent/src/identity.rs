//! Who this node is.

use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_proto::v1::Hello;

use crate::host::Host;

/// Who this node is, for as long as the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name the kubelet registers.
    pub node: String,
    /// /etc/machine-id.
    pub machine_id: String,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: String,
}

impl Identity {
    /// From the configuration, else as the facts know it, else as the node's files say.
    pub fn new(host: &Host, configured: Option<&str>, facts: &Facts) -> Self {
        let read = |path: &str| {
            let text = host.read_line(path).unwrap_or_default();
            text.trim().chars().take(253).filter(|c| !c.is_control()).collect::<String>()
        };
        // The kubelet's own default (pkg/util/node, GetHostname): the host name in lower case.
        let host_name = || {
            let names = ["/etc/hostname", "/proc/sys/kernel/hostname"].map(read);
            names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned()).to_lowercase()
        };
        let node = configured.map(str::to_owned).or_else(|| facts.known(s::NODE_NAME)).unwrap_or_else(host_name);
        Self {
            node,
            machine_id: facts.known(s::NODE_MACHINE_ID).unwrap_or_else(|| read("/etc/machine-id")),
            boot_id: facts.known(s::NODE_BOOT_ID).unwrap_or_else(|| read("/proc/sys/kernel/random/boot_id")),
        }
    }

    /// How the agent introduces itself.
    pub fn hello(&self, facts: &Facts) -> Hello {
        Hello {
            node: self.node.clone(),
            machine_id: self.machine_id.clone(),
            boot_id: self.boot_id.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: facts.known(s::NODE_KERNEL).unwrap_or_default(),
            os: facts.known(s::NODE_OS).unwrap_or_default(),
            ..Hello::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "makes the root to look at")]
    fn the_configured_name_wins_then_the_kubelets_then_the_hosts() {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(root.path().join("etc")).expect("made");
        std::fs::write(root.path().join("etc/hostname"), "Worker-1\n").expect("written");
        let host = Host::new(root.path());
        let mut facts = Facts::new();
        assert_eq!(Identity::new(&host, None, &facts).node, "worker-1");
        facts.set(s::NODE_NAME, Timestamp::UNIX_EPOCH, "override".to_owned());
        assert_eq!(Identity::new(&host, None, &facts).node, "override");
        assert_eq!(Identity::new(&host, Some("configured"), &facts).node, "configured");
    }
}
