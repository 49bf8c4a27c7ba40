//! Takes changed cause files into force without a restart.

use std::sync::{Arc, Mutex, PoisonError};
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
pub async fn follow(shelf: Shelf, mut hangup: Signal, out: mpsc::Sender<Loaded>) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = shelf.read_at.clone();
    let shelf = Arc::new(Mutex::new(shelf));
    loop {
        let ordered = tokio::select! {
            Some(()) = hangup.recv() => true,
            _ = ticks.tick() => false,
            () = out.closed() => return,
        };
        let looking = Arc::clone(&shelf);
        let looked = tokio::task::spawn_blocking(move || {
            let shelf = looking.lock().unwrap_or_else(PoisonError::into_inner);
            let now = shelf.stamp();
            (now != shelf.read_at, now)
        });
        let Ok((changed, now)) = looked.await else { continue };
        let settled = now == before;
        before = now;
        let due = ordered || (changed && settled);
        if !due {
            continue;
        }
        let loading = Arc::clone(&shelf);
        let loaded = aside(move || {
            let mut shelf = loading.lock().unwrap_or_else(PoisonError::into_inner);
            let loaded = shelf.load();
            shelf.keep();
            loaded
        });
        // Without a thread to do it on it is tried again at the next look.
        if let Some(loaded) = loaded.await
            && out.send(loaded).await.is_err()
        {
            return;
        }
    }
}

/// On a thread of its own: the parser of expressions wants more stack than the runtime's threads have. `None` if the system has no thread to give.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("catalogue".to_owned()).stack_size(STACK);
    if let Err(error) = thread.spawn(move || drop(done.send(work()))) {
        tracing::warn!("changed causes are not read yet: the system has no thread to give: {error}");
    }
    result.await.ok()
}
