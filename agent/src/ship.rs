//! Sends what the spool holds to the collector over one stream, and forgets it when the collector says that it is committed.
//!
//! The collector away, its name not resolving, its certificate wrong: tried again with a jittered back-off for ever, told once when it
//! begins and once when it ends. Nothing here waits in the way of the diagnosis.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nodewhy_proto::v1::agent_service_client::AgentServiceClient;
use nodewhy_proto::v1::attach_request::Message as Say;
use nodewhy_proto::v1::attach_response::Message as Hear;
use nodewhy_proto::v1::{About, AttachRequest, AttachResponse, Heartbeat, Hello, Report};
use nodewhy_wire::REPORT_BYTES;
use prost::Message as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status, Streaming};

use crate::config::Collector;
use crate::own_file;
use crate::spool::Spool;

/// First and longest pause between two attempts.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How long connecting, and the collector's Welcome, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A stream that lived this long begins with a short pause again.
const STABLE: Duration = Duration::from_secs(10);
/// Reports on their way that the collector has not acknowledged.
const WINDOW: usize = 64;
/// What a report takes on its way beside itself.
const ENVELOPE: usize = 64;

/// What the agent knows of its link to the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Not connected yet.
    Connecting,
    /// The collector has said Welcome.
    Attached,
    /// The last attempt failed, in words.
    Away(String),
}

/// What shipping needs.
pub struct Shipper {
    /// Where to.
    pub collector: Collector,
    /// Who this is; read anew for every stream. `spool_id` and `heartbeat_interval` are filled in here.
    pub hello: watch::Receiver<Hello>,
    /// What the node is; sent with every stream, and when it changes.
    pub about: watch::Receiver<About>,
    /// What is sent. Locked for moments only.
    pub spool: Arc<Mutex<Spool>>,
    /// Told after every append of a report.
    pub more: Arc<Notify>,
    /// How often to say that the agent lives.
    pub heartbeat: Duration,
    /// Where the state of the link is told.
    pub link: watch::Sender<Link>,
}

#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error("cannot read {what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("reading the certificate files did not come back within {PATIENCE:?}: does their disk hang?")]
    HungFiles,
    #[error("reading the certificate files broke off")]
    BrokenOff(#[source] JoinError),
    #[error("the address {0} is no URL")]
    Address(String),
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error("{address} did not answer within {PATIENCE:?}")]
    Silent { address: String },
    #[error("{address} refused: {} ({:?})", status.message(), status.code())]
    Refused { address: String, status: Box<Status> },
    #[error("{address} ended the stream")]
    Ended { address: String },
}

impl Shipper {
    /// Ships until the task is dropped.
    pub async fn run(self) {
        let mut pause = BACK_OFF.0;
        let mut files = Files::default();
        loop {
            let began = Instant::now();
            let Err(error) = self.stream(&mut files).await;
            self.tell(Link::Away(error.to_string()));
            if began.elapsed() > STABLE {
                pause = BACK_OFF.0;
            }
            // A collector that says no will not say yes in a moment.
            if matches!(&error, ShipError::Refused { status, .. } if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated | Code::InvalidArgument))
            {
                pause = pause.max(Duration::from_secs(5));
            }
            sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    fn tell(&self, link: Link) {
        self.link.send_if_modified(|old| {
            let changed = std::mem::discriminant(old) != std::mem::discriminant(&link);
            match &link {
                Link::Away(reason) if changed => {
                    let pending = self.spool().stats().pending;
                    tracing::warn!(pending, "the collector is away: {reason}; reports are kept and sent when it is back");
                }
                Link::Attached if changed => tracing::info!(collector = self.collector.address, "attached to the collector"),
                _ => {}
            }
            let modified = *old != link;
            *old = link;
            modified
        });
    }

    fn spool(&self) -> MutexGuard<'_, Spool> {
        // Every method of the spool leaves it whole, so a panic elsewhere is no reason to stop.
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> String {
        self.collector.address.clone()
    }

    async fn stream(&self, files: &mut Files) -> Result<std::convert::Infallible, ShipError> {
        let channel = connect(&self.collector, files).await?;
        let (say, said) = mpsc::channel(16);
        let mut hello = self.hello.borrow().clone();
        hello.spool_id = self.spool().id();
        let node = hello.node.clone();
        hello.heartbeat_interval = prost_types::Duration::try_from(self.heartbeat).ok();
        let mut hellos = self.hello.clone();
        hellos.mark_unchanged();
        drop(say.send(request(Say::Hello(hello))).await);
        let mut client = AgentServiceClient::new(channel);
        let attach = client.attach(ReceiverStream::new(said));
        let answered = timeout(PATIENCE, async {
            let mut stream = attach.await?.into_inner();
            let first = stream.message().await?;
            Ok::<_, Status>((stream, first))
        });
        let (mut stream, first) = match answered.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(status)) => return Err(ShipError::Refused { address: self.address(), status: Box::new(status) }),
            Err(_) => return Err(ShipError::Silent { address: self.address() }),
        };
        let Some(AttachResponse { message: Some(Hear::Welcome(welcome)) }) = first else {
            return Err(ShipError::Ended { address: self.address() });
        };
        self.spool().welcomed(welcome.committed_sequence);
        self.tell(Link::Attached);
        self.talk(&say, &mut stream, &node, welcome.committed_sequence, &mut hellos).await
    }

    async fn talk(
        &self,
        say: &mpsc::Sender<AttachRequest>,
        stream: &mut Streaming<AttachResponse>,
        node: &str,
        committed: u64,
        hellos: &mut watch::Receiver<Hello>,
    ) -> Result<std::convert::Infallible, ShipError> {
        // What was looked at, what of it was sent, what of that was acknowledged.
        let (mut seen, mut sent, mut acked) = (committed, committed, committed);
        let mut about = self.about.clone();
        about.mark_changed();
        let mut beat = interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = WINDOW.saturating_sub(usize::try_from(sent - acked.min(sent)).unwrap_or(WINDOW));
            let next = self.spool().after(seen, room);
            for (sequence, bytes) in next {
                match self.report(sequence, sent, &bytes) {
                    Some(report) if is_of(&report, node) => {
                        drop(say.send(request(Say::Report(report))).await);
                        sent = sequence;
                    }
                    // No stream speaks for two nodes: the next one begins with the new name.
                    Some(report) if is_of(&report, &hellos.borrow().node) => return Err(ShipError::Ended { address: self.address() }),
                    Some(_) => tracing::warn!(sequence, node, "a report under an earlier name of this node is left out"),
                    None => {}
                }
                seen = sequence;
                if sent <= acked {
                    // Left out, and nothing on its way before it: it takes no room in the window.
                    acked = acked.max(seen);
                }
            }
            tokio::select! {
                heard = stream.message() => match heard {
                    Ok(Some(AttachResponse { message: Some(Hear::Ack(ack)) })) => {
                        acked = acked.max(ack.up_to_sequence);
                        self.spool().acked(ack.up_to_sequence);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(ShipError::Ended { address: self.address() }),
                    Err(status) => return Err(ShipError::Refused { address: self.address(), status: Box::new(status) }),
                },
                () = self.more.notified() => {}
                _ = beat.tick() => {
                    let last_sequence = self.spool().last();
                    let beat = Heartbeat { at: Some(std::time::SystemTime::now().into()), last_sequence };
                    drop(say.send(request(Say::Heartbeat(beat))).await);
                }
                Ok(()) = about.changed() => {
                    let now = about.borrow_and_update().clone();
                    drop(say.send(request(Say::About(now))).await);
                }
                // Who this is has changed (a kubelet of another version, another name): a new stream says so.
                Ok(()) = hellos.changed() => return Err(ShipError::Ended { address: self.address() }),
            }
        }
    }

    /// A report as the collector gets it. One that cannot be read (it was checked when it was written and when it was read back), or that no
    /// collector takes (an agent that did not bound them wrote it), is left out and shows as dropped with the next.
    fn report(&self, sequence: u64, before: u64, bytes: &[u8]) -> Option<Report> {
        if bytes.len() > REPORT_BYTES - ENVELOPE {
            tracing::error!(sequence, bytes = bytes.len(), "a report in the spool is larger than any collector takes and is left out");
            return None;
        }
        match Report::decode(bytes) {
            Ok(report) => Some(Report { sequence, dropped: sequence - before - 1, ..report }),
            Err(error) => {
                tracing::error!(sequence, "a report in the spool cannot be decoded and is left out: {error}");
                None
            }
        }
    }
}

/// Whether a report is about this node.
fn is_of(report: &Report, node: &str) -> bool {
    report.diagnosis.as_ref().is_none_or(|diagnosis| diagnosis.node == node)
}

fn request(message: Say) -> AttachRequest {
    AttachRequest { message: Some(message) }
}

async fn connect(collector: &Collector, files: &mut Files) -> Result<Channel, ShipError> {
    let address = &collector.address;
    let mut endpoint = Endpoint::from_shared(address.clone())
        .map_err(|_| ShipError::Address(address.clone()))?
        .connect_timeout(PATIENCE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(PATIENCE)
        .keep_alive_while_idle(true);
    let failed = |error: &dyn std::error::Error| ShipError::Connect { address: address.clone(), reason: chain(error) };
    if address.starts_with("https:") {
        endpoint = endpoint.tls_config(files.read(collector).await?).map_err(|error| failed(&error))?;
    }
    match timeout(PATIENCE, endpoint.connect()).await {
        Ok(connected) => connected.map_err(|error| failed(&error)),
        Err(_) => Err(ShipError::Silent { address: address.clone() }),
    }
}

/// Reads the certificate files, on a thread that may hang with their disk; never on a second one meanwhile.
struct Files {
    reading: Option<JoinHandle<Result<ClientTlsConfig, ShipError>>>,
    patience: Duration,
}

impl Default for Files {
    fn default() -> Self {
        Self { reading: None, patience: PATIENCE }
    }
}

impl Files {
    async fn read(&mut self, collector: &Collector) -> Result<ClientTlsConfig, ShipError> {
        let late = self.reading.is_some();
        let collector = collector.clone();
        let reading = self.reading.get_or_insert_with(|| spawn_blocking(move || tls(&collector)));
        let read = timeout(self.patience, &mut *reading).await.map_err(|_| ShipError::HungFiles)?;
        self.reading = None;
        match read {
            // As they were when it hung; they are read again for the next attempt.
            Ok(Ok(_)) if late => Err(ShipError::HungFiles),
            Ok(read) => read,
            Err(error) => Err(ShipError::BrokenOff(error)),
        }
    }
}

/// Read at every connection: the kubelet's client certificate is renewed in place.
fn tls(collector: &Collector) -> Result<ClientTlsConfig, ShipError> {
    let read = |what, path: &Path| own_file::read(path).map_err(|source| ShipError::File { what, path: path.to_owned(), source });
    let mut tls = ClientTlsConfig::new();
    if let Some(ca) = &collector.ca_file {
        tls = tls.ca_certificate(Certificate::from_pem(read("the collector's CA (caFile)", ca)?));
    }
    if let (Some(cert), Some(key)) = (&collector.cert_file, &collector.key_file) {
        tls = tls.identity(Identity::from_pem(read("the client certificate (certFile)", cert)?, read("the client key (keyFile)", key)?));
    }
    if let Some(name) = &collector.server_name {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
