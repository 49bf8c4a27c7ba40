//! What the collector knows, in one SQLite file. One thread writes, in batches, and answers after the commit; reading has a connection of
//! its own.

mod cases;
mod nodes;
mod outbox;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use cases::{CasePage, StoredCase, StoredEvent};
pub use nodes::{Committed, NewReport, Node, Seen};
pub use outbox::{Due, OpenAlert};

/// Jobs committed together at most.
const BATCH: usize = 256;
/// Jobs that may wait; senders wait beyond.
const QUEUE: usize = 1024;

/// The store cannot be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
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
        Self::Sqlite(error.to_string().into())
    }
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    writer: mpsc::Sender<Box<dyn Job>>,
    reader: Arc<Mutex<Connection>>,
    revision: watch::Receiver<u64>,
    alerts: Arc<Notify>,
}

trait Job: Send {
    fn run(&mut self, connection: &Connection) -> bool;
    fn done(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Typed<F, T> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Typed<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let result = self.work.take().map(|work| work(connection));
        let kept = matches!(result, Some(Ok(_)));
        self.result = result;
        kept
    }

    fn done(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (committed, self.result) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(result)) => result.map_err(StoreError::from),
            (Ok(()), None) => Err(StoreError::Closed),
        };
        // Whoever asked may have gone away meanwhile; the work is done all the same.
        drop(self.reply.send(result));
    }
}

impl Store {
    /// Opens the store in `dir`, making or migrating it as needed.
    ///
    /// # Errors
    /// [`StoreError::Open`]: the directory cannot be made or written, another collector uses it, or the file is damaged.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("nodewhy.db");
        let failed = |reason: String| StoreError::Open { path: path.clone(), reason };
        std::fs::create_dir_all(dir).map_err(|error| failed(format!("cannot make {}: {error}", dir.display())))?;
        let connection = Connection::open(&path).and_then(|connection| schema::prepare(&connection).map(|()| connection));
        let connection = connection.map_err(|error| failed(schema::explain(&error)))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&path, flags).map_err(|error| failed(error.to_string()))?;
        reader.busy_timeout(std::time::Duration::from_secs(5)).map_err(|error| failed(error.to_string()))?;
        let (writer, jobs) = mpsc::channel(QUEUE);
        let (revise, revision) = watch::channel(0);
        let alerts = Arc::new(Notify::new());
        let told = alerts.clone();
        let spawned = thread::Builder::new().name("store".to_owned()).spawn(move || write_all(&connection, jobs, &revise, &told));
        spawned.map_err(|error| failed(format!("cannot start its thread: {error}")))?;
        Ok(Self { writer, reader: Arc::new(Mutex::new(reader)), revision, alerts })
    }

    /// Does `work` in a transaction and gives its result after the commit.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of `work` is kept.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Typed { work: Some(work), result: None, reply });
        self.writer.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads, off the asynchronous threads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || work(&reader.lock().unwrap_or_else(PoisonError::into_inner)));
        read.await.map_err(|error| StoreError::Sqlite(error.to_string().into()))?.map_err(StoreError::from)
    }

    /// Changes with every commit.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }

    /// Told after every commit: there may be alerts to deliver.
    pub(crate) fn alerts(&self) -> Arc<Notify> {
        self.alerts.clone()
    }
}

fn write_all(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>, revision: &watch::Sender<u64>, alerts: &Notify) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let committed = commit(connection, &mut batch);
        if let Err(error) = &committed {
            tracing::error!(jobs = batch.len(), "nothing of a batch could be committed: {error}");
        }
        // First the world, then whoever asked: an answer means that the change can be seen.
        revision.send_modify(|revision| *revision += 1);
        alerts.notify_waiters();
        for job in batch {
            job.done(committed.clone());
        }
    }
}

fn commit(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = (|| {
        for job in batch {
            connection.execute_batch("SAVEPOINT job")?;
            if !job.run(connection) {
                connection.execute_batch("ROLLBACK TO job")?;
            }
            connection.execute_batch("RELEASE job")?;
        }
        connection.execute_batch("COMMIT")
    })();
    if result.is_err() && !connection.is_autocommit() {
        // What failed is told below; a rollback that fails too changes nothing about it.
        drop(connection.execute_batch("ROLLBACK"));
    }
    result.map_err(StoreError::from)
}

/// Microseconds since 1970, as times are kept.
fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests;
