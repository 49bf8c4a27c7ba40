//! The one thread that writes. At the end of each transaction the alerts' engine says what the changes mean to hooks, in the same one.

use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;
use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{StoreError, letters};
use crate::alerts::{Engine, News};

/// Jobs committed together at most: one fsync for all of them.
const BATCH: usize = 256;

pub(super) trait Job: Send {
    /// True if its changes are to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// What it changed.
    fn touched(&self) -> &Touches;
    fn done(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What a job changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Touches {
    /// Nothing that alerts or those who watch go by.
    Nothing,
    /// Nodes.
    Nodes(Vec<Arc<str>>),
    /// Silences.
    Silences,
    /// What the collector finds about itself: this and nothing else.
    Own(Vec<PresentCause>),
    /// No hooks but these have been there for long.
    Hooks(Arc<[Arc<str>]>),
}

impl Touches {
    /// One node.
    pub(crate) fn node(name: &Arc<str>) -> Self {
        Self::Nodes(vec![name.clone()])
    }
}

pub(super) struct Typed<F, T> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    touches: Touches,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Typed<F, T> {
    pub(super) fn new(touches: Touches, work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
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

    fn touched(&self) -> &Touches {
        if matches!(self.result, Some(Ok(_))) { &self.touches } else { &Touches::Nothing }
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
    pub(super) engine: Engine,
    /// The engine believes what was not committed: it has to read the store again before it says anything.
    pub(super) stale: bool,
    pub(super) changes: broadcast::Sender<Arc<str>>,
    pub(super) outbox: watch::Sender<i64>,
}

impl Writer {
    /// Until there is nobody left who could ask.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
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
                Err(error) => {
                    tracing::error!(jobs = batch.len(), "nothing of a batch could be committed: {error}");
                    // What was committed last is what is.
                    self.reload(Timestamp::now());
                }
            }
            // First the world, then whoever asked: an answer means that the change can be seen.
            for job in batch {
                job.done(committed.clone());
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let result = self.work(batch);
        if result.is_err() && !self.connection.is_autocommit() {
            // What failed is told; a rollback that fails too changes nothing about it.
            drop(self.connection.execute_batch("ROLLBACK"));
        }
        result.map_err(StoreError::from)
    }

    fn work(&mut self, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        let connection = &self.connection;
        let mut news = News::default();
        for job in batch {
            connection.execute_batch("SAVEPOINT job")?;
            if !job.run(connection) {
                connection.execute_batch("ROLLBACK TO job")?;
            }
            connection.execute_batch("RELEASE job")?;
            match job.touched() {
                Touches::Nodes(names) => news.nodes.extend(names.iter().cloned()),
                Touches::Silences => news.silences = true,
                Touches::Own(causes) => news.own = Some(causes.clone()),
                Touches::Hooks(hooks) => news.hooks = Some(hooks.clone()),
                Touches::Nothing => {}
            }
        }
        self.alerts(&news, Timestamp::now())?;
        self.connection.execute_batch("COMMIT")
    }

    /// Says what the changes mean to hooks. Whatever becomes of it, what agents say is kept.
    fn alerts(&mut self, news: &News, now: Timestamp) -> rusqlite::Result<()> {
        self.engine.note(news);
        if self.stale && !self.reload(now) {
            return Ok(());
        }
        if *news == News::default() && !self.engine.is_due(now) {
            return Ok(());
        }
        self.connection.execute_batch("SAVEPOINT alerts")?;
        if let Err(error) = self.engine.step(&self.connection, news, now) {
            tracing::error!("what is to be told could not be written down, tried again: {error}");
            self.connection.execute_batch("ROLLBACK TO alerts")?;
            self.reload(now);
        }
        self.connection.execute_batch("RELEASE alerts")
    }

    /// Lets the engine read the store again; gives whether it could. If not it is tried again with the next transaction.
    fn reload(&mut self, now: Timestamp) -> bool {
        let read = self.engine.reload(&self.connection, now);
        self.stale = read.is_err();
        if let Err(error) = read {
            tracing::error!("what hooks were told cannot be read again, nobody is told anything until it can: {error}");
        }
        !self.stale
    }

    fn tell(&self, batch: &[Box<dyn Job>]) {
        for job in batch {
            if let Touches::Nodes(names) = job.touched() {
                // Nobody watches: nobody to tell.
                names.iter().for_each(|node| drop(self.changes.send(node.clone())));
            }
        }
        if let Ok(newest) = letters::newest(&self.connection) {
            self.outbox.send_if_modified(|known| newest > std::mem::replace(known, newest.max(*known)));
        }
    }
}
