//! Keeps the deliverers in step with the policy, the outbox within its bounds, and says when a hook takes nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::clock;
use super::failing::Failing;
use crate::hooks::template::Templates;
use crate::hooks::{Deliveries, HookState, Timing};
use crate::policy::Loaded;
use crate::store::{Others, Store};

/// How often it is looked whether hooks fail.
const LOOK: Duration = Duration::from_secs(5);
/// How often the outbox is looked over: every so many looks.
const TIDY: u32 = 12;

/// A hook that a policy has lacked for so long does not come back in a moment. What has no hooks at all (the file may have been lost, or be
/// in the middle of being made) is not believed before.
const FORGET: SignedDuration = SignedDuration::from_hours(24);

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
        let mut looks = 0_u32;
        loop {
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
                Some(ended) = ticking.join_next() => {
                    return tracing::error!("what is due to be told is not looked at any more: {ended:?}");
                }
                _ = look.tick() => {
                    deliveries.revive();
                    failing.look(&self.store, &deliveries.states(), Timestamp::now()).await;
                    if looks.is_multiple_of(TIDY) {
                        self.tidy().await;
                    }
                    looks = looks.wrapping_add(1);
                }
            }
        }
    }

    async fn tidy(&self) {
        let (loaded, now) = (self.policy.borrow().clone(), Timestamp::now());
        let hooks = loaded.policy.hook_names().map(Arc::from).collect();
        match self.store.tidy_letters(hooks, others(&loaded, now), now).await {
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

/// What the policy says of hooks that it does not name. A file that cannot be used says nothing, unless one that could was read before it.
fn others(loaded: &Loaded, now: Timestamp) -> Others {
    let none = loaded.policy.hooks.is_empty();
    if none && loaded.problem.is_some() {
        Others::Unknown
    } else if now.duration_since(loaded.since) >= FORGET {
        Others::Forgotten
    } else if none {
        Others::Unknown
    } else {
        Others::Gone
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::Policy;

    #[test]
    fn only_a_policy_that_can_be_used_says_that_a_hook_is_gone_and_one_without_any_only_after_a_day() {
        let since = Timestamp::UNIX_EPOCH;
        let loaded = |text: &str, bad: bool| {
            let policy = Arc::new(Policy::parse(Path::new("p"), text).expect("a policy"));
            Loaded { policy, problem: bad.then(|| Vec::new().into()), since }
        };
        let hooks = "hooks: [{name: a, webhook: {url: 'http://h/a'}}]\n";
        let (soon, late) = (since + SignedDuration::from_hours(23), since + FORGET);
        for (text, bad, now, wanted) in [
            ("", true, soon, Others::Unknown),
            ("", true, late, Others::Unknown),
            ("", false, soon, Others::Unknown),
            ("", false, late, Others::Forgotten),
            (hooks, false, soon, Others::Gone),
            (hooks, true, soon, Others::Gone),
            (hooks, false, late, Others::Forgotten),
        ] {
            assert_eq!(others(&loaded(text, bad), now), wanted, "{text:?} {bad} {now}");
        }
    }
}
