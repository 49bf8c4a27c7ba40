//! A collector beside the node: the real program, with TLS, as it is off loopback.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nodewhy_proto::v1::query_service_client::QueryServiceClient;
use nodewhy_proto::v1::{Case, GetNodeRequest, GetNodeResponse, ListCasesRequest, ListNodesRequest};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::Pki;
use crate::slot::SlotNumber;
use crate::wait::until;
use crate::{cgroup, programs};

pub(super) const PORT: u16 = 7870;
pub(super) const SERVER_NAME: &str = "nodewhy-collector";
const STARTED_WITHIN: Duration = Duration::from_secs(15);

/// The collector. It can be killed and started again.
#[derive(Debug)]
pub struct Collector {
    slot: SlotNumber,
    dir: PathBuf,
    policy: String,
    running: Option<Child>,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; -1 if it was killed.
    pub code: i32,
    /// Standard output and then standard error.
    pub text: String,
    /// Standard output alone.
    pub stdout: String,
    /// How long it ran.
    pub took: Duration,
}

impl Said {
    pub(super) fn of(output: &Output, took: Duration) -> Self {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code().unwrap_or(-1), text, stdout, took }
    }
}

impl Collector {
    /// Its directory and certificates.
    pub(super) fn prepare(slot: SlotNumber, pki: &Pki) -> Result<Self> {
        let dir = slot.dir().join("collector");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("ca.crt"), pki.authority.pem())?;
        pki.authority.server(SERVER_NAME, &[SERVER_NAME], &[slot.host_address().into()])?.write(&dir, "server")?;
        pki.authority.client("admin", None)?.write(&dir, "admin")?;
        Ok(Self { slot, dir, policy: String::new(), running: None })
    }

    /// Tells hooks by this policy from the next start on.
    pub fn tell(&mut self, policy: &str) {
        policy.clone_into(&mut self.policy);
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn start(&mut self) -> Result<()> {
        let config = self.dir.join("collector.yaml");
        let at = self.dir.display();
        let tls = format!("tls: {{certFile: {at}/server.crt, keyFile: {at}/server.key, clientCAFile: {at}/ca.crt}}");
        fs::write(self.dir.join("alerts.yaml"), &self.policy)?;
        fs::write(
            &config,
            format!("listen: {}:{PORT}\ndataDir: {at}/data\n{tls}\nalertsFile: {at}/alerts.yaml\n", self.slot.host_address()),
        )?;
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = in_group(self.slot)?;
        command.arg(programs::path("nodewhy-collector")?).arg("--config").arg(&config).arg("run");
        self.running =
            Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("cannot start the collector")?);
        let answers = until("the collector answers", STARTED_WITHIN, async || {
            self.client().await?.list_nodes(ListNodesRequest::default()).await?;
            Ok(Some(()))
        });
        answers.await.with_context(|| self.log())
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("the collector does not run")?;
        running.kill().context("cannot kill the collector")?;
        running.wait().context("cannot wait for the collector")?;
        Ok(())
    }

    /// Its log's end.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// A client with an admin's certificate.
    ///
    /// # Errors
    /// The collector cannot be reached.
    pub async fn client(&self) -> Result<QueryServiceClient<Channel>> {
        Ok(QueryServiceClient::new(self.endpoint()?.connect().await?))
    }

    /// A client that connects when it is used, and again when the collector was away.
    pub(super) fn lazy_client(&self) -> Result<QueryServiceClient<Channel>> {
        Ok(QueryServiceClient::new(self.endpoint()?.connect_lazy()))
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let read = |name: &str| fs::read(self.dir.join(name)).with_context(|| format!("cannot read {name}"));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("ca.crt")?))
            .identity(Identity::from_pem(read("admin.crt")?, read("admin.key")?))
            .domain_name(SERVER_NAME);
        Ok(Endpoint::from_shared(self.url())?.tls_config(tls)?.connect_timeout(Duration::from_secs(5)))
    }

    fn url(&self) -> String {
        format!("https://{}:{PORT}", self.slot.host_address())
    }

    /// What it knows of a node.
    ///
    /// # Errors
    /// It cannot be asked, or does not know it.
    pub async fn node(&self, node: &str) -> Result<GetNodeResponse> {
        Ok(self.client().await?.get_node(GetNodeRequest { node: node.to_owned() }).await?.into_inner())
    }

    /// All cases of a node, the oldest first.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn cases(&self, node: &str) -> Result<Vec<Case>> {
        let request = ListCasesRequest { node: node.to_owned(), page_size: 1000, ..ListCasesRequest::default() };
        let mut cases = self.client().await?.list_cases(request).await?.into_inner().cases;
        cases.reverse();
        Ok(cases)
    }

    /// Runs the real kubectl-nodewhy against it.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn ask(&self, words: &[&str]) -> Result<Said> {
        let begun = Instant::now();
        let file = |name: &str| self.dir.join(name);
        let output = Command::new(programs::path("kubectl-nodewhy")?)
            .args(words)
            .args(["--collector", &self.url(), "--server-name", SERVER_NAME])
            .arg("--ca-file")
            .arg(file("ca.crt"))
            .arg("--cert-file")
            .arg(file("admin.crt"))
            .arg("--key-file")
            .arg(file("admin.key"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .context("cannot run kubectl-nodewhy")?;
        Ok(Said::of(&output, begun.elapsed()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Dead already is what is wanted; the slot's reaper makes sure.
        let _ = self.kill();
    }
}

/// A command that runs in the slot's group for programs beside the node, so that it ends with the slot.
pub(super) fn in_group(slot: SlotNumber) -> Result<Command> {
    let enter: Vec<String> = cgroup::make(&slot.host_group())?.iter().map(|procs| format!("echo $$ >{} && ", procs.display())).collect();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{}exec \"$@\"", enter.concat())).arg("run");
    Ok(command)
}
