//! Makes the engine take a step when time, or another policy, is a reason for one.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::policy::Loaded;
use crate::store::Store;

/// What is due is looked at not more often than this.
const LEAST: Duration = Duration::from_millis(5);
/// Even if nothing says so: the machine's clock may have been set.
const MOST: Duration = Duration::from_secs(30);

/// Until the task is dropped, or the store has ended.
pub(super) async fn run(store: Store, mut next: watch::Receiver<Option<Timestamp>>, mut policy: watch::Receiver<Loaded>) {
    loop {
        let wait = next.borrow_and_update().map_or(MOST, |at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(LEAST));
        tokio::select! {
            changed = next.changed() => if changed.is_err() { return },
            Ok(()) = policy.changed() => step(&store).await,
            () = sleep_until(Instant::now() + wait.clamp(LEAST, MOST)) => step(&store).await,
        }
    }
}

async fn step(store: &Store) {
    if let Err(error) = store.alert_step().await {
        tracing::error!("what is due to be told could not be looked at, tried again: {error}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
