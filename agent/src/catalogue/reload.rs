//! Takes changed cause files into force without a restart.

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::{Loaded, Shelf};

/// Names, times and sizes of a few files, by stat(2) alone. A change counts once it has stood for as long: editors remove and write anew.
const POLL: Duration = Duration::from_secs(2);

/// As much as a main thread has; what is not used is not memory.
const STACK: usize = 8 << 20;

/// Loads again when the files changed, and at every SIGHUP; tells each catalogue. Ends when nobody listens any more.
pub async fn follow(mut shelf: Shelf, mut hangup: Signal, out: mpsc::Sender<Loaded>) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = shelf.read_at.clone();
    loop {
        let ordered = tokio::select! {
            Some(()) = hangup.recv() => true,
            _ = ticks.tick() => false,
            () = out.closed() => return,
        };
        let last = before.clone();
        let looked = aside(move || {
            let now = shelf.stamp();
            let loaded = (ordered || (now != shelf.read_at && now == last)).then(|| shelf.load());
            if loaded.is_some() {
                shelf.keep();
            }
            (shelf, now, loaded)
        });
        let Some((back, now, loaded)) = looked.await else { return };
        (shelf, before) = (back, now);
        if let Some(loaded) = loaded
            && out.send(loaded).await.is_err()
        {
            return;
        }
    }
}

/// On a thread of its own: the disk may hang, and the parser of expressions wants more stack than the runtime's threads have.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("catalogue".to_owned()).stack_size(STACK);
    if let Err(error) = thread.spawn(move || drop(done.send(work()))) {
        tracing::error!("own causes are not looked at any more: the system has no thread to give: {error}");
    }
    result.await.ok()
}
