//! An agent's stream, after Hello.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use jiff::Timestamp;
use nodewhy_proto::v1::attach_request::Message as Heard;
use nodewhy_proto::v1::attach_response::Message as Say;
use nodewhy_proto::v1::{Ack, AttachRequest, Heartbeat, Report};
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::{Answers, Ingest, Requests, check, ending, in_status, say};
use crate::presence::Attachment;
use crate::server::ordered_to_end;
use crate::store::{StoreError, Taken};

/// Reports of one agent that wait for their commit at once.
const WINDOW: usize = 64;
/// By then an agent that still says that it has more than we know of is taken at its word that it lives.
const BEATS: u32 = 3;

type Commits = FuturesOrdered<oneshot::Receiver<Result<Taken, StoreError>>>;

pub(super) struct Attached<'a> {
    pub(super) ingest: &'a Ingest,
    pub(super) node: Arc<str>,
    pub(super) spool_id: Arc<str>,
    pub(super) answers: &'a Answers,
    /// Highest sequence known to be committed.
    pub(super) committed: u64,
    /// Heartbeats since Hello.
    pub(super) beats: u32,
}

impl Attached<'_> {
    pub(super) async fn talk(mut self, mut requests: Requests, mut attachment: Attachment) -> Result<(), Status> {
        let mut commits = Commits::new();
        let mut shutdown = self.ingest.shutdown.clone();
        loop {
            tokio::select! {
                Some(taken) = commits.next(), if !commits.is_empty() => {
                    let taken = taken.unwrap_or(Err(StoreError::Closed));
                    self.acknowledge(taken).await?;
                }
                heard = requests.message(), if commits.len() < WINDOW => match heard {
                    Ok(Some(AttachRequest { message: Some(message) })) => self.hear(message, &mut commits).await?,
                    // Of a newer agent: it has to be able to do without.
                    Ok(Some(AttachRequest { message: None })) => {}
                    Ok(None) => return self.settle(commits).await,
                    Err(status) => {
                        self.settle(commits).await?;
                        return self.broken(status);
                    }
                },
                _ = &mut attachment.replaced => return Err(Status::aborted("a newer stream of the same agent has taken its place")),
                () = ordered_to_end(&mut shutdown) => return Err(ending()),
            }
        }
    }

    /// What is on its way is committed, and told if somebody still listens.
    async fn settle(&mut self, mut commits: Commits) -> Result<(), Status> {
        while let Some(taken) = commits.next().await {
            self.acknowledge(taken.unwrap_or(Err(StoreError::Closed))).await?;
        }
        Ok(())
    }

    /// A connection that breaks is an agent that has gone; bytes that are no message are an offence.
    fn broken(&self, status: Status) -> Result<(), Status> {
        if !matches!(status.code(), Code::Internal | Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted) {
            return Ok(());
        }
        if let Some(count) = self.ingest.refusals.streams.one_more() {
            tracing::warn!(node = %self.node, count, "a message of an agent cannot be read: {}", status.message());
        }
        Err(status)
    }

    async fn hear(&mut self, message: Heard, commits: &mut Commits) -> Result<(), Status> {
        match message {
            Heard::Report(report) => self.report(report, commits).await,
            Heard::Heartbeat(heartbeat) => {
                self.beat(heartbeat);
                Ok(())
            }
            Heard::About(about) => {
                self.ingest.presence.heard(&self.node, false, Timestamp::now());
                let about = check::about(about);
                self.ingest.store.about(self.node.clone(), about, Timestamp::now()).await.map_err(|error| in_status(&error))
            }
            Heard::Hello(_) => Err(Status::invalid_argument("a second Hello in one stream")),
        }
    }

    fn beat(&mut self, heartbeat: Heartbeat) {
        self.beats = self.beats.saturating_add(1);
        let caught_up = heartbeat.last_sequence <= self.committed || self.beats > BEATS;
        self.ingest.presence.heard(&self.node, caught_up, Timestamp::now());
    }

    async fn report(&mut self, report: Report, commits: &mut Commits) -> Result<(), Status> {
        let now = Timestamp::now();
        self.ingest.presence.heard(&self.node, false, now);
        let report = check::report(report, &self.node, &self.spool_id, now);
        if report.sequence == 0 {
            return Err(Status::invalid_argument("a report without a sequence"));
        }
        if report.dropped > 0 && report.sequence > self.committed + 1 {
            tracing::warn!(node = %self.node, dropped = report.dropped, "the agent had to drop reports before this one");
        }
        if let Err(refused) = &report.content
            && let Some(count) = self.ingest.refusals.reports.one_more()
        {
            tracing::warn!(node = %self.node, sequence = report.sequence, count, "the content of a report cannot be read: {}", refused.0);
        }
        let commit = self.ingest.store.report(report).await.map_err(|error| in_status(&error))?;
        commits.push_back(commit);
        Ok(())
    }

    async fn acknowledge(&mut self, taken: Result<Taken, StoreError>) -> Result<(), Status> {
        match taken {
            Ok(Taken::UpTo(sequence)) => {
                self.committed = self.committed.max(sequence);
                say(self.answers, Say::Ack(Ack { up_to_sequence: sequence })).await
            }
            Ok(Taken::Gap(committed)) => {
                Err(Status::aborted(format!("reports are missing after {committed}: begin a new stream and send from there")))
            }
            Err(error) => {
                tracing::error!(node = %self.node, "a report could not be stored; the agent keeps it: {error}");
                Err(in_status(&error))
            }
        }
    }
}
