//! What the collector knows, in one SQLite file. One thread writes, in batches, and answers after the commit; readers have connections of
//! their own (WAL: neither waits for the other).

mod cases;
mod counts;
pub(crate) mod incidents;
mod letters;
mod nodes;
mod prune;
mod readers;
mod schema;
mod silent;
mod standing;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;
use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::alerts::Engine;
use crate::policy::Loaded;
pub(crate) use cases::decode_cause;
pub use cases::{CasePage, StoredCase, StoredEvent};
pub use counts::Counts;
pub use incidents::StoredIncident;
pub use letters::{Backlog, DEAD_FOR, Letter, MAX_DEAD, MAX_LETTERS, Others, Resent, Undelivered, Which, push};
pub use nodes::{NewReport, Node, Refused, Seen, Taken};
pub use prune::{Keep, Pruned};
use readers::Readers;
pub(crate) use silent::Turn;
pub use standing::{OVER_FOR, StandingAlert};
pub(crate) use writer::Touches;
use writer::{Job, Typed, Writer};

/// Jobs that may wait; senders wait beyond.
const QUEUE: usize = 1024;
/// Nodes that changed, for those who watch; who falls behind further looks at all anew.
const CHANGES: usize = 1024;

/// The store cannot be opened, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Opening failed.
    #[error("cannot open the store {}: {reason}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A statement failed.
    #[error("the store failed: {0}")]
    Sqlite(Arc<str>),
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(schema::explain(&error).into())
    }
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub store: Store,
    /// Hears (an error: the sender is gone) when the writer has ended, which it does when the last [`Store`] is dropped.
    pub ended: oneshot::Receiver<()>,
    /// When [`Store::alert_step`] has to be called next.
    pub alerts_due: watch::Receiver<Option<Timestamp>>,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Box<dyn Job>>,
    readers: Arc<Readers>,
    changes: broadcast::Sender<Arc<str>>,
    outbox: watch::Receiver<i64>,
}

impl Store {
    /// Opens the store in `dir`, making or migrating it as needed. Hooks are told by `policy`.
    ///
    /// # Errors
    /// [`StoreError::Open`]: the directory cannot be made or written, another collector uses it, or the file is damaged.
    pub fn open(dir: &Path, policy: watch::Receiver<Loaded>) -> Result<Opened, StoreError> {
        let path = dir.join("nodewhy.db");
        let failed = |reason: String| StoreError::Open { path: path.clone(), reason };
        std::fs::create_dir_all(dir).map_err(|error| failed(format!("cannot make the data directory {}: {error}", dir.display())))?;
        let lock = lock(dir).map_err(failed)?;
        let connection = Connection::open(&path).and_then(|connection| schema::prepare(&connection).map(|()| connection));
        let connection = connection.map_err(|error| failed(schema::explain(&error)))?;
        let last = letters::newest(&connection).map_err(|error| failed(schema::explain(&error)))?;
        let readers = Arc::new(Readers::new(&path));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (changes, _) = broadcast::channel(CHANGES);
        let (grew, outbox) = watch::channel(last);
        let (ending, ended) = oneshot::channel();
        let (next, alerts_due) = watch::channel(None);
        let engine = Engine::load(&connection, policy, next, Timestamp::now()).map_err(|error| failed(schema::explain(&error)))?;
        let writer = Writer { connection, engine, stale: false, changes: changes.clone(), outbox: grew };
        let work = move || {
            writer.run(queue);
            // Only now may another collector have the directory.
            drop(lock);
            drop(ending);
        };
        let spawned = std::thread::Builder::new().name("store".to_owned()).spawn(work);
        spawned.map_err(|error| failed(format!("cannot start its thread: {error}")))?;
        Ok(Opened { store: Self { jobs, readers, changes, outbox }, ended, alerts_due })
    }

    /// Queues `work` to be done in a transaction, after all that was queued before; the receiver hears after the commit.
    /// `touches` is what alerts and those who watch are told of.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        touches: Touches,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Box::new(Typed::new(touches, work, reply))).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    /// Does `work` in a transaction and gives its result after the commit.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of `work` is kept.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        touches: Touches,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(touches, work).await?.await.map_err(|_| StoreError::Closed)?
    }

    /// Changes silences.
    pub(crate) async fn alert_work(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.write(Touches::Silences, work).await
    }

    /// Lets the alerts' engine look at what is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alert_step(&self) -> Result<(), StoreError> {
        self.write(Touches::Nothing, |_| Ok(())).await
    }

    /// What the collector finds about itself now.
    pub(crate) async fn own(&self, causes: Vec<PresentCause>) -> Result<(), StoreError> {
        self.write(Touches::Own(causes), |_| Ok(())).await
    }

    /// Lets the alerts' engine look at these nodes anew.
    pub(crate) async fn touch(&self, nodes: Vec<Arc<str>>) -> Result<(), StoreError> {
        self.write(Touches::Nodes(nodes), |_| Ok(())).await
    }

    /// Reads, off the asynchronous threads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.readers.clone();
        let read = tokio::task::spawn_blocking(move || readers.with(work));
        read.await.map_err(|error| StoreError::Sqlite(error.to_string().into()))?.map_err(StoreError::from)
    }

    /// Names of nodes, after each commit that changed something about them.
    pub fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changes.subscribe()
    }

    /// Changes after each commit that put messages into the outbox.
    pub(crate) fn outbox(&self) -> watch::Receiver<i64> {
        self.outbox.clone()
    }
}

/// Two collectors on one directory would each tell the hooks half of it.
fn lock(dir: &Path) -> Result<File, String> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another nodewhy-collector uses {}: end it, or give this one another dataDir", dir.display()))
        }
        Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", path.display())),
    }
}

/// Microseconds since 1970, as times are kept.
fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

/// SQLite's integers are signed.
fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
