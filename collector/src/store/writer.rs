//! The one thread that writes.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{StoreError, outbox};

/// Jobs committed together at most: one fsync for all of them.
const BATCH: usize = 256;

pub(super) trait Job: Send {
    /// True if its changes are to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// The node that it changed.
    fn touched(&self) -> Option<&Arc<str>>;
    fn done(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct Typed<F, T> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    touches: Option<Arc<str>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Typed<F, T> {
    pub(super) fn new(touches: Option<Arc<str>>, work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { work: Some(work), result: None, touches, reply }
    }
}

impl<F, T> Job for Typed<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.result = self.work.take().map(|work| work(connection));
        matches!(self.result, Some(Ok(_)))
    }

    fn touched(&self) -> Option<&Arc<str>> {
        self.touches.as_ref().filter(|_| matches!(self.result, Some(Ok(_))))
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

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) changes: broadcast::Sender<Arc<str>>,
    pub(super) outbox: watch::Sender<i64>,
}

impl Writer {
    /// Until there is nobody left who could ask.
    pub(super) fn run(self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            let committed = self.commit(&mut batch);
            match &committed {
                Ok(()) => self.tell(&batch),
                Err(error) => tracing::error!(jobs = batch.len(), "nothing of a batch could be committed: {error}"),
            }
            // First the world, then whoever asked: an answer means that the change can be seen.
            for job in batch {
                job.done(committed.clone());
            }
        }
    }

    fn commit(&self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let connection = &self.connection;
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
            // What failed is told; a rollback that fails too changes nothing about it.
            drop(connection.execute_batch("ROLLBACK"));
        }
        result.map_err(StoreError::from)
    }

    fn tell(&self, batch: &[Box<dyn Job>]) {
        for node in batch.iter().filter_map(|job| job.touched()) {
            // Nobody watches: nobody to tell.
            drop(self.changes.send(node.clone()));
        }
        if let Ok(newest) = outbox::newest(&self.connection) {
            self.outbox.send_if_modified(|known| newest > std::mem::replace(known, newest.max(*known)));
        }
    }
}
