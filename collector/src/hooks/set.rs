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

    /// How it goes with each hook, by name.
    pub fn states(&self) -> Vec<Arc<HookState>> {
        self.running.values().map(|running| running.state.clone()).collect()
    }
}
