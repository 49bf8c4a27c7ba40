//! A stand-in for the collector: speaks the real protocol, commits a report once by (spool, sequence) as the real one does, and breaks
//! streams before the acknowledgement when told to.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "support for several tests, of which each uses a part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nodewhy_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use nodewhy_proto::v1::attach_request::Message as Said;
use nodewhy_proto::v1::attach_response::Message as Answer;
use nodewhy_proto::v1::{Ack, AttachRequest, AttachResponse, Hello, Report, Transition, TransitionKind, Welcome};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Everything committed, in the order in which it was.
#[derive(Default)]
pub struct Store {
    pub hellos: Vec<Hello>,
    pub reports: Vec<Report>,
    pub beats: u64,
    /// Reports that came again after they were committed.
    pub again: u64,
    committed: BTreeMap<String, u64>,
    received: u64,
}

#[derive(Clone)]
pub struct Collector {
    pub store: Arc<Mutex<Store>>,
    changed: Arc<Notify>,
    /// Every so many reports the stream breaks between commit and acknowledgement; 0: never.
    break_every: u64,
}

impl Collector {
    pub async fn serve(listener: TcpListener, break_every: u64) -> Self {
        let collector = Self { store: Arc::default(), changed: Arc::default(), break_every };
        let service = AgentServiceServer::new(collector.clone());
        tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        collector
    }

    pub fn transitions(&self) -> Vec<Transition> {
        let store = self.store.lock().unwrap();
        store.reports.iter().flat_map(|report| report.transitions.iter().cloned()).collect()
    }

    /// Waits until the store is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Store) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let changed = self.changed.notified();
            if wanted(&self.store.lock().unwrap()) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(tokio::time::timeout(left, changed).await.is_ok(), "waited in vain until {what}: {:?}", words(&self.transitions()));
        }
    }

    /// Takes in one message; the answer, or `None` if the stream is to break.
    fn take(&self, message: Said, spool: &mut String) -> Option<Option<Answer>> {
        let mut store = self.store.lock().unwrap();
        let answer = match message {
            Said::Hello(hello) => {
                spool.clone_from(&hello.spool_id);
                store.hellos.push(hello);
                let committed_sequence = store.committed.get(spool).copied().unwrap_or(0);
                Some(Answer::Welcome(Welcome { committed_sequence, collector_version: "stand-in".into() }))
            }
            Said::Report(report) => {
                let committed = store.committed.get(spool).copied().unwrap_or(0);
                let sequence = report.sequence;
                if sequence > committed {
                    assert!(sequence == committed + 1 || report.dropped > 0, "{sequence} after {committed} without a word of a drop");
                    store.committed.insert(spool.clone(), sequence);
                    store.reports.push(report);
                } else {
                    store.again += 1;
                }
                store.received += 1;
                if self.break_every > 0 && store.received.is_multiple_of(self.break_every) {
                    return None;
                }
                Some(Answer::Ack(Ack { up_to_sequence: committed.max(sequence) }))
            }
            Said::Heartbeat(_) => {
                store.beats += 1;
                None
            }
            Said::About(_) => None,
        };
        Some(answer)
    }
}

#[tonic::async_trait]
impl AgentService for Collector {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(&self, request: Request<Streaming<AttachRequest>>) -> Result<Response<Self::AttachStream>, Status> {
        let (answer, answers) = mpsc::channel(16);
        let (this, mut requests) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let mut spool = String::new();
            while let Ok(Some(AttachRequest { message: Some(message) })) = requests.message().await {
                let reply = this.take(message, &mut spool);
                this.changed.notify_waiters();
                match reply {
                    None => return,
                    Some(Some(reply)) => drop(answer.send(Ok(AttachResponse { message: Some(reply) })).await),
                    Some(None) => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// `opened code`, `closed code` in order; confirmations left out.
pub fn words(transitions: &[Transition]) -> Vec<String> {
    let word = |transition: &Transition| match transition.kind() {
        TransitionKind::Opened => Some("opened"),
        TransitionKind::Closed => Some("closed"),
        TransitionKind::Confirmed | TransitionKind::Unspecified => None,
    };
    transitions.iter().filter_map(|transition| Some(format!("{} {}", word(transition)?, transition.code))).collect()
}
