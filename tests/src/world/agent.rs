//! The agent in the node: the unit that is shipped, with certificates and a configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::collector::{PORT, SERVER_NAME, Said};
use super::{Pki, World};
use crate::command::output;
use crate::slot::SlotNumber;

/// The shipped unit bounds the agent as released; one built for tests is many times slower and larger.
const UNBOUND: &str = "[Service]\nCPUQuota=\nMemoryHigh=infinity\nMemoryMax=infinity\n";

/// Files of the agent in the node.
pub(super) fn files(slot: SlotNumber, pki: &Pki, kubelet_credentials: bool) -> Result<Vec<(PathBuf, String)>> {
    let shipped = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let identity = pki.authority.client(&slot.node_name(), None)?;
    let (certificate, key) = match kubelet_credentials {
        true => ["/var/lib/kubelet/pki/kubelet-client-current.pem"; 2].into(),
        false => ("/etc/nodewhy/agent.crt", "/etc/nodewhy/agent.key"),
    };
    let config = format!(
        "collector:
  address: https://{}:{PORT}
  caFile: /etc/nodewhy/ca.crt
  certFile: {certificate}
  keyFile: {key}
  serverName: {SERVER_NAME}
heartbeat: 1s
",
        slot.host_address()
    );
    let files = [
        ("/usr/lib/systemd/system/nodewhy-agent.service", shipped("nodewhy-agent.service")?),
        ("/usr/lib/sysusers.d/nodewhy.conf", shipped("sysusers.conf")?),
        ("/etc/systemd/system/nodewhy-agent.service.d/tests.conf", UNBOUND.to_owned()),
        ("/etc/nodewhy/agent.yaml", config),
        ("/etc/nodewhy/ca.crt", pki.authority.pem()),
        ("/etc/nodewhy/agent.crt", identity.certificate),
        ("/etc/nodewhy/agent.key", identity.key),
    ];
    Ok(files.into_iter().map(|(path, text)| (PathBuf::from(path), text)).collect())
}

impl World {
    /// Starts the agent; systemd comes back when it says that it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_agent(&self) -> Result<()> {
        self.node.run(&["systemd-sysusers"])?;
        let started = self.node.run(&["systemctl", "start", "nodewhy-agent"]);
        started.with_context(|| self.node.run(&["journalctl", "-u", "nodewhy-agent", "-n", "30", "--no-pager"]).unwrap_or_default())?;
        Ok(())
    }

    /// One look in the terminal, as an admin has it.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn check(&self) -> Result<Said> {
        self.check_with(&[])
    }

    /// The same with options.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn check_with(&self, options: &[&str]) -> Result<Said> {
        let argv = [&["nodewhy-agent", "check"], options].concat();
        let init = self.node.init().to_string();
        let enter = ["nsenter", "-t", &init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"];
        let begun = std::time::Instant::now();
        let output = output(&[&enter[..], &argv].concat())?;
        Ok(Said::of(&output, begun.elapsed()))
    }
}
