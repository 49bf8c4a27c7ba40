//! A simulated fleet: thousands of agents that are **stand-ins** (nobody looks at anything) and speak the real protocol to a real collector,
//! and a plain receiver of its webhooks.

mod agent;
mod collector;
mod receiver;
pub mod scenarios;

use std::time::Duration;

use anyhow::{Context, Result};
use nodewhy_proto::v1::PresentCause;
use tonic::transport::{Channel, Endpoint};

pub use agent::Agent;
pub use collector::Collector;
pub use receiver::{Fate, Receiver, Taken};

/// Streams of one connection; the collector allows no more.
const STREAMS: usize = 32;
/// Nodes of one rack.
pub const RACK: usize = 40;

/// A fleet that is attached and healthy.
pub struct Fleet {
    /// Its agents; node `n` is in rack `n / RACK`.
    pub agents: Vec<Agent>,
}

impl Fleet {
    /// So many nodes, in racks and three zones, with one API server.
    ///
    /// # Errors
    /// The collector does not take them.
    pub async fn attach(collector: &Collector, nodes: usize, heartbeat: Duration) -> Result<Self> {
        Self::attach_knowing(collector, vec![Vec::new(); nodes], heartbeat).await
    }

    /// The same, of agents that know these causes already.
    ///
    /// # Errors
    /// The collector does not take them.
    pub async fn attach_knowing(collector: &Collector, known: Vec<Vec<PresentCause>>, heartbeat: Duration) -> Result<Self> {
        let mut agents = attach(collector, 0..known.len(), heartbeat).await?;
        for (agent, causes) in agents.iter_mut().zip(known) {
            agent.knows(causes);
            agent.report().await?;
        }
        let fleet = Self { agents };
        fleet.settle().await?;
        Ok(fleet)
    }

    /// The nodes of one rack come back, healthy.
    ///
    /// # Errors
    /// The collector does not take them.
    pub async fn attach_rack(collector: &Collector, rack: usize, heartbeat: Duration) -> Result<Self> {
        let mut agents = attach(collector, rack * RACK..(rack + 1) * RACK, heartbeat).await?;
        for agent in &mut agents {
            agent.report().await?;
        }
        Ok(Self { agents })
    }

    /// Waits until all that was said is committed.
    ///
    /// # Errors
    /// A stream broke.
    pub async fn settle(&self) -> Result<()> {
        for agent in &self.agents {
            agent.committed().await?;
        }
        Ok(())
    }

    /// A cause opens on these nodes, one after the other over `spread`; back when all is committed.
    ///
    /// # Errors
    /// A stream broke.
    pub async fn open(&mut self, nodes: &[usize], code: &str, spread: Duration) -> Result<()> {
        self.change(nodes, spread, |agent| agent.open(code)).await
    }

    /// It closes again.
    ///
    /// # Errors
    /// A stream broke.
    pub async fn close(&mut self, nodes: &[usize], code: &str, spread: Duration) -> Result<()> {
        self.change(nodes, spread, |agent| agent.close(code)).await
    }

    async fn change(&mut self, nodes: &[usize], spread: Duration, mut change: impl FnMut(&mut Agent)) -> Result<()> {
        let begun = tokio::time::Instant::now();
        for (place, &n) in nodes.iter().enumerate() {
            tokio::time::sleep_until(begun + spread.mul_f64(place as f64 / nodes.len().max(1) as f64)).await;
            let agent = &mut self.agents[n];
            change(agent);
            agent.report().await?;
        }
        for &n in nodes {
            self.agents[n].committed().await?;
        }
        Ok(())
    }
}

async fn attach(collector: &Collector, nodes: std::ops::Range<usize>, heartbeat: Duration) -> Result<Vec<Agent>> {
    let mut agents = Vec::with_capacity(nodes.len());
    for first in nodes.clone().step_by(STREAMS) {
        let channel = connect(collector.address()).await?;
        for n in first..nodes.end.min(first + STREAMS) {
            agents.push(Agent::attach(channel.clone(), n, heartbeat).await.with_context(|| format!("attach node {n}"))?);
        }
    }
    Ok(agents)
}

async fn connect(address: std::net::SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    endpoint.connect().await.context("cannot reach the collector")
}
