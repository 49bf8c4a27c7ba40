//! An agent as the wire has it.

use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::agent_service_client::AgentServiceClient;
use nodewhy_proto::v1::attach_request::Message as Say;
use nodewhy_proto::v1::attach_response::Message as Hear;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// An attached agent.
pub(crate) struct Agent {
    pub(crate) node: String,
    pub(crate) committed: u64,
    say: mpsc::Sender<pb::AttachRequest>,
    hear: Streaming<pb::AttachResponse>,
}

pub(crate) fn hello(node: &str) -> pb::Hello {
    pb::Hello {
        node: node.into(),
        machine_id: format!("machine of {node}"),
        boot_id: "boot".into(),
        agent_version: "0.1.0".into(),
        spool_id: format!("spool of {node}"),
        heartbeat_interval: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        ..pb::Hello::default()
    }
}

impl Agent {
    pub(crate) async fn attach(channel: Channel, hello: pb::Hello) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(256);
        let node = hello.node.clone();
        say.send(pb::AttachRequest { message: Some(Say::Hello(hello)) }).await.expect("room");
        let mut hear = AgentServiceClient::new(channel).attach(ReceiverStream::new(said)).await?.into_inner();
        match hear.message().await? {
            Some(pb::AttachResponse { message: Some(Hear::Welcome(welcome)) }) => {
                Ok(Self { node, committed: welcome.committed_sequence, say, hear })
            }
            other => panic!("no Welcome but {other:?}"),
        }
    }

    pub(crate) async fn say(&self, message: Say) {
        self.say.send(pb::AttachRequest { message: Some(message) }).await.expect("the stream is open");
    }

    pub(crate) async fn beat(&self, last_sequence: u64) {
        self.say(Say::Heartbeat(pb::Heartbeat { at: None, last_sequence })).await;
    }

    /// Sends a report and waits until it is committed.
    pub(crate) async fn report(&mut self, report: pb::Report) {
        let sequence = report.sequence;
        self.say(Say::Report(report)).await;
        self.acked(sequence).await.expect("committed");
    }

    /// Waits for the acknowledgement of a report.
    pub(crate) async fn acked(&mut self, sequence: u64) -> Result<(), Status> {
        while self.committed < sequence {
            match self.hear.message().await? {
                Some(pb::AttachResponse { message: Some(Hear::Ack(ack)) }) => self.committed = self.committed.max(ack.up_to_sequence),
                other => panic!("no Ack but {other:?}"),
            }
        }
        Ok(())
    }

    /// Why the stream ended.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            match self.hear.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a reason"),
                Err(status) => return status,
            }
        }
    }
}

pub(crate) fn at(second: i64) -> Option<prost_types::Timestamp> {
    // Of today: alerts are about now.
    Some(prost_types::Timestamp { seconds: begin() + second, nanos: 0 })
}

/// Ten minutes ago, the same for the whole test.
fn begin() -> i64 {
    static BEGIN: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *BEGIN.get_or_init(|| jiff::Timestamp::now().as_second() - 600)
}

pub(crate) fn cause(node: &str, code: &str) -> pb::PresentCause {
    pb::PresentCause {
        case_id: format!("{node}/{code}/1"),
        code: code.into(),
        title: format!("Title of {code}"),
        severity: pb::Severity::Critical.into(),
        layer: pb::Layer::Kubelet.into(),
        root: true,
        since: at(0),
        message: format!("message of {code}"),
        evidence: vec![pb::Evidence { source: "log:kubelet.service".into(), at: at(0), quote: "the kubelet's words".into(), count: 1 }],
        remedy: vec![pb::Remedy { say: "Turn it off".into(), run: "swapoff -a".into() }],
        ..pb::PresentCause::default()
    }
}

pub(crate) fn transition(kind: pb::TransitionKind, cause: &pb::PresentCause, second: i64, reason: &str) -> pb::Transition {
    pb::Transition {
        kind: kind.into(),
        case_id: cause.case_id.clone(),
        code: cause.code.clone(),
        at: at(second),
        since: cause.since,
        reason: reason.into(),
        cause: Some(cause.clone()),
    }
}

/// A report: what is present, and what changed.
pub(crate) fn report(node: &str, sequence: u64, causes: &[pb::PresentCause], transitions: Vec<pb::Transition>) -> pb::Report {
    let second = i64::try_from(sequence).expect("small");
    let verdict = if causes.is_empty() { pb::Verdict::Healthy } else { pb::Verdict::NotReady };
    let diagnosis =
        pb::Diagnosis { node: node.into(), at: at(second), verdict: verdict.into(), causes: causes.to_vec(), unknown: Vec::new() };
    pb::Report { sequence, at: at(second), boot_id: "boot".into(), diagnosis: Some(diagnosis), transitions, dropped: 0 }
}

/// The report with which a case opens.
pub(crate) fn opens(node: &str, sequence: u64, code: &str) -> pb::Report {
    let cause = cause(node, code);
    let second = i64::try_from(sequence).expect("small");
    report(node, sequence, std::slice::from_ref(&cause), vec![transition(pb::TransitionKind::Opened, &cause, second, "log sign seen")])
}

/// The report with which it closes.
pub(crate) fn closes(node: &str, sequence: u64, code: &str) -> pb::Report {
    let second = i64::try_from(sequence).expect("small");
    report(node, sequence, &[], vec![transition(pb::TransitionKind::Closed, &cause(node, code), second, "absent: swap is off")])
}
