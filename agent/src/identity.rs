//! Who this node is.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_proto::v1::Hello;

use crate::host::Host;

/// How well the name is known, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The host name, while nobody has looked for more.
    Guess,
    /// The host name, and nothing else says more.
    HostName,
    /// The kubelet's client certificate.
    Certificate,
    /// The kubelet's flag.
    Flag,
    /// The agent's configuration.
    Configured,
}

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// How well `node` is known.
    pub source: Source,
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
        let known = || Some((facts.known(s::NODE_NAME)?, told_by(facts)));
        let configured = configured.map(|name| (name.to_owned(), Source::Configured));
        let (node, source) = configured.or_else(known).unwrap_or_else(|| (names.host.clone(), Source::Guess));
        Self {
            source,
            node,
            machine_id: facts.known(s::NODE_MACHINE_ID).unwrap_or_else(|| names.machine_id.clone()),
            boot_id: facts.known(s::NODE_BOOT_ID).unwrap_or_else(|| names.boot_id.clone()),
        }
    }

    /// The better of what was known and what is known now. A flag that is gone gives way to the certificate; but a certificate that cannot be
    /// read for a moment makes nobody another node.
    pub fn or_better(self, now: Self) -> Self {
        if now.source >= self.source.min(Source::Certificate) { now } else { self }
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
            kubelet_version: facts.known(s::CLUSTER_NODE_KUBELET_VERSION).unwrap_or_default(),
            ..Hello::default()
        }
    }
}

fn told_by(facts: &Facts) -> Source {
    match facts.known(s::NODE_NAME_FROM).as_deref() {
        Some("flag") => Source::Flag,
        Some("certificate") => Source::Certificate,
        _ => Source::HostName,
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

    #[test]
    fn better_knowledge_settles_the_name_again_and_a_gap_in_it_does_not() {
        let named = |node: &str, source| Identity { node: node.into(), source, machine_id: String::new(), boot_id: String::new() };
        let settled = |old: Source, new: Source| named("old", old).or_better(named("new", new)).node;
        for (old, new) in [
            (Source::Guess, Source::HostName),
            (Source::Guess, Source::Certificate),
            (Source::HostName, Source::Certificate),
            (Source::HostName, Source::HostName),
            (Source::Certificate, Source::Certificate),
            (Source::Flag, Source::Certificate),
        ] {
            assert_eq!(settled(old, new), "new", "{old:?} {new:?}");
        }
        for (old, new) in [(Source::Certificate, Source::HostName), (Source::Flag, Source::Guess), (Source::HostName, Source::Guess)] {
            assert_eq!(settled(old, new), "old", "{old:?} {new:?}");
        }
    }
}
