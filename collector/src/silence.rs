//! Nodes that are not heard any more. Silence is found here, by the collector's own clock, and is never taken for health.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::diagnose::in_words;
use nodewhy_diagnosis::facts::{Facts, schema};
use nodewhy_diagnosis::model::{Evidence, Layer, PresentCause, Severity};
use tokio::time::{Instant, timeout};

use crate::presence::{Change, Presence, patience};
use crate::store::{Keep, Store, StoreError, Turn};

/// The cause that a silent node has.
pub const CODE: &str = "agent-silent";
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How often the times of hearing are written down, and what is old is forgotten.
const KEEP: Duration = Duration::from_secs(30);
/// After a restart of the collector each agent has at least this long to come back: its longest pause between two attempts is 30 s, and
/// connecting may take 5 s.
pub const GRACE: Duration = Duration::from_secs(40);
/// Nodes read, or written, at once.
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
            self.look().await;
            if kept.elapsed() >= KEEP {
                kept = Instant::now();
                self.keep().await;
            }
        }
    }

    /// Writes down whose silence begins or ends, all of one look at one moment: a fleet that falls silent is one event.
    async fn look(&self) {
        let now = Timestamp::now();
        let changes = self.presence.changes();
        let mut answers = Vec::new();
        // All are queued before the first is waited for, so that one transaction has as many as it takes.
        for some in changes.chunks(PAGE as usize) {
            let turns = some.iter().map(|change| turn(change, now)).collect();
            match self.store.silences_turned(turns, self.presence.clone(), now).await {
                Ok(answer) => answers.push(answer),
                Err(error) => return failed(&error),
            }
        }
        for answer in answers {
            match answer.await.unwrap_or(Err(StoreError::Closed)) {
                Ok(written) => written.iter().for_each(|change| self.written(change)),
                Err(error) => failed(&error),
            }
        }
    }

    fn written(&self, Change { node, seen, silent, .. }: &Change) {
        if *silent {
            tracing::warn!(%node, last_seen = %seen, "the agent is silent");
        } else {
            tracing::info!(%node, "the agent speaks again");
        }
        self.presence.stored(node, *silent);
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

fn failed(error: &StoreError) {
    tracing::error!("cannot write down which agents are silent, tried again: {error}");
}

fn turn(change: &Change, now: Timestamp) -> Turn {
    let Change { node, seen, heartbeat, silent } = change;
    let reason = format!("nothing was heard for {:?}, {} heartbeats of {heartbeat:?}", patience(*heartbeat), 3);
    Turn { opens: silent.then(|| (cause(node, *seen, now), reason)), change: change.clone() }
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

#[cfg(test)]
mod tests {
    use nodewhy_proto::v1 as pb;
    use tokio::sync::watch;

    use super::*;
    use crate::message::Kind;
    use crate::policy::{Loaded, Policy};
    use crate::store::{CasePage, Seen};

    const NODES: usize = 300;

    async fn fleet(dir: &std::path::Path) -> (Silence, watch::Sender<Loaded>) {
        let loaded = Loaded { policy: Arc::new(Policy::default()), problem: None, since: Timestamp::now() };
        let (sender, policy) = watch::channel(loaded);
        let store = Store::open(dir, policy).expect("opened").store;
        let keep = Keep { cases: KEEP, cases_per_node: 10, silent_nodes: KEEP * 1000 };
        let silence = Silence { store: store.clone(), presence: Presence::default(), keep };
        let heartbeat = Duration::from_millis(100);
        let hello = |n| {
            let hello = pb::Hello { node: format!("n{n}"), ..pb::Hello::default() };
            store.hello(Seen { hello, heartbeat, at: Timestamp::now() })
        };
        futures_util::future::try_join_all((0..NODES).map(hello)).await.expect("stored");
        for n in 0..NODES {
            silence.presence.known(&format!("n{n}"), heartbeat, Timestamp::now(), false, Instant::now());
        }
        (silence, sender)
    }

    #[tokio::test]
    async fn a_fleet_that_falls_silent_at_once_is_one_incident_and_opens_at_one_moment() {
        let dir = tempfile::tempdir().expect("a directory");
        let (silence, _policy) = fleet(dir.path()).await;
        silence.look().await;
        let cases = silence.store.cases(CasePage { open_only: true, size: 1000, ..CasePage::default() }).await.expect("read");
        assert_eq!(cases.len(), NODES);
        assert!(cases.iter().all(|case| case.opened_recorded_at == cases[0].opened_recorded_at), "one look is one moment");
        assert_eq!(silence.presence.changes(), []);
        let incidents = silence.store.incidents(false, None, 10).await.expect("read");
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        assert_eq!((incidents[0].incident.kind, incidents[0].incident.node_count()), (Kind::Fleet, 300));
    }

    #[tokio::test]
    async fn one_that_spoke_while_the_store_was_busy_is_not_called_silent() {
        let dir = tempfile::tempdir().expect("a directory");
        let (silence, _policy) = fleet(dir.path()).await;
        let store = silence.store.clone();
        let (begun, begins) = std::sync::mpsc::channel();
        let presence = silence.presence.clone();
        // The writer is busy until the look is taken and one has spoken since.
        let busy = store.submit(crate::store::Touches::Nothing, move |_| {
            begins.recv().ok();
            presence.heard("n7", true, Timestamp::now());
            Ok(())
        });
        let busy = busy.await.expect("queued");
        let look = async {
            let look = silence.look();
            tokio::pin!(look);
            // Once: it is queued, and waits.
            tokio::select! {
                biased;
                () = &mut look => panic!("the writer is busy"),
                () = std::future::ready(()) => {}
            }
            begun.send(()).expect("it waits");
            look.await;
        };
        look.await;
        busy.await.expect("answered").expect("done");
        let silent = silence.store.nodes(None, 1000).await.expect("read").into_iter().filter(|node| node.silent.is_some()).count();
        assert_eq!(silent, NODES - 1);
    }
}
