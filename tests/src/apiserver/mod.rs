//! A **stand-in** for kube-apiserver, as seen from a node: TLS with the cluster's certificates, /livez, /readyz and /version, the node's own
//! Node object and Lease. Status codes, headers and bodies are those of v1.36 with RBAC, the Node authorizer and anonymous requests on.

mod answers;
mod authenticate;
mod objects;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use jiff::SignedDuration;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use authenticate::{AskForCertificate, Authenticator};
use objects::Objects;

use crate::pki::{Authority, Identity};

/// The API server. It can be ended and begun again, and given another certificate.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    state: Arc<State>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    authenticator: Authenticator,
    objects: Mutex<Objects>,
    failing_check: Mutex<Option<String>>,
    clock_ahead: Mutex<SignedDuration>,
}

impl ApiServer {
    /// Serves at an address. `clients` signs the certificates of those who are let in.
    ///
    /// # Errors
    /// The address cannot be listened on, or the certificate cannot be used.
    pub async fn start(address: SocketAddr, identity: &Identity, clients: &Authority) -> Result<Self> {
        let state = State {
            authenticator: Authenticator::new(clients.client_verifier()?),
            objects: Mutex::default(),
            failing_check: Mutex::default(),
            clock_ahead: Mutex::default(),
        };
        let mut server = Self { address, state: Arc::new(state), serving: None };
        server.resume(identity).await?;
        Ok(server)
    }

    /// Closes the port and all connections: who comes now is refused by the kernel.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Ends with its being aborted; what counts is that the listener is closed then.
            let _ = serving.await;
        }
    }

    /// Serves again, with this certificate.
    ///
    /// # Errors
    /// The address cannot be listened on, or the certificate cannot be used.
    pub async fn resume(&mut self, identity: &Identity) -> Result<()> {
        self.stop().await;
        let (chain, key) = identity.der()?;
        let mut tls =
            ServerConfig::builder().with_client_cert_verifier(Arc::new(AskForCertificate::default())).with_single_cert(chain, key)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind(self.address).await.with_context(|| format!("cannot listen on {}", self.address))?;
        self.serving = Some(tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&self.state))));
        Ok(())
    }

    /// Makes a check of /readyz fail (`etcd`), or all pass.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn fail_readiness(&self, check: Option<&str>) {
        *self.state.failing_check.lock().expect("no thread panics with the lock") = check.map(str::to_owned);
    }

    /// Sets the clock by which it dates its answers: so much ahead of the true time.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn set_clock_ahead(&self, ahead: SignedDuration) {
        *self.state.clock_ahead.lock().expect("no thread panics with the lock") = ahead;
    }

    /// How often a kubelet has renewed this node's Lease.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn renewals(&self, node: &str) -> u64 {
        self.state.objects.lock().expect("no thread panics with the lock").renewals(node)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let router = answers::router(state);
    // Dropped with this task: no connection outlives the listener.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, acceptor.clone(), router.clone()));
    }
}

/// A client that breaks off is no concern of ours.
async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let shown: Vec<_> = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    let router = router.layer(axum::Extension(authenticate::Shown(Arc::new(shown))));
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}
