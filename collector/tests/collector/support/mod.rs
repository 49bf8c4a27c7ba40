//! The program under test, and agents and hooks that speak with it.

pub(crate) mod agent;
pub(crate) mod hook;

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::alert_service_client::AlertServiceClient;
use nodewhy_proto::v1::query_service_client::QueryServiceClient;
use tempfile::TempDir;
use tonic::transport::Channel;

/// Nothing here takes longer on a machine that is not hopelessly busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Looks until there is something, or the deadline is over.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A directory with a configuration and data, and the program when it runs.
pub(crate) struct Collector {
    pub(crate) dir: TempDir,
    pub(crate) address: SocketAddr,
    child: Option<Child>,
    scheme: &'static str,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            // Shown by the test runner with the failure.
            std::io::Write::write_all(&mut std::io::stderr(), format!("--- the collector's log\n{log}").as_bytes()).ok();
        }
    }
}

impl Collector {
    /// Running, with these lines in its configuration.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), config)
    }

    /// The same, with files that the configuration names already there.
    pub(crate) fn start_in(dir: TempDir, config: &str) -> Self {
        let scheme = if config.contains("tls:") { "https" } else { "http" };
        std::fs::write(dir.path().join("collector.yaml"), config).expect("written");
        let mut collector = Self { dir, address: SocketAddr::from(([127, 0, 0, 1], 0)), child: None, scheme };
        collector.restart();
        collector
    }

    /// Running, with this policy of alerts.
    pub(crate) fn start_telling(policy: &str) -> Self {
        Self::start_telling_in(tempfile::tempdir().expect("a directory"), policy)
    }

    /// The same, with files that the policy names already there.
    pub(crate) fn start_telling_in(dir: TempDir, policy: &str) -> Self {
        let file = write(dir.path(), "alerts.yaml", policy);
        Self::start_in(dir, &format!("alertsFile: {}\n", file.display()))
    }

    /// The program with this configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-collector"));
        command.arg("--config").arg(self.dir.path().join("collector.yaml"));
        command.arg("--data-dir").arg(self.data()).args(["--listen", &self.address.to_string()]);
        command
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts it, on the port it had before if it had one, and waits until it says that it is ready.
    pub(crate) fn restart(&mut self) {
        let path = self.dir.path().join("notify");
        std::fs::remove_file(&path).ok();
        let notify = UnixDatagram::bind(&path).expect("a socket");
        notify.set_read_timeout(Some(DEADLINE)).expect("a socket option");
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).expect("a log");
        let child = self.command().env("NOTIFY_SOCKET", &path).env_remove("NODEWHY_LOG").stderr(log).stdin(Stdio::null()).spawn();
        self.child = Some(child.expect("it starts"));
        let mut bytes = [0; 512];
        let said = notify.recv(&mut bytes).expect("it says that it is ready");
        let said = String::from_utf8_lossy(&bytes[..said]).into_owned();
        let address = said.strip_prefix("READY=1\nSTATUS=listening on ").and_then(|rest| rest.split(' ').next()).map(str::parse);
        self.address = address.unwrap_or_else(|| panic!("{said:?}")).expect("an address");
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill(1)");
        assert!(killed.success());
        // The test's own agents go on meanwhile.
        tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("a child of ours")
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// A plain connection.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).expect("a URL");
        endpoint.connect().await.expect("it listens")
    }

    pub(crate) async fn query(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.channel().await)
    }

    pub(crate) async fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.channel().await)
    }

    pub(crate) async fn nodes(&self) -> Vec<pb::NodeSummary> {
        self.query().await.list_nodes(pb::ListNodesRequest::default()).await.expect("an answer").into_inner().nodes
    }

    pub(crate) async fn node(&self, node: &str) -> pb::GetNodeResponse {
        self.query().await.get_node(pb::GetNodeRequest { node: node.into() }).await.expect("an answer").into_inner()
    }

    /// Cases of a node, newest first.
    pub(crate) async fn cases(&self, node: &str) -> Vec<pb::Case> {
        let request = pb::ListCasesRequest { node: node.into(), ..Default::default() };
        self.query().await.list_cases(request).await.expect("an answer").into_inner().cases
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("a log")
    }
}

/// Nobody is told anything.
pub(crate) fn quiet() -> tokio::sync::watch::Receiver<nodewhy_collector::policy::Loaded> {
    let (policy, since) = (nodewhy_collector::policy::Policy::default().into(), jiff::Timestamp::now());
    tokio::sync::watch::channel(nodewhy_collector::policy::Loaded { policy, problem: None, since }).1
}

/// Writes a file of the test.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path
}
