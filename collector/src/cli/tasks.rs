//! What runs as long as the collector does, and the watchdog that sees whether anything runs at all.

use std::collections::BTreeMap;
use std::convert::Infallible;

use sd_notify::NotifyState;
use tokio::task::{Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// None of it may end before the collector: half a collector (nodes that fall silent unseen, hooks that nobody calls) would go on as if it
/// were whole.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// The first that ends, whether by itself or by a panic.
    pub(super) async fn ended(&mut self) -> String {
        let Some(ended) = self.running.join_next_with_id().await else { return std::future::pending().await };
        let (id, how) = match ended {
            Ok((id, ())) => (id, String::new()),
            Err(error) => (error.id(), format!(" ({error})")),
        };
        format!("{}{how}", self.names.get(&id).unwrap_or(&"a task"))
    }

    /// Ends them all.
    pub(super) async fn shutdown(&mut self) {
        self.running.shutdown().await;
    }
}

/// Feeds systemd's watchdog, if there is one, from the task that serves, as long as the workers do their work too.
pub(super) async fn feed_watchdog() -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut beat = interval(limit / 2);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        drop(tokio::spawn(async {}).await);
        super::run::tell(&[NotifyState::Watchdog]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("one that stays", std::future::pending());
        tasks.spawn("one that ends", async {});
        assert_eq!(tasks.ended().await, "one that ends");
        tasks.spawn("one that panics", async { panic!("in a test") });
        let ended = tasks.ended().await;
        assert!(ended.starts_with("one that panics (") && ended.contains("panic"), "{ended}");
    }
}
