//! A real collector, on loopback, with one hook.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::programs;

const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// See the module.
pub struct Collector {
    dir: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Collector {
    /// Running, with this policy of alerts.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(policy: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("alerts.yaml"), policy)?;
        let config = format!("dataDir: {0}/data\nalertsFile: {0}/alerts.yaml\n", dir.path().display());
        std::fs::write(dir.path().join("collector.yaml"), config)?;
        let mut collector = Self { dir, address: SocketAddr::from(([127, 0, 0, 1], 0)), child: None };
        collector.restart()?;
        Ok(collector)
    }

    /// Starts it, on the port it had before if it had one, and waits until it says that it is ready.
    ///
    /// # Errors
    /// It does not.
    pub fn restart(&mut self) -> Result<()> {
        let path = self.dir.path().join("notify");
        // There is none the first time.
        let _ = std::fs::remove_file(&path);
        let notify = UnixDatagram::bind(&path)?;
        notify.set_read_timeout(Some(STARTED_WITHIN))?;
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log"))?;
        let mut command = Command::new(programs::path("nodewhy-collector")?);
        command.arg("--config").arg(self.dir.path().join("collector.yaml")).args(["--listen", &self.address.to_string()]);
        command.env("NOTIFY_SOCKET", &path).env_remove("NODEWHY_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().context("cannot start the collector")?);
        let mut bytes = [0; 512];
        let said = notify.recv(&mut bytes).with_context(|| format!("the collector does not say that it is ready: {}", self.log()))?;
        let said = String::from_utf8_lossy(&bytes[..said]).into_owned();
        let address = said.strip_prefix("READY=1\nSTATUS=listening on ").and_then(|rest| rest.split(' ').next());
        self.address = address.and_then(|address| address.parse().ok()).with_context(|| format!("{said:?}"))?;
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Dead already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// CPU time that it has used, and memory that it holds (RSS, MiB).
    pub fn usage(&self) -> Option<(Duration, f64)> {
        let pid = self.child.as_ref()?.id();
        let mut cpu = 0;
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            cpu += text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse::<f64>().ok()?;
        Some((Duration::from_nanos(cpu), rss / 1024.0))
    }
}
