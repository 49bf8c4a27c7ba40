//! Follows the table of mounts: a remount is looked at when it happens, not at the disk check's next period.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::host::Host;
use crate::host::mounts::MountChanges;
use crate::schedule::Order;

/// Every pod that starts or ends mounts and unmounts a dozen times. The first change is looked at once, what follows it at this rate.
const COOLDOWN: Duration = Duration::from_secs(1);

/// The check that reads how file systems are mounted.
const LOOKS_AT_MOUNTS: &str = "disk";

/// Orders a look at the disks at every change of mounts, until nobody takes orders any more.
pub async fn run(host: Arc<Host>, orders: mpsc::Sender<Order>) {
    match host.mount_changes() {
        Ok(changes) => follow(changes, &orders).await,
        // The check itself tells that the table cannot be read; it goes on at its period.
        Err(error) => tracing::debug!("mounts cannot be followed: {}", error.sentence()),
    }
}

/// Something that says when mounts changed.
trait Changes {
    /// Comes back after the next change; changes since the last call count as one.
    async fn next(&mut self) -> std::io::Result<()>;
}

impl Changes for MountChanges {
    async fn next(&mut self) -> std::io::Result<()> {
        MountChanges::next(self).await
    }
}

async fn follow(mut changes: impl Changes, orders: &mpsc::Sender<Order>) {
    loop {
        tokio::select! {
            changed = changes.next() => if let Err(error) = changed {
                tracing::warn!("mounts are followed no more: {error}");
                return;
            },
            () = orders.closed() => return,
        }
        // Never waits for a place in the queue: a full one holds orders enough.
        if let Err(mpsc::error::TrySendError::Closed(_)) = orders.try_send(Order::LookNow(vec![LOOKS_AT_MOUNTS])) {
            return;
        }
        sleep(COOLDOWN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::time::Instant;

    use super::*;

    /// Changes that come so often, as many times.
    struct Storm {
        every: Duration,
        left: u32,
    }

    impl Changes for Storm {
        async fn next(&mut self) -> io::Result<()> {
            if self.left == 0 {
                return Err(io::Error::other("over"));
            }
            self.left -= 1;
            sleep(self.every).await;
            Ok(())
        }
    }

    async fn looks(storm: Storm) -> usize {
        let (out, mut orders) = mpsc::channel(64);
        follow(storm, &out).await;
        drop(out);
        let mut count = 0;
        while let Some(Order::LookNow(names)) = orders.recv().await {
            assert_eq!(names, ["disk"]);
            count += 1;
        }
        count
    }

    #[test]
    fn the_check_it_orders_exists() {
        assert!(crate::checks::ALL.iter().any(|check| check.name == LOOKS_AT_MOUNTS));
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_rare_changes_is_looked_at() {
        assert_eq!(looks(Storm { every: Duration::from_secs(60), left: 3 }).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_mounts_is_looked_at_once_a_second() {
        let began = Instant::now();
        let count = looks(Storm { every: Duration::from_millis(1), left: 10 }).await;
        assert_eq!(count, 10, "every wait that ended is an order");
        assert!(began.elapsed() >= 10 * COOLDOWN, "but they came {:?} apart", began.elapsed() / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nobody_takes_orders() {
        let (out, orders) = mpsc::channel(1);
        drop(orders);
        follow(Storm { every: Duration::from_secs(3600), left: 1000 }, &out).await;
    }
}
