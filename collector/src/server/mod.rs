//! The port: plain on loopback only, TLS with client certificates elsewhere; the services behind it.

mod connection;
mod identity;
mod listen;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nodewhy_proto::v1::FILE_DESCRIPTOR_SET;
use nodewhy_proto::v1::agent_service_server::AgentServiceServer;
use nodewhy_proto::v1::alert_service_server::AlertServiceServer;
use nodewhy_proto::v1::query_service_server::QueryServiceServer;
use nodewhy_wire::REPORT_BYTES;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use crate::ingest::Ingest;
use crate::query::Alerts;

pub use connection::Peer;
pub use identity::{Identity, Scope};
pub use listen::{ListenError, Listener};
pub use tls::{TlsError, TlsFiles, own_client};

/// Largest question.
const QUESTION_BYTES: usize = 64 << 10;
/// Streams of one connection.
const STREAMS: u32 = 32;
/// Not yet read bytes of a stream and of a connection.
const WINDOWS: (u32, u32) = (64 << 10, 256 << 10);
/// A peer that is gone without a word is noticed after about both together.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// How long streams may take to end after the order to end.
const LEAVE: Duration = Duration::from_secs(1);

/// What was not taken, and how often. Told in the log, the first at once and then at most one in ten seconds each.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Bytes on the port that are no HTTP/2, or TLS that is none or without a good client certificate.
    pub connections: Refused,
    /// Streams of agents that may not speak, or say what cannot be understood.
    pub streams: Refused,
    /// Reports whose content cannot be read.
    pub reports: Refused,
}

/// A counter that speaks now and then.
#[derive(Debug, Default)]
pub struct Refused {
    count: AtomicU64,
    told: std::sync::Mutex<Option<std::time::Instant>>,
}

impl Refused {
    /// One more; true if it is to be told now.
    pub fn one_more(&self) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < Duration::from_secs(10)) {
            return None;
        }
        *told = Some(std::time::Instant::now());
        Some(count)
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Until the order to end, or until nobody is left who could give it.
pub(crate) async fn ordered_to_end(shutdown: &mut watch::Receiver<bool>) {
    drop(shutdown.wait_for(|end| *end).await);
}

/// Serves until `shutdown` turns true.
///
/// # Errors
/// The server failed as a whole.
pub async fn serve(
    listener: Listener,
    ingest: Ingest,
    alerts: Alerts,
    refusals: Arc<Refusals>,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("nodewhy.v1.AgentService", ServingStatus::Serving).await;
    health.set_service_status("nodewhy.v1.QueryService", ServingStatus::Serving).await;
    health.set_service_status("nodewhy.v1.AlertService", ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut server = Server::builder()
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .http2_keepalive_interval(Some(KEEP_ALIVE.0))
        .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
        .http2_max_header_list_size(16 << 10)
        .add_service(health_service)
        .add_service(AgentServiceServer::new(ingest).max_decoding_message_size(REPORT_BYTES))
        .add_service(QueryServiceServer::new(alerts.query.clone()).max_decoding_message_size(QUESTION_BYTES))
        .add_service(AlertServiceServer::new(alerts).max_decoding_message_size(QUESTION_BYTES));
    // What reflection tells is fixed when this is built: it either works or is a defect that the first test shows.
    if let (Ok(v1), Ok(v1alpha)) = (reflection().build_v1(), reflection().build_v1alpha()) {
        server = server.add_service(v1).add_service(v1alpha);
    }
    let mut ordered = shutdown.clone();
    let incoming = listener.incoming(refusals);
    let serving = server.serve_with_incoming_shutdown(incoming, async move {
        ordered_to_end(&mut ordered).await;
    });
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = ordered_to_end(&mut shutdown) => {}
    }
    match tokio::time::timeout(LEAVE, serving).await {
        Ok(served) => served,
        Err(_) => {
            tracing::info!("some streams did not end in {LEAVE:?} and are cut");
            Ok(())
        }
    }
}
