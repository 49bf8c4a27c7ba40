//! A node made of files, and the real agent on it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "support for several tests, of which each uses a part"
)]

pub mod collector;
pub mod journal_file;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A cause that is present while /etc/fstab has a line for swap.
const BY_FACT: &str = "
code: test-by-fact
title: A fault seen in facts
layer: storage
severity: critical
signs: [{fact: 'swap.fstab.size() > 0'}]
absent: 'swap.fstab.size() == 0'
explains: []
message: '{{swap.fstab[0].device}}'
remedy: [{say: Repair it}]
docs: {meaning: m, knows: k, lookalikes: l}
";
/// A cause that a log line brings and an fstab without swap ends.
const BY_LOG: &str = "
code: test-by-log
title: A fault seen in the log
layer: kubelet
severity: critical
signs:
  - log:
      from: [kubelet]
      match: 'test fault (?<number>[0-9]+) happened'
      ends: 'swap.fstab.size() == 0'
      examples: ['test fault 1 happened']
explains: []
message: '{{captures.number}}'
remedy: [{say: Repair it}]
docs: {meaning: m, knows: k, lookalikes: l}
";

pub struct Node {
    directory: TempDir,
    config: PathBuf,
}

impl Node {
    /// A node whose agent reports to `collector`.
    pub fn new(collector: Option<SocketAddr>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        journal_file::root(&root);
        let causes = directory.path().join("causes.d");
        std::fs::create_dir_all(&causes).unwrap();
        std::fs::write(causes.join("test-by-fact.yaml"), BY_FACT).unwrap();
        std::fs::write(causes.join("test-by-log.yaml"), BY_LOG).unwrap();
        let config = directory.path().join("agent.yaml");
        let collector = collector.map(|address| format!("collector: {{address: 'http://{address}'}}\n")).unwrap_or_default();
        let text = format!(
            "nodeName: node-1\nstateDir: {0}/state\ncausesDir: {0}/causes.d\nheartbeat: 500ms\n{collector}checks: {{swap: {{period: 100ms, deadline: 100ms}}}}\n",
            directory.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let node = Self { directory, config };
        node.fault(None);
        node
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Brings a fault that facts tell, or repairs it.
    pub fn fault(&self, number: Option<u32>) {
        let text = number.map(|number| format!("/dev/fault{number} none swap sw 0 0\n")).unwrap_or_default();
        let new = self.root().join("etc/fstab.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.root().join("etc/fstab")).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-agent"));
        command.arg("--root").arg(self.root()).arg("--config").arg(&self.config).args(arguments);
        command.stdin(Stdio::null()).env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
        command
    }

    /// Starts the daemon; its log goes to a file.
    pub fn start(&self) -> Agent {
        self.start_with(|_| {})
    }

    pub fn start_with(&self, with: impl FnOnce(&mut Command)) -> Agent {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.directory.path().join("agent.log")).unwrap();
        let mut command = self.command(&["run"]);
        command.stdout(Stdio::null()).stderr(log);
        with(&mut command);
        Agent(command.spawn().unwrap())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("agent.log")).unwrap_or_default()
    }
}

/// A running agent; killed when dropped.
pub struct Agent(pub Child);

impl Agent {
    /// kill -9.
    /// As systemd stops it: SIGTERM, and it ends by itself.
    pub fn stop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        self.0.wait().expect("it ends");
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
