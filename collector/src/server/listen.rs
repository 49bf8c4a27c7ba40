//! The listening socket and the handshakes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{Connection, Socket};
use super::tls::{Tls, TlsError, TlsFiles};
use super::{Identity, Peer, Refusals};

/// Connections at once.
const CONNECTIONS: usize = 150_000;
/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an error of accept(2), which is most often that there are no file descriptors left.
const BREATH: Duration = Duration::from_millis(100);

/// Listening failed.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, not ours, or not allowed.
    #[error(
        "cannot listen on {address}: {source}; is another nodewhy-collector running? `listen` in the configuration or --listen changes it"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificates are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    /// Listens, with TLS if there are files for it.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(address: SocketAddr, tls: Option<TlsFiles>) -> Result<Self, ListenError> {
        let tls = tls.map(Tls::load).transpose()?.map(Arc::new);
        let socket = TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, source })?;
        let address = socket.local_addr().map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self { socket, address, tls })
    }

    /// Where it listens: the port too, if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections whose handshake is done. One that is slow at it is in nobody's way.
    pub(super) fn incoming(self, refusals: Arc<Refusals>) -> ReceiverStream<io::Result<Connection>> {
        let (ready, incoming) = mpsc::channel(128);
        tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS));
            // Ends with this task.
            let mut following = JoinSet::new();
            if let Some(tls) = &self.tls {
                following.spawn(tls.clone().follow());
            }
            while let Ok(permit) = room.clone().acquire_owned().await {
                let accepted = tokio::select! {
                    accepted = self.socket.accept() => accepted,
                    // The server has ended, and with it listening.
                    () = ready.closed() => return,
                };
                match accepted {
                    Ok((socket, from)) => {
                        let tls = self.tls.as_ref().map(|tls| tls.current());
                        tokio::spawn(admit(socket, from, tls, permit, refusals.clone(), ready.clone()));
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(BREATH).await;
                    }
                }
            }
        });
        ReceiverStream::new(incoming)
    }
}

async fn admit(
    socket: TcpStream,
    address: SocketAddr,
    tls: Option<(TlsAcceptor, Arc<[u8]>)>,
    permit: OwnedSemaphorePermit,
    refusals: Arc<Refusals>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    // Acknowledgements are small and wanted at once; without this option they are only later.
    drop(socket.set_nodelay(true));
    let shaken = match tls {
        None => Ok((Socket::Plain(socket), Identity::Local)),
        Some((acceptor, own)) => match timeout(HANDSHAKE, shake(socket, &acceptor, &own)).await {
            Ok(shaken) => shaken,
            Err(_) => Err(format!("no TLS handshake within {HANDSHAKE:?}")),
        },
    };
    match shaken {
        Ok((socket, identity)) => {
            let peer = Peer { address, identity: Arc::new(identity) };
            // The server may be about to end.
            drop(ready.send(Ok(Connection::new(socket, peer, refusals, permit))).await);
        }
        Err(reason) => {
            if let Some(count) = refusals.connections.one_more() {
                tracing::warn!(from = %address, count, "a connection is refused: {reason}");
            }
        }
    }
}

async fn shake(socket: TcpStream, acceptor: &TlsAcceptor, own: &[u8]) -> Result<(Socket, Identity), String> {
    let stream = acceptor.accept(socket).await.map_err(|error| format!("TLS: {error}"))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
    let certificate = certificate.ok_or("TLS: no client certificate")?;
    let identity = if certificate.as_ref() == own { Some(Identity::Own) } else { Identity::of(&certificate) };
    let identity = identity.ok_or("TLS: the client certificate cannot be read")?;
    Ok((Socket::Tls(Box::new(stream)), identity))
}
