//! Nodes that are not heard any more. Silence is found here, by the collector's own clock, and is never taken for health.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::diagnose::in_words;
use nodewhy_diagnosis::facts::{Facts, schema};
use nodewhy_diagnosis::model::{Evidence, Layer, PresentCause, Severity};
use tokio::time::{Instant, timeout};

use crate::presence::{Change, Presence, patience};
use crate::store::{Keep, Store, StoreError};

/// The cause that a silent node has.
pub const CODE: &str = "agent-silent";
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How often the times of hearing are written down, and what is old is forgotten.
const KEEP: Duration = Duration::from_secs(30);
/// After a restart of the collector each agent has at least this long to come back: its longest pause between two attempts is 30 s, and
/// connecting may take 5 s.
pub const GRACE: Duration = Duration::from_secs(40);
/// Nodes read at once.
const PAGE: u32 = 1000;

/// Watches over all nodes.
pub struct Silence {
    /// Where silence is written down.
    pub store: Store,
    /// Who was heard when.
    pub presence: Presence,
    /// What is kept how long.
    pub keep: Keep,
}

impl Silence {
    /// Makes the nodes of the store known. Each has, from now on, `grace` to speak before it is called silent; one that was silent before
    /// stays so until it speaks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recall(&self, grace: Duration) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let nodes = self.store.nodes(after.take(), PAGE).await?;
            for node in &nodes {
                let silent_at = Instant::now() + if node.silent.is_some() { Duration::ZERO } else { patience(node.heartbeat).max(grace) };
                self.presence.known(&node.node, node.heartbeat, node.last_seen, node.silent.is_some(), silent_at);
            }
            match nodes.last() {
                Some(last) if nodes.len() == PAGE as usize => after = Some((last.rank, last.node.clone())),
                _ => return Ok(()),
            }
        }
    }

    /// Watches until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut kept = Instant::now();
        loop {
            // Whichever comes first: a silent node speaks, or it is time to look.
            let waiting = Instant::now();
            drop(timeout(LOOK, self.presence.spoke()).await);
            let stood_still = waiting.elapsed().saturating_sub(LOOK * 4);
            if !stood_still.is_zero() {
                tracing::warn!(?stood_still, "the collector stood still; agents get that time on top before they are called silent");
                self.presence.stood_still(stood_still);
            }
            for change in self.presence.changes() {
                self.write_down(change).await;
            }
            if kept.elapsed() >= KEEP {
                kept = Instant::now();
                self.keep().await;
            }
        }
    }

    async fn write_down(&self, change: Change) {
        let Change { node, seen, heartbeat, silent } = change;
        let now = Timestamp::now();
        let written = if silent {
            let reason = format!("nothing was heard for {:?}, {} heartbeats of {heartbeat:?}", patience(heartbeat), 3);
            tracing::warn!(%node, last_seen = %seen, "the agent is silent");
            self.store.fell_silent(node.clone(), cause(&node, seen, now), reason, now).await
        } else {
            tracing::info!(%node, "the agent speaks again");
            self.store.speaks_again(node.clone(), now).await
        };
        match written {
            Ok(()) => self.presence.stored(&node, silent),
            Err(error) => tracing::error!(%node, silent, "cannot write down a change of silence, tried again: {error}"),
        }
    }

    /// Writes down when agents were heard, and forgets what is too old.
    pub async fn keep(&self) {
        let fresh = self.presence.take_fresh();
        if !fresh.is_empty()
            && let Err(error) = self.store.heard(fresh).await
        {
            tracing::error!("cannot write down when agents were heard: {error}");
        }
        match self.store.prune(self.keep, Timestamp::now()).await {
            Ok(pruned) => {
                let forgotten = pruned.nodes.clone();
                for node in pruned.nodes {
                    tracing::info!(%node, "silent for so long that it is forgotten");
                    self.presence.forget(&node);
                }
                if let Err(error) = self.store.touch(forgotten).await {
                    tracing::error!("hooks cannot be told of nodes that are forgotten; told at the next start: {error}");
                }
                if pruned.cases > 0 {
                    tracing::info!(cases = pruned.cases, "old closed cases are forgotten");
                }
            }
            Err(error) => tracing::error!("cannot forget what is too old: {error}"),
        }
    }
}

/// The cause of a silent node, in the words of the catalogue.
pub(crate) fn cause(node: &Arc<str>, since: Timestamp, now: Timestamp) -> PresentCause {
    let rule = nodewhy_causes::catalogue().cause(CODE);
    let mut facts = Facts::new();
    facts.set(schema::NODE_NAME, now, node.to_string());
    let remedy = rule.map(|rule| in_words(rule, &facts, now).1).unwrap_or_default();
    PresentCause {
        case_id: format!("{node}/{CODE}/{}", since.as_microsecond()),
        code: CODE.to_owned(),
        title: rule.map_or_else(|| CODE.to_owned(), |rule| rule.title.clone()),
        severity: rule.map_or(Severity::Critical, |rule| rule.severity),
        layer: rule.map_or(Layer::Network, |rule| rule.layer),
        root: true,
        latent: false,
        since,
        message: format!("Nothing was heard from the agent of {node} since {since:.0}; what is known of the node is of then"),
        evidence: vec![Evidence {
            source: "collector".to_owned(),
            at: Some(since),
            quote: format!("last word of the agent: {since:.0}"),
            count: 1,
        }],
        explains: Vec::new(),
        explained_by: Vec::new(),
        remedy,
    }
}
