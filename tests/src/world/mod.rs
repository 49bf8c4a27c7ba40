//! Everything around one node: its cluster's API server and names, a collector, an agent in the node, and who watches what it says.

mod agent;
mod collector;
mod hooks;
mod observer;
mod outcome;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;

pub use collector::Collector;
pub use hooks::{Alertmanager, Receiver};
pub use observer::{Observer, Seen};
pub use outcome::Named;

use crate::apiserver::ApiServer;
use crate::dns::Dns;
use crate::node::{Files, Node, NodeFs, Plan};
use crate::pki::{Authority, Identity, NodeCredentials};
use crate::slot::{MachineLock, Slot};
use crate::{programs, skip};

/// The API server's name, as the kubeconfig has it.
pub const API_NAME: &str = "api.cluster.test";
/// Its port.
pub const API_PORT: u16 = 6443;
/// From a node that has booted to one whose kubelet is registered.
const REGISTERED_WITHIN: Duration = Duration::from_secs(40);

/// What a story needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// It changes what is one for the whole machine (swap, kernel parameters): nothing else runs at the same time.
    pub alone: bool,
    /// The node hears this machine's kernel.
    pub hears_kernel: bool,
    /// The node has an image that pods can be run from.
    pub has_image: bool,
    /// The kubelet's directory is a small file system of its own.
    pub nodefs: Option<NodeFs>,
    /// systemd starts an ended kubelet again after so many seconds; kubeadm's 10 if left out.
    pub restart_sec: Option<u32>,
    /// No kubelet, no runtime's configuration: a plain Debian.
    pub not_kubernetes: bool,
    /// The agent shows the kubelet's own certificate to the collector.
    pub kubelet_credentials: bool,
}

/// Certificates of the cluster.
#[derive(Debug)]
pub struct Pki {
    /// Signs everything.
    pub authority: Authority,
    /// The API server's.
    pub api: Identity,
    /// The kubelet's.
    pub kubelet: Identity,
}

/// A node and all around it. Dropping it ends everything.
pub struct World {
    // Fields are dropped in this order: who asks before who answers, the node last.
    /// What the collector has said about the node.
    pub observer: Option<Observer>,
    /// The collector.
    pub collector: Collector,
    /// The API server.
    pub api: ApiServer,
    /// The name server.
    pub dns: Dns,
    /// Certificates.
    pub pki: Pki,
    /// The node.
    pub node: Node,
    /// A cause that the repair leads through, and since when.
    leads_through: Option<(&'static str, Timestamp)>,
    _machine: MachineLock,
}

/// Runs a story in a world of its own, where nodes can be booted.
///
/// # Panics
/// The story fails; all that is known about it is told first.
pub fn live(shape: Shape, story: impl AsyncFnOnce(&mut World) -> Result<()>) {
    if !skip::nodes_can_boot() {
        return;
    }
    // Fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::begin(shape).await.unwrap_or_else(|error| panic!("cannot begin: {error:#}"));
        if let Err(error) = story(&mut world).await {
            world.tell_all();
            panic!("{error:#}");
        }
    });
}

impl World {
    /// A healthy node with its kubelet registered. Neither collector nor agent run yet.
    ///
    /// # Errors
    /// Any step of it.
    pub async fn begin(shape: Shape) -> Result<Self> {
        let machine = MachineLock::take(shape.alone)?;
        let programs = programs::dir()?;
        let slot = Slot::take(&programs.join("node-reaper"))?;
        let number = slot.number;
        let (host, name) = (number.host_address(), number.node_name());
        Node::connect(number)?;
        let authority = Authority::new("kubernetes")?;
        let pki = Pki {
            api: authority.server("kube-apiserver", &[API_NAME, "kubernetes"], &[host.into()])?,
            kubelet: authority.client(&format!("system:node:{name}"), Some("system:nodes"))?,
            authority,
        };
        let api = ApiServer::start(SocketAddr::from((host, API_PORT)), &pki.api, &pki.authority).await?;
        let dns = Dns::start(host, API_NAME, host).await?;
        let collector = Collector::prepare(number, &pki)?;
        let mut plan = Plan { nodefs: shape.nodefs, hears_kernel: shape.hears_kernel, has_image: shape.has_image, ..Plan::default() };
        plan.programs.push((programs.join("nodewhy-agent"), PathBuf::from("/usr/bin/nodewhy-agent")));
        plan.files.extend(agent::files(number, &pki, shape.kubelet_credentials)?);
        if !shape.not_kubernetes {
            let credentials = NodeCredentials { ca: pki.authority.pem(), client: pki.kubelet.bundle() };
            let server = format!("https://{API_NAME}:{API_PORT}");
            let files = Files {
                server: &server,
                credentials: &credentials,
                address: number.node_address(),
                restart_sec: shape.restart_sec.unwrap_or(10),
            };
            plan.files.extend(files.all());
            plan.programs.push((programs.join("kubelet-standin"), PathBuf::from("/usr/bin/kubelet")));
            plan.enabled.push("kubelet.service".to_owned());
        }
        // Booting blocks; the API server and the name server go on on the other threads.
        let node = tokio::task::block_in_place(|| Node::boot(slot, &plan))?;
        let world = Self { observer: None, collector, api, dns, pki, node, leads_through: None, _machine: machine };
        if !shape.not_kubernetes {
            world.kubelet_registers().await?;
        }
        Ok(world)
    }

    /// Waits until the kubelet has renewed its lease once more.
    ///
    /// # Errors
    /// It does not.
    pub async fn kubelet_registers(&self) -> Result<()> {
        let (name, before) = (self.node.name(), self.api.renewals(&self.node.name()));
        let renewed = crate::wait::until("the kubelet renews its lease", REGISTERED_WITHIN, async || {
            Ok((self.api.renewals(&name) > before).then_some(()))
        })
        .await;
        renewed.with_context(|| {
            self.node.run(&["journalctl", "-u", "kubelet", "-u", "containerd", "-n", "20", "--no-pager"]).unwrap_or_default()
        })
    }

    /// Starts collector and agent, and waits until the node is known to be healthy.
    ///
    /// # Errors
    /// It is not.
    pub async fn watch_healthy(&mut self) -> Result<()> {
        self.collector.start().await?;
        self.observer = Some(Observer::start(&self.collector, &self.node.name())?);
        self.start_agent()?;
        self.healthy_within(Duration::from_secs(20)).await
    }

    /// Tells all that may say why a story failed, on stderr.
    #[expect(clippy::print_stderr, reason = "a failed test has to say why")]
    pub fn tell_all(&self) {
        let journal =
            |unit: &str| self.node.run(&["journalctl", "-u", unit, "-n", "40", "--no-pager", "-o", "short-precise"]).unwrap_or_default();
        let ask = |words: &[&str]| self.collector.ask(words).map_or_else(|error| format!("{error:#}"), |said| said.text);
        let name = self.node.name();
        let seen = self.observer.as_ref().map(|observer| format!("{:#?}", observer.all())).unwrap_or_default();
        let parts = [
            ("what the collector said of the node, in order", seen),
            ("kubectl-nodewhy why", ask(&["why", &name])),
            ("kubectl-nodewhy history", ask(&["history", &name])),
            ("nodewhy-agent check", self.check().map_or_else(|error| format!("{error:#}"), |said| said.text)),
            ("agent", journal("nodewhy-agent")),
            ("kubelet", journal("kubelet")),
            ("collector", self.collector.log()),
        ];
        for (what, text) in parts {
            eprintln!("---- {what}\n{}", text.trim());
        }
    }
}
