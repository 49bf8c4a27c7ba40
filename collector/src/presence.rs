//! Who is attached, and when each agent was heard last. In memory: it changes with every heartbeat.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Heartbeats missed before an agent is silent, and the least time.
const MISSED: u32 = 3;
const LEAST: Duration = Duration::from_secs(5);

/// Time that an agent with this heartbeat may be quiet.
pub(crate) fn patience(heartbeat: Duration) -> Duration {
    (heartbeat * MISSED).max(LEAST)
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    nodes: Arc<Mutex<BTreeMap<Arc<str>, Heard>>>,
    next: Arc<AtomicU64>,
    spoke: Arc<Notify>,
}

#[derive(Debug)]
struct Heard {
    seen: Timestamp,
    heartbeat: Duration,
    /// Silent from then on if nothing is heard before.
    silent_at: Instant,
    /// What the store says.
    silent: bool,
    /// All that the agent had kept while it was away has arrived: what is known of the node is of now.
    caught_up: bool,
    /// Heard since it was last written down.
    fresh: bool,
    attached: Option<Attached>,
}

impl Heard {
    /// Its silence begins or ends.
    fn turns(&self, now: Instant) -> bool {
        let quiet = self.silent_at <= now;
        if self.silent { !quiet && self.caught_up } else { quiet }
    }
}

#[derive(Debug)]
struct Attached {
    number: u64,
    agent: Agent,
    cut: oneshot::Sender<()>,
}

/// What makes an agent another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The machine's.
    pub machine_id: String,
    /// The boot's.
    pub boot_id: String,
    /// The spool's.
    pub spool_id: String,
}

impl Agent {
    /// The same agent, or the one that came after it on the machine: after a restart, a reboot, or in a new directory.
    fn follows(&self, other: &Self) -> bool {
        self.spool_id == other.spool_id || (self.machine_id == other.machine_id && self.boot_id != other.boot_id)
    }
}

/// An agent that is attached, until it is dropped.
#[derive(Debug)]
pub struct Attachment {
    presence: Presence,
    node: Arc<str>,
    number: u64,
    /// Told when another stream of the same agent takes its place.
    pub replaced: oneshot::Receiver<()>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(heard) = self.presence.lock().get_mut(&self.node)
            && heard.attached.as_ref().is_some_and(|attached| attached.number == self.number)
        {
            heard.attached = None;
        }
    }
}

/// A change of silence that the store has not heard of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) node: Arc<str>,
    pub(crate) seen: Timestamp,
    pub(crate) heartbeat: Duration,
    pub(crate) silent: bool,
}

impl Presence {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Heard>> {
        // No method leaves it half done.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node that the store knows. It has until `silent_at` to speak.
    pub(crate) fn known(&self, node: &str, heartbeat: Duration, seen: Timestamp, silent: bool, silent_at: Instant) {
        let heard = Heard { seen, heartbeat, silent_at, silent, caught_up: false, fresh: false, attached: None };
        self.lock().entry(node.into()).or_insert(heard);
    }

    /// An agent says Hello. Another stream of the same agent, or of one that it follows, ends.
    ///
    /// # Errors
    /// Another agent is attached under this name and alive: its description.
    pub fn attach(&self, node: &Arc<str>, agent: Agent, heartbeat: Duration, seen: Timestamp) -> Result<Attachment, Agent> {
        let now = Instant::now();
        let mut nodes = self.lock();
        if let Some(other) = nodes.get(node).filter(|heard| heard.silent_at > now).and_then(|heard| heard.attached.as_ref())
            && !agent.follows(&other.agent)
        {
            return Err(other.agent.clone());
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (cut, replaced) = oneshot::channel();
        let silent = nodes.get(node).is_some_and(|heard| heard.silent);
        let attached = Some(Attached { number, agent, cut });
        let silent_at = now + patience(heartbeat);
        let heard = Heard { seen, heartbeat, silent_at, silent, caught_up: false, fresh: true, attached };
        if let Some(Attached { cut, .. }) = nodes.insert(node.clone(), heard).and_then(|before| before.attached) {
            // It may have ended by itself in the meantime.
            let _ = cut.send(());
        }
        Ok(Attachment { presence: self.clone(), node: node.clone(), number, replaced })
    }

    /// An attached agent was heard. `caught_up`: nothing of what it kept is still on the way.
    pub fn heard(&self, node: &str, caught_up: bool, seen: Timestamp) {
        if let Some(heard) = self.lock().get_mut(node) {
            heard.seen = heard.seen.max(seen);
            heard.silent_at = Instant::now() + patience(heard.heartbeat);
            heard.caught_up |= caught_up;
            heard.fresh = true;
            if heard.silent && heard.caught_up {
                self.spoke.notify_one();
            }
        }
    }

    /// When an agent was heard last.
    pub fn last_seen(&self, node: &str) -> Option<Timestamp> {
        self.lock().get(node).map(|heard| heard.seen)
    }

    /// Whether there is, or was, such a node.
    pub fn knows(&self, node: &str) -> bool {
        self.lock().contains_key(node)
    }

    /// How many agents are attached.
    pub fn attached(&self) -> usize {
        self.lock().values().filter(|heard| heard.attached.is_some()).count()
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Told when a silent node has spoken.
    pub(crate) async fn spoke(&self) {
        self.spoke.notified().await;
    }

    /// While the collector itself stood still it could not hear anybody.
    pub(crate) fn stood_still(&self, time: Duration) {
        self.lock().values_mut().for_each(|heard| heard.silent_at += time);
    }

    /// Whether a change is still to be made: its node may have been heard, or forgotten, meanwhile.
    pub(crate) fn holds(&self, change: &Change) -> bool {
        let now = Instant::now();
        self.lock().get(&change.node).is_some_and(|heard| heard.silent != change.silent && heard.turns(now))
    }

    /// Nodes whose silence begins or ends.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let now = Instant::now();
        let nodes = self.lock();
        let changes = nodes.iter().filter(|(_, heard)| heard.turns(now)).map(|(node, heard)| Change {
            node: node.clone(),
            seen: heard.seen,
            heartbeat: heard.heartbeat,
            silent: !heard.silent,
        });
        changes.collect()
    }

    /// Nodes that are about to be called silent.
    pub fn silent_now(&self) -> Vec<Arc<str>> {
        self.changes().into_iter().filter(|change| change.silent).map(|change| change.node).collect()
    }

    /// The store has taken a change in.
    pub(crate) fn stored(&self, node: &str, silent: bool) {
        if let Some(heard) = self.lock().get_mut(node) {
            heard.silent = silent;
        }
    }

    /// The store has forgotten a node.
    pub(crate) fn forget(&self, node: &str) {
        let mut nodes = self.lock();
        if nodes.get(node).is_some_and(|heard| heard.attached.is_none()) {
            nodes.remove(node);
        }
    }

    /// Nodes heard since the last call, for writing it down.
    pub(crate) fn take_fresh(&self) -> Vec<(Arc<str>, Timestamp)> {
        let mut nodes = self.lock();
        let fresh = nodes.iter_mut().filter(|(_, heard)| heard.fresh);
        fresh
            .map(|(node, heard)| {
                heard.fresh = false;
                (node.clone(), heard.seen)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
