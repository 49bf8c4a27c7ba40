//! The deliverers of the hooks in force, kept in step with the policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deliver::{Deliverer, Timing};
use super::hook::Hook;
use super::state::HookState;
use super::template::Templates;
use crate::policy::hooks::HookConfig;
use crate::store::Store;

/// See the module. What it started ends when it is dropped.
#[derive(Debug)]
pub struct Deliveries {
    store: Store,
    timing: Timing,
    running: BTreeMap<Arc<str>, Running>,
}

#[derive(Debug)]
struct Running {
    config: Arc<HookConfig>,
    templates: Templates,
    state: Arc<HookState>,
    task: tokio::task::AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In the middle of a delivery it comes again, with the same key.
        self.task.abort();
    }
}

impl Deliveries {
    /// Nobody is called yet.
    pub fn new(store: Store, timing: Timing) -> Self {
        Self { store, timing, running: BTreeMap::new() }
    }

    /// Delivers to these hooks from now on. Those that have not changed are not disturbed; what a hook of the same name and kind counted
    /// goes on. Within a runtime.
    pub fn set(&mut self, hooks: &[Arc<HookConfig>], templates: &Templates) {
        let mut before = std::mem::take(&mut self.running);
        for config in hooks {
            let name: Arc<str> = config.name.as_str().into();
            let old = before.remove(&name);
            let running = match old {
                Some(old) if old.config == *config && old.templates == *templates => old,
                old => self.start(config, templates, old.map(|old| old.state.clone())),
            };
            self.running.insert(name, running);
        }
    }

    fn start(&self, config: &Arc<HookConfig>, templates: &Templates, state: Option<Arc<HookState>>) -> Running {
        let hook = Hook::new(config, templates.clone());
        let kind = config.kind.word();
        let state = state.filter(|state| state.kind == kind).unwrap_or_else(|| HookState::new(hook.name().clone(), kind));
        let deliverer = Deliverer::new(hook, state.clone(), self.store.clone(), self.timing);
        let task = tokio::spawn(deliverer.run()).abort_handle();
        Running { config: config.clone(), templates: templates.clone(), state, task }
    }

    /// Begins anew with a hook whose deliverer has ended, which none does by itself: what waits for it would wait for ever.
    pub fn revive(&mut self) {
        let ended = self.running.iter().filter(|(_, running)| running.task.is_finished());
        let anew: Vec<_> = ended
            .map(|(name, running)| {
                tracing::error!(hook = %name, "what delivers to the hook has ended unexpectedly and is begun anew");
                (name.clone(), self.start(&running.config, &running.templates, Some(running.state.clone())))
            })
            .collect();
        self.running.extend(anew);
    }

    /// How it goes with each hook, by name.
    pub fn states(&self) -> Vec<Arc<HookState>> {
        self.running.values().map(|running| running.state.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::policy::{Loaded, Policy};

    #[tokio::test]
    async fn a_hook_whose_deliverer_has_ended_is_delivered_to_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "hooks: [{name: a, webhook: {url: 'http://127.0.0.1:1/a'}}]\n";
        let policy = Arc::new(Policy::parse(std::path::Path::new("p"), text).expect("a policy"));
        let (_policy, loaded) = watch::channel(Loaded { policy: policy.clone(), problem: None, since: jiff::Timestamp::UNIX_EPOCH });
        let store = Store::open(dir.path(), loaded).expect("opened").store;
        let mut deliveries = Deliveries::new(store, Timing::default());
        deliveries.set(&policy.hooks, &Templates::default());
        let ended = deliveries.running["a"].task.clone();
        ended.abort();
        while !ended.is_finished() {
            tokio::task::yield_now().await;
        }
        deliveries.revive();
        let (task, state) = (deliveries.running["a"].task.clone(), deliveries.running["a"].state.clone());
        assert!(!task.is_finished());
        deliveries.revive();
        assert!(!task.is_finished() && Arc::ptr_eq(&state, &deliveries.running["a"].state), "one that goes on is left alone");
    }
}
