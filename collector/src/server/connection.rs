//! One connection, after its handshake: plain or TLS, and who is on the other side.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{Identity, Refusals};

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// It comes no later. From then on HTTP/2's own pings find out who is gone.
const PREFACE_WITHIN: Duration = Duration::from_secs(10);

/// Who is on the other side; found among the extensions of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// Who.
    pub identity: Arc<Identity>,
}

pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// See the module.
pub(super) struct Connection {
    socket: Socket,
    peer: Peer,
    /// Bytes of the preface seen.
    prefaced: usize,
    /// Until when the rest of it has to be there; none once it is.
    deadline: Option<Pin<Box<Sleep>>>,
    refusals: Arc<Refusals>,
    /// One of the connections there may be at once.
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Connection {
    pub(super) fn new(socket: Socket, peer: Peer, refusals: Arc<Refusals>, permit: OwnedSemaphorePermit) -> Self {
        Self { socket, peer, prefaced: 0, deadline: Some(Box::pin(sleep(PREFACE_WITHIN))), refusals, _permit: permit }
    }

    /// What says nothing holds one of the connections there may be, and nobody else would notice.
    fn too_late(&mut self) -> io::Error {
        if let Some(count) = self.refusals.connections.one_more() {
            tracing::warn!(from = %self.peer.address, count, "no HTTP/2 within {PREFACE_WITHIN:?}; the connection is closed");
        }
        self.deadline = None;
        io::Error::new(io::ErrorKind::TimedOut, "no HTTP/2 preface in time")
    }

    /// What does not begin as HTTP/2 is told and ends here, before anything looks at it.
    fn look_at(&mut self, bytes: &[u8]) -> io::Result<()> {
        let rest = &PREFACE[self.prefaced..];
        let seen = bytes.len().min(rest.len());
        if bytes[..seen] != rest[..seen] {
            if let Some(count) = self.refusals.connections.one_more() {
                tracing::warn!(from = %self.peer.address, count, "bytes on the port that are no gRPC (HTTP/2); the connection is closed");
            }
            (self.prefaced, self.deadline) = (PREFACE.len(), None);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2"));
        }
        self.prefaced += seen;
        if self.prefaced == PREFACE.len() {
            self.deadline = None;
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(this.too_late()));
        }
        let before = buffer.filled().len();
        ready!(match &mut this.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Tls(socket) => Pin::new(socket).poll_read(context, buffer),
        })?;
        if this.prefaced < PREFACE.len() {
            this.look_at(&buffer.filled()[before..])?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tls(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(context),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tls(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    async fn pair() -> (TcpStream, Connection, Arc<Refusals>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (socket, address) = listener.accept().await.expect("one comes");
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("open");
        let refusals = Arc::new(Refusals::default());
        let peer = Peer { address, identity: Arc::new(Identity::Local) };
        (client, Connection::new(Socket::Plain(socket), peer, refusals.clone(), permit), refusals)
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_half_of_it_is_let_go_and_counted() {
        for said in [&b""[..], &PREFACE[..10]] {
            let (mut client, mut connection, refusals) = pair().await;
            client.write_all(said).await.expect("sent");
            let mut bytes = vec![0; said.len()];
            connection.read_exact(&mut bytes).await.expect("what was sent");
            let more = timeout(PREFACE_WITHIN * 2, connection.read_u8()).await.expect("it does not wait for ever");
            assert_eq!((more.map_err(|error| error.kind()), refusals.connections.count()), (Err(io::ErrorKind::TimedOut), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_begun_may_be_silent_as_far_as_this_goes() {
        let (mut client, mut connection, refusals) = pair().await;
        client.write_all(PREFACE).await.expect("sent");
        let mut bytes = vec![0; PREFACE.len()];
        connection.read_exact(&mut bytes).await.expect("what was sent");
        assert!(timeout(PREFACE_WITHIN * 10, connection.read_u8()).await.is_err(), "it waits");
        assert_eq!(refusals.connections.count(), 0);
    }
}
