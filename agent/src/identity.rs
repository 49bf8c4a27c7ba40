//! Who this node is.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

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

/// What the node's files say of who it is: for what no check has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    host: String,
    machine_id: String,
    boot_id: String,
}

impl Names {
    /// Reads them. A disk that does not answer in time is left alone; what needs no disk is there all the same.
    pub fn read(host: &Arc<Host>, within: Duration) -> Self {
        let boot_id = line(host, BOOT_ID);
        let (done, read) = sync_channel(1);
        let on_disk = Arc::clone(host);
        let spawned = std::thread::Builder::new().name("names".to_owned()).spawn(move || {
            // Nobody listens any more: too late.
            drop(done.send(["/etc/hostname", "/etc/machine-id"].map(|path| line(&on_disk, path))));
        });
        let [name, machine_id] = spawned.ok().and_then(|_| read.recv_timeout(within).ok()).unwrap_or_default();
        // The kubelet's own default (pkg/util/node, GetHostname): the host name in lower case.
        let names = [name, line(host, "/proc/sys/kernel/hostname"), "localhost".to_owned()];
        let host = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_lowercase();
        Self { host, machine_id, boot_id }
    }

    /// The kernel's boot id; empty if it cannot be had.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

fn line(host: &Host, path: &str) -> String {
    let text = host.read_line(path).unwrap_or_default();
    text.trim().chars().take(253).filter(|c| !c.is_control()).collect()
}

impl Identity {
    /// From the configuration, else as the facts know it, else as the node's files say.
    pub fn new(names: &Names, configured: Option<&str>, facts: &Facts) -> Self {
        Self {
            node: configured.map(str::to_owned).or_else(|| facts.known(s::NODE_NAME)).unwrap_or_else(|| names.host.clone()),
            machine_id: facts.known(s::NODE_MACHINE_ID).unwrap_or_else(|| names.machine_id.clone()),
            boot_id: facts.known(s::NODE_BOOT_ID).unwrap_or_else(|| names.boot_id.clone()),
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
        let names = Names::read(&Arc::new(Host::new(root.path())), Duration::from_secs(10));
        let mut facts = Facts::new();
        assert_eq!(Identity::new(&names, None, &facts).node, "worker-1");
        facts.set(s::NODE_NAME, Timestamp::UNIX_EPOCH, "override".to_owned());
        assert_eq!(Identity::new(&names, None, &facts).node, "override");
        assert_eq!(Identity::new(&names, Some("configured"), &facts).node, "configured");
    }
}
