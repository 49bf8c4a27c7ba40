//! Nodes that are not heard any more. Silence is found here, by the collector's own clock, and is never taken for health.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::diagnose::in_words;
use nodewhy_diagnosis::facts::{Facts, schema};
use nodewhy_diagnosis::model::{Evidence, Layer, PresentCause, Severity, Transition, TransitionKind};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::alerts::Plan;
use crate::store::{Store, StoreError};

/// The cause that a silent node has.
pub const CODE: &str = "agent-silent";
/// Heartbeats missed before an agent is silent, and the least time.
const MISSED: u32 = 3;
const LEAST: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How often the times of hearing are written down.
const KEEP: Duration = Duration::from_secs(30);

/// When each agent was heard last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    nodes: Arc<Mutex<BTreeMap<String, Heard>>>,
}

#[derive(Debug, Clone)]
struct Heard {
    at: Instant,
    seen: Timestamp,
    heartbeat: Duration,
    silent: bool,
    /// Heard since it was last written down.
    fresh: bool,
}

impl Presence {
    /// An agent was heard.
    pub fn heard(&self, node: &str, heartbeat: Duration, seen: Timestamp) {
        let mut nodes = self.lock();
        let silent = nodes.get(node).is_some_and(|heard| heard.silent);
        nodes.insert(node.to_owned(), Heard { at: Instant::now(), seen, heartbeat, silent, fresh: true });
    }

    /// When an agent was heard last, and whether it is silent.
    pub fn of(&self, node: &str) -> Option<(Timestamp, bool)> {
        self.lock().get(node).map(|heard| (heard.seen, heard.silent))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nodes whose silence has begun or ended: name, when last seen, whether silent now.
    fn changes(&self, stalled: Duration) -> Vec<(String, Timestamp, bool)> {
        let now = Instant::now();
        let mut changes = Vec::new();
        for (node, heard) in self.lock().iter_mut() {
            // While the collector itself stood still it could not hear anybody.
            heard.at = (heard.at + stalled).min(now);
            let silent = now.duration_since(heard.at) > (heard.heartbeat * MISSED).max(LEAST);
            if silent != heard.silent {
                heard.silent = silent;
                changes.push((node.clone(), heard.seen, silent));
            }
        }
        changes
    }

    fn take_fresh(&self) -> Vec<(String, Timestamp)> {
        let mut nodes = self.lock();
        let fresh = |(node, heard): (&String, &mut Heard)| std::mem::take(&mut heard.fresh).then(|| (node.clone(), heard.seen));
        nodes.iter_mut().filter_map(fresh).collect()
    }
}

/// Watches over all nodes.
pub struct Silence {
    store: Store,
    presence: Presence,
    plan: Plan,
}

impl Silence {
    /// A watch that knows the nodes in the store: each has, from now on, its time to speak before it is called silent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn new(store: Store, presence: Presence, plan: Plan) -> Result<Self, StoreError> {
        for node in store.nodes().await? {
            presence.heard(&node.node, node.heartbeat, node.last_seen);
        }
        // Who was silent before a restart stays so until it speaks.
        for case in store.cases(crate::store::CasePage { open_only: true, size: u32::MAX, ..Default::default() }).await? {
            if let (CODE, Some(heard)) = (&*case.cause.code, presence.lock().get_mut(&case.node)) {
                heard.silent = true;
                heard.at = Instant::now().checked_sub(heard.heartbeat * MISSED + LEAST).unwrap_or(heard.at);
            }
        }
        Ok(Self { store, presence, plan })
    }

    /// Watches until the task is dropped.
    pub async fn run(self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut kept) = (Instant::now(), Instant::now());
        loop {
            look.tick().await;
            let stalled = before.elapsed().saturating_sub(LOOK * 4);
            before = Instant::now();
            for (node, seen, silent) in self.presence.changes(stalled) {
                let (name, plan) = (node.clone(), self.plan.clone());
                let change = if silent { self.store.silent(name, seen, plan).await } else { self.store.speaks_again(name, plan).await };
                if let Err(error) = change {
                    tracing::error!(node, silent, "cannot write down that an agent fell silent or speaks again: {error}");
                }
            }
            if kept.elapsed() >= KEEP {
                kept = Instant::now();
                self.keep().await;
            }
        }
    }

    async fn keep(&self) {
        let fresh = self.presence.take_fresh();
        if !fresh.is_empty()
            && let Err(error) = self.store.heard(fresh).await
        {
            tracing::error!("cannot write down when agents were heard: {error}");
        }
    }
}

/// The cause of a silent node, in the words of the catalogue.
pub fn cause(node: &str, since: Timestamp, now: Timestamp) -> PresentCause {
    let rule = nodewhy_causes::catalogue().cause(CODE);
    let mut facts = Facts::new();
    facts.set(schema::NODE_NAME, now, node.to_owned());
    let (message, remedy) = rule.map(|rule| in_words(rule, &facts, now)).unwrap_or_default();
    PresentCause {
        case_id: format!("{node}/{CODE}/{}", since.as_microsecond()),
        code: CODE.to_owned(),
        title: rule.map_or_else(|| CODE.to_owned(), |rule| rule.title.clone()),
        severity: rule.map_or(Severity::Critical, |rule| rule.severity),
        layer: rule.map_or(Layer::Network, |rule| rule.layer),
        root: true,
        since,
        message,
        evidence: vec![Evidence {
            source: "collector".to_owned(),
            at: Some(since),
            quote: format!("last heard of at {since:.0}"),
            count: 1,
        }],
        explains: Vec::new(),
        explained_by: Vec::new(),
        remedy,
    }
}

/// The opening or closing of a silence.
pub(crate) fn transition(kind: TransitionKind, cause: PresentCause, at: Timestamp, reason: &str) -> Transition {
    Transition { kind, case_id: cause.case_id.clone(), code: cause.code.clone(), at, since: cause.since, reason: reason.to_owned(), cause }
}
