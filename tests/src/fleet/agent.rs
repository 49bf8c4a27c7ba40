//! One simulated agent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::agent_service_client::AgentServiceClient;
use nodewhy_proto::v1::attach_request::Message as Say;
use nodewhy_proto::v1::attach_response::Message as Hear;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// See the module.
pub struct Agent {
    node: String,
    say: mpsc::Sender<pb::AttachRequest>,
    open: Vec<pb::PresentCause>,
    changes: Vec<pb::Transition>,
    sequence: Arc<AtomicU64>,
    committed: watch::Receiver<u64>,
    traits: HashMap<String, String>,
    labels: HashMap<String, String>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Agent {
    pub(super) async fn attach(channel: Channel, n: usize, heartbeat: Duration) -> Result<Self> {
        let node = format!("node-{n:05}");
        let (say, said) = mpsc::channel(64);
        let hello = pb::Hello {
            node: node.clone(),
            machine_id: format!("machine of {node}"),
            boot_id: "boot".into(),
            agent_version: "0.1.0".into(),
            spool_id: format!("spool of {node}"),
            heartbeat_interval: prost_types::Duration::try_from(heartbeat).ok(),
            ..pb::Hello::default()
        };
        say.send(request(Say::Hello(hello))).await.context("no stream")?;
        let mut hear = AgentServiceClient::new(channel).attach(ReceiverStream::new(said)).await?.into_inner();
        let Some(pb::AttachResponse { message: Some(Hear::Welcome(welcome)) }) = hear.message().await? else { bail!("no welcome") };
        let (told, committed) = watch::channel(welcome.committed_sequence);
        let sequence = Arc::new(AtomicU64::new(welcome.committed_sequence));
        let hearing = tokio::spawn(async move {
            while let Ok(Some(answer)) = hear.message().await {
                if let Some(Hear::Ack(ack)) = answer.message {
                    told.send_replace(ack.up_to_sequence);
                }
            }
        });
        let (beats, last) = (say.clone(), sequence.clone());
        let beating = tokio::spawn(async move {
            // Not all at the same moment.
            tokio::time::sleep(heartbeat.mul_f64((n % 97) as f64 / 97.0)).await;
            let mut beat = tokio::time::interval(heartbeat);
            loop {
                beat.tick().await;
                let beat = pb::Heartbeat { at: Some(now()), last_sequence: last.load(Ordering::Relaxed) };
                if beats.send(request(Say::Heartbeat(beat))).await.is_err() {
                    return;
                }
            }
        });
        let pairs = |pairs: &[(&str, String)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let labels = pairs(&[("rack", format!("r{:03}", n / super::RACK)), ("topology.kubernetes.io/zone", format!("zone-{}", n % 3))]);
        let traits = pairs(&[("apiServer", "10.0.0.1:6443".into()), ("kubeletConfig", "0ld0ld".into()), ("kernel", "6.1.0-40".into())]);
        let mut agent =
            Self { node, say, open: Vec::new(), changes: Vec::new(), sequence, committed, traits, labels, tasks: [hearing, beating] };
        agent.about().await?;
        Ok(agent)
    }

    async fn about(&mut self) -> Result<()> {
        let about = pb::About { labels: self.labels.clone(), traits: self.traits.clone() };
        self.say.send(request(Say::About(about))).await.context("the stream is closed")
    }

    /// A trait of the node changes.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn becomes(&mut self, name: &str, value: &str) -> Result<()> {
        self.traits.insert(name.to_owned(), value.to_owned());
        self.about().await
    }

    /// A cause is there from the next report on.
    pub fn open(&mut self, code: &str) {
        let cause = cause(&self.node, code);
        self.changes.push(transition(pb::TransitionKind::Opened, &cause, "log sign seen"));
        self.open.push(cause);
    }

    /// It is over.
    pub fn close(&mut self, code: &str) {
        let (over, open) = std::mem::take(&mut self.open).into_iter().partition(|cause| cause.code == code);
        self.open = open;
        let over: Vec<pb::PresentCause> = over;
        self.changes.extend(over.iter().map(|cause| transition(pb::TransitionKind::Closed, cause, "absent: it is mended")));
    }

    /// What is there.
    pub fn causes(&self) -> Vec<pb::PresentCause> {
        self.open.clone()
    }

    /// An agent that came after another on its node: it knows what that knew.
    pub fn knows(&mut self, causes: Vec<pb::PresentCause>) {
        self.open = causes;
    }

    /// Says what is there.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn report(&mut self) -> Result<()> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let verdict = if self.open.is_empty() { pb::Verdict::Healthy } else { pb::Verdict::NotReady };
        let diagnosis = pb::Diagnosis {
            node: self.node.clone(),
            at: Some(now()),
            verdict: verdict.into(),
            causes: self.open.clone(),
            unknown: Vec::new(),
        };
        let report = pb::Report {
            sequence,
            at: Some(now()),
            boot_id: "boot".into(),
            diagnosis: Some(diagnosis),
            transitions: std::mem::take(&mut self.changes),
            dropped: 0,
        };
        self.say.send(request(Say::Report(report))).await.context("the stream is closed")
    }

    /// Waits until all that was said is committed.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn committed(&self) -> Result<()> {
        let wanted = self.sequence.load(Ordering::Relaxed);
        self.committed.clone().wait_for(|committed| *committed >= wanted).await.context("the stream ended")?;
        Ok(())
    }
}

fn request(message: Say) -> pb::AttachRequest {
    pb::AttachRequest { message: Some(message) }
}

fn now() -> prost_types::Timestamp {
    std::time::SystemTime::now().into()
}

fn cause(node: &str, code: &str) -> pb::PresentCause {
    pb::PresentCause {
        case_id: format!("{node}/{code}/{}", Timestamp::now().as_microsecond()),
        code: code.into(),
        title: code.replace('-', " "),
        severity: pb::Severity::Critical.into(),
        layer: if code.starts_with("apiserver") { pb::Layer::ControlPlane.into() } else { pb::Layer::Kubelet.into() },
        root: true,
        since: Some(now()),
        message: format!("what a real agent says of {code} on {node}"),
        evidence: vec![pb::Evidence { source: "log:kubelet.service".into(), at: Some(now()), quote: "a line of a log".into(), count: 1 }],
        remedy: vec![pb::Remedy { say: "Mend it".into(), run: "true".into() }],
        ..pb::PresentCause::default()
    }
}

fn transition(kind: pb::TransitionKind, cause: &pb::PresentCause, reason: &str) -> pb::Transition {
    pb::Transition {
        kind: kind.into(),
        case_id: cause.case_id.clone(),
        code: cause.code.clone(),
        at: Some(now()),
        since: cause.since,
        reason: reason.into(),
        cause: Some(cause.clone()),
    }
}
