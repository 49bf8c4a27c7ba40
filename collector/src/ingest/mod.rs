//! AgentService: Hello -> Welcome, Report -> store -> Ack. An acknowledgement is sent after the commit, never before.

mod check;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_proto::v1::agent_service_server::AgentService;
use nodewhy_proto::v1::attach_request::Message as Heard;
use nodewhy_proto::v1::attach_response::Message as Say;
use nodewhy_proto::v1::{AttachRequest, AttachResponse, Hello, Welcome};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::presence::{Agent, Attachment, Presence};
use crate::server::{Peer, Refusals, ordered_to_end};
use crate::store::{Seen, Store, StoreError};
use stream::Attached;

/// Answers that wait for an agent to read them.
const ANSWERS: usize = 16;
/// How long an agent may take for its Hello, and to read an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nodes that are known at most: names cost room for ever.
const MAX_NODES: usize = 200_000;

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Where reports go.
    pub store: Store,
    /// Who is there.
    pub presence: Presence,
    /// What was not taken.
    pub refusals: Arc<Refusals>,
    /// True: streams end.
    pub shutdown: watch::Receiver<bool>,
}

type Requests = Streaming<AttachRequest>;
type Answers = mpsc::Sender<Result<AttachResponse, Status>>;

#[tonic::async_trait]
impl AgentService for Ingest {
    type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;

    async fn attach(&self, request: Request<Requests>) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned().ok_or_else(|| Status::internal("the connection has no peer"))?;
        let requests = request.into_inner();
        let (answers, said) = mpsc::channel(ANSWERS);
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(status) = this.serve(&peer, requests, &answers).await {
                // The agent may be gone.
                drop(timeout(PATIENCE, answers.send(Err(status))).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(said)))
    }
}

impl Ingest {
    async fn serve(&self, peer: &Peer, mut requests: Requests, answers: &Answers) -> Result<(), Status> {
        let (hello, heartbeat, attachment) = match self.welcome(peer, &mut requests).await {
            Ok(Some(welcomed)) => welcomed,
            Ok(None) => return Ok(()),
            Err(status) => {
                if let Some(count) = self.refusals.streams.one_more() {
                    let (from, code) = (peer.address, status.code());
                    tracing::warn!(%from, count, ?code, "a stream is refused: {}", status.message());
                }
                return Err(status);
            }
        };
        let spool_id = hello.spool_id.as_str().into();
        let node: Arc<str> = hello.node.as_str().into();
        let committed = self.store.hello(Seen { hello, heartbeat, at: Timestamp::now() }).await.map_err(|error| in_status(&error))?;
        tracing::info!(%node, from = %peer.address, committed, "attached");
        let welcome = Welcome { committed_sequence: committed, collector_version: env!("CARGO_PKG_VERSION").to_owned() };
        say(answers, Say::Welcome(welcome)).await?;
        let ended = Attached { ingest: self, node: node.clone(), spool_id, answers, committed, beats: 0 }.talk(requests, attachment).await;
        match &ended {
            Ok(()) => tracing::info!(%node, "the agent has left"),
            Err(status) => tracing::info!(%node, code = ?status.code(), "the stream ends: {}", status.message()),
        }
        ended
    }

    /// Everything up to who it is. `None` if the client left without a word.
    async fn welcome(&self, peer: &Peer, requests: &mut Requests) -> Result<Option<(Hello, Duration, Attachment)>, Status> {
        let mut shutdown = self.shutdown.clone();
        let first = tokio::select! {
            first = timeout(PATIENCE, requests.message()) => first,
            () = ordered_to_end(&mut shutdown) => return Err(ending()),
        };
        let first = first.map_err(|_| Status::deadline_exceeded(format!("no Hello within {PATIENCE:?}")))?;
        let hello = match first? {
            Some(AttachRequest { message: Some(Heard::Hello(hello)) }) => hello,
            Some(_) => return Err(Status::invalid_argument("the first message has to be Hello")),
            None => return Ok(None),
        };
        let (hello, heartbeat) = check::hello(hello)?;
        if !peer.identity.may_speak_for(&hello.node) {
            let who = peer.identity.words();
            return Err(Status::permission_denied(format!(
                "{who} may not speak for node {}: the certificate has to bear CN system:node:{0}, CN {0} or DNS name {0}",
                hello.node
            )));
        }
        if !self.presence.knows(&hello.node) && self.presence.count() >= MAX_NODES {
            return Err(Status::resource_exhausted(format!("{MAX_NODES} nodes are known already; no further one is taken")));
        }
        let agent = Agent { machine_id: hello.machine_id.clone(), boot_id: hello.boot_id.clone(), spool_id: hello.spool_id.clone() };
        let attached = self.presence.attach(&hello.node.as_str().into(), agent, heartbeat, Timestamp::now());
        let attachment = attached.map_err(|other| {
            let which = if other.machine_id == hello.machine_id {
                "another agent on the same machine (systemd unit and DaemonSet together?)".to_owned()
            } else {
                format!("the agent of another machine (machine-id {})", other.machine_id)
            };
            Status::already_exists(format!("{which} is attached as node {} and alive: one agent a node", hello.node))
        })?;
        Ok(Some((hello, heartbeat, attachment)))
    }
}

async fn say(answers: &Answers, message: Say) -> Result<(), Status> {
    match timeout(PATIENCE, answers.send(Ok(AttachResponse { message: Some(message) }))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Status::cancelled("the agent does not listen any more")),
        Err(_) => Err(Status::deadline_exceeded(format!("the agent reads no answers for {PATIENCE:?}"))),
    }
}

fn ending() -> Status {
    Status::unavailable("the collector is about to end; come back to it")
}

fn in_status(error: &StoreError) -> Status {
    Status::unavailable(format!("what you said could not be stored, keep it: {error}"))
}
