//! Keeps the deliverers in step with the policy, the outbox within its bounds, and says when a hook takes nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::clock;
use super::failing::Failing;
use crate::hooks::template::Templates;
use crate::hooks::{Deliveries, HookState, Timing};
use crate::policy::Loaded;
use crate::store::Store;

/// How often it is looked whether hooks fail.
const LOOK: Duration = Duration::from_secs(5);
/// How often the outbox is looked over: every so many looks.
const TIDY: u32 = 12;

/// How the hooks are, for whoever asks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Vec<Arc<HookState>>>>);

impl Board {
    /// Of each hook in force, by name.
    pub fn states(&self) -> Vec<Arc<HookState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, states: Vec<Arc<HookState>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = states;
    }
}

/// See the module.
pub struct Alerts {
    /// Where what is told is kept.
    pub store: Store,
    /// Whom to tell.
    pub policy: watch::Receiver<Loaded>,
    /// When the engine has to be asked.
    pub due: watch::Receiver<Option<Timestamp>>,
    /// Where it is shown how the hooks are.
    pub board: Board,
}

impl Alerts {
    /// Until the task is dropped.
    pub async fn run(mut self) {
        let mut ticking = tokio::task::JoinSet::new();
        ticking.spawn(clock::run(self.store.clone(), self.due.clone(), self.policy.clone()));
        let mut deliveries = Deliveries::new(self.store.clone(), Timing::default());
        let mut failing = Failing::default();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.policy.mark_changed();
        for looks in 0_u32.. {
            tokio::select! {
                changed = self.policy.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let policy = self.policy.borrow_and_update().policy.clone();
                    let templates = Templates::new(policy.templates.title.as_deref(), policy.templates.text.as_deref());
                    let templates = templates.unwrap_or_else(|error| {
                        tracing::error!("the policy's templates cannot be used, texts are as without them: {error}");
                        Templates::default()
                    });
                    deliveries.set(&policy.hooks, &templates);
                    self.board.set(deliveries.states());
                }
                _ = look.tick() => {
                    failing.look(&self.store, &deliveries.states(), Timestamp::now()).await;
                    if looks % TIDY == 0 {
                        self.tidy(&deliveries).await;
                    }
                }
            }
        }
    }

    async fn tidy(&self, deliveries: &Deliveries) {
        match self.store.tidy_letters(deliveries.names(), Timestamp::now()).await {
            Ok((died, gone)) => {
                for (hook, many) in died {
                    tracing::warn!(hook, many, "messages are given up: see `kubectl nodewhy alerts list --dead`");
                }
                if gone > 0 {
                    tracing::info!(gone, "old dead letters are forgotten");
                }
            }
            Err(error) => tracing::error!("cannot look the outbox over: {error}"),
        }
    }
}
