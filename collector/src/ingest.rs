//! AgentService: what agents report.

use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_proto::v1::agent_service_server::AgentService;
use nodewhy_proto::v1::attach_request::Message as Say;
use nodewhy_proto::v1::attach_response::Message as Answer;
use nodewhy_proto::v1::{Ack, AttachRequest, AttachResponse, Hello, Report, Welcome};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::alerts::Plan;
use crate::identity::Peer;
use crate::silence::Presence;
use crate::store::{NewReport, Seen, Store};

/// How long an agent has to say Hello.
const PATIENCE: Duration = Duration::from_secs(10);
/// Heartbeats that an agent may ask for.
const HEARTBEAT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Longest name of a node (RFC 1123 subdomain).
const NAME_MAX: usize = 253;

/// Takes reports in.
#[derive(Clone)]
pub struct Ingest {
    /// Where to.
    pub store: Store,
    /// Who is heard.
    pub presence: Presence,
    /// What is told of it.
    pub plan: Plan,
}

type Answers = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

/// An agent that has said Hello.
struct Agent {
    node: String,
    spool_id: String,
    heartbeat: Duration,
}

#[tonic::async_trait]
impl AgentService for Ingest {
    type AttachStream = Answers;

    async fn attach(&self, request: Request<Streaming<AttachRequest>>) -> Result<Response<Answers>, Status> {
        let peer = Peer::of_request(request.extensions())?;
        let mut stream = request.into_inner();
        let first = timeout(PATIENCE, stream.message()).await.map_err(|_| Status::deadline_exceeded("no Hello came"))??;
        let Some(AttachRequest { message: Some(Say::Hello(hello)) }) = first else {
            return Err(Status::invalid_argument("the first message of a stream has to be Hello"));
        };
        let agent = checked(&hello)?;
        peer.speaks_for(&agent.node)?;
        let at = Timestamp::now();
        let seen = Seen { hello, heartbeat: agent.heartbeat, at };
        let committed_sequence = self.store.hello(seen).await.map_err(unavailable)?;
        self.presence.heard(&agent.node, agent.heartbeat, at);
        tracing::info!(node = agent.node, committed_sequence, "an agent has attached");
        let (answer, answers) = mpsc::channel(16);
        let welcome = Welcome { committed_sequence, collector_version: env!("CARGO_PKG_VERSION").to_owned() };
        drop(answer.send(Ok(AttachResponse { message: Some(Answer::Welcome(welcome)) })).await);
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(status) = this.listen(&agent, &mut stream, &answer).await {
                tracing::warn!(node = agent.node, "an agent's stream was ended: {}", status.message());
                drop(answer.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl Ingest {
    async fn listen(
        &self,
        agent: &Agent,
        stream: &mut Streaming<AttachRequest>,
        answer: &mpsc::Sender<Result<AttachResponse, Status>>,
    ) -> Result<(), Status> {
        while let Some(request) = stream.message().await? {
            let now = Timestamp::now();
            match request.message {
                Some(Say::Report(report)) => {
                    let report = report_of(agent, report, now)?;
                    let committed = self.store.report(report, self.plan.clone()).await.map_err(unavailable)?;
                    self.presence.heard(&agent.node, agent.heartbeat, now);
                    let ack = Ack { up_to_sequence: committed.sequence };
                    if answer.send(Ok(AttachResponse { message: Some(Answer::Ack(ack)) })).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Say::Heartbeat(_)) => self.presence.heard(&agent.node, agent.heartbeat, now),
                Some(Say::Hello(_)) => return Err(Status::invalid_argument("Hello was said already")),
                None => return Err(Status::invalid_argument("a message that says nothing this version knows")),
            }
        }
        Ok(())
    }
}

fn checked(hello: &Hello) -> Result<Agent, Status> {
    let plain = |name: &str| !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if !plain(&hello.node) {
        return Err(Status::invalid_argument(format!("node: {:?} is no node's name", hello.node.chars().take(80).collect::<String>())));
    }
    if !plain(&hello.spool_id) {
        return Err(Status::invalid_argument("spool_id: missing, or no plain text"));
    }
    for (field, text) in [
        ("machine_id", &hello.machine_id),
        ("boot_id", &hello.boot_id),
        ("agent_version", &hello.agent_version),
        ("kubelet_version", &hello.kubelet_version),
        ("kernel", &hello.kernel),
        ("os", &hello.os),
    ] {
        if text.len() > 1024 {
            return Err(Status::invalid_argument(format!("{field}: longer than 1024 bytes")));
        }
    }
    let heartbeat = hello.heartbeat_interval.and_then(|interval| Duration::try_from(interval).ok());
    let heartbeat = heartbeat.filter(|interval| (HEARTBEAT.0..=HEARTBEAT.1).contains(interval));
    let heartbeat = heartbeat
        .ok_or_else(|| Status::invalid_argument(format!("heartbeat_interval: has to be {:?} to {:?}", HEARTBEAT.0, HEARTBEAT.1)))?;
    Ok(Agent { node: hello.node.clone(), spool_id: hello.spool_id.clone(), heartbeat })
}

fn report_of(agent: &Agent, report: Report, now: Timestamp) -> Result<NewReport, Status> {
    let wrong =
        |what: &str, error: nodewhy_wire::WireError| Status::invalid_argument(format!("report {}: {what}: {error}", report.sequence));
    if report.sequence == 0 {
        return Err(Status::invalid_argument("report: sequence begins with 1"));
    }
    let diagnosis =
        report.diagnosis.ok_or_else(|| Status::invalid_argument(format!("report {}: diagnosis is missing", report.sequence)))?;
    let diagnosis = nodewhy_wire::diagnosis_from_wire(diagnosis).map_err(|error| wrong("diagnosis", error))?;
    if report.transitions.len() > nodewhy_wire::LIST_MAX {
        return Err(Status::invalid_argument(format!("report {}: {} transitions are too many", report.sequence, report.transitions.len())));
    }
    let transitions = report.transitions.into_iter().map(nodewhy_wire::transition_from_wire).collect::<Result<Vec<_>, _>>();
    let transitions = transitions.map_err(|error| wrong("transitions", error))?;
    // A node speaks for itself: its cases bear its name, so that it cannot touch those of another.
    let own = |case_id: &str| case_id.strip_prefix(&*agent.node).is_some_and(|rest| rest.starts_with('/'));
    let ids = diagnosis.causes.iter().map(|cause| &cause.case_id).chain(transitions.iter().flat_map(|it| [&it.case_id, &it.cause.case_id]));
    if let Some(other) = ids.into_iter().find(|id| !own(id)) {
        return Err(Status::permission_denied(format!("report {}: case {other} is not of node {}", report.sequence, agent.node)));
    }
    if diagnosis.node != agent.node {
        return Err(Status::permission_denied(format!(
            "report {}: it is of node {}, not of {}",
            report.sequence, diagnosis.node, agent.node
        )));
    }
    Ok(NewReport {
        node: agent.node.clone(),
        spool_id: agent.spool_id.clone(),
        sequence: report.sequence,
        dropped: report.dropped,
        boot_id: report.boot_id.chars().take(64).collect(),
        diagnosis,
        transitions,
        at: now,
    })
}

/// The store failed: the agent keeps what it has and comes again.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn unavailable(error: crate::store::StoreError) -> Status {
    tracing::error!("{error}");
    Status::unavailable(error.to_string())
}
