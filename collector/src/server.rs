//! Puts everything together and serves it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nodewhy_proto::v1::FILE_DESCRIPTOR_SET;
use nodewhy_proto::v1::agent_service_server::AgentServiceServer;
use nodewhy_proto::v1::query_service_server::QueryServiceServer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::alerts::{Deliverer, HookError, Plan};
use crate::config::Config;
use crate::connection::{self, Certificates, TlsError};
use crate::ingest::Ingest;
use crate::query::Query;
use crate::silence::{Presence, Silence};
use crate::store::{Store, StoreError};

/// Largest message taken from an agent: a diagnosis of all causes with all evidence is well below.
const MESSAGE_BYTES: usize = 4 << 20;
/// How long streams have to end when the collector is told to.
const FAREWELL: Duration = Duration::from_secs(2);

/// The collector cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration goes not together.
    #[error("{0}")]
    Config(String),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// See [`HookError`].
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; is another collector running (ss -ltnp), or is `listen` wrong?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server broke off.
    #[error("the server ended: {0}")]
    Server(String),
    /// The data directory cannot be used.
    #[error("{}: {reason}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Serves until `stop` comes back. `ready` is told the address once connections are let in.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(config: &Config, ready: impl FnOnce(SocketAddr), stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    config.validate().map_err(ServeError::Config)?;
    let certificates = config.tls.as_ref().map(Certificates::read).transpose()?;
    let store = Store::open(&config.data_dir)?;
    let (plan, presence) = (Plan::new(&config.alerts), Presence::default());
    let mut tasks = JoinSet::new();
    for (kind, hook) in config.alerts.hooks() {
        tasks.spawn(Deliverer::new(kind, hook, store.clone())?.run());
    }
    tasks.spawn(Silence::new(store.clone(), presence.clone(), plan.clone()).await?.run());

    let listener = TcpListener::bind(config.listen).await.map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let (let_in, incoming) = mpsc::channel(64);
    tasks.spawn(connection::accept(listener, certificates, let_in));

    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AgentServiceServer<Ingest>>().await;
    health.set_serving::<QueryServiceServer<Query>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| ServeError::Server(error.to_string()))?;
    let ingest =
        AgentServiceServer::new(Ingest { store: store.clone(), presence: presence.clone(), plan }).max_decoding_message_size(MESSAGE_BYTES);
    let query = QueryServiceServer::new(Query { store, presence }).max_decoding_message_size(MESSAGE_BYTES);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(ingest)
        .add_service(query)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async { drop(ended.await) });
    tokio::pin!(server);
    ready(address);
    tokio::select! {
        result = &mut server => return result.map_err(|error| ServeError::Server(chain(&error))),
        () = stop => {}
    }
    // Agents keep their streams open for ever: they are given a moment, and come again when there is a collector again.
    drop(end);
    drop(timeout(FAREWELL, server).await);
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}
