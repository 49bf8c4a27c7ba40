//! Connections: plain on loopback, TLS elsewhere, and who is at the other end.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::config::Tls;
use crate::identity::Peer;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes under way at once.
const HANDSHAKES: usize = 256;

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("tls.{key} {}: cannot read it: {reason}", path.display())]
    File {
        /// The key in the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// They do not go together.
    #[error("tls: {0}")]
    Unusable(String),
}

/// A connection that has been let in.
pub enum Connection {
    /// On loopback.
    Plain(TcpStream),
    /// With a client certificate.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Self::Plain(_) => Peer::Local,
            Self::Tls(stream) => {
                let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                certificates.first().map_or_else(|| Peer::of_certificate(&[]), |leaf| Peer::of_certificate(leaf))
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Lets connections in; each comes out of `into` when its handshake is done.
pub async fn accept(listener: TcpListener, tls: Option<Certificates>, into: mpsc::Sender<io::Result<Connection>>) {
    let mut tls = tls;
    let handshakes = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, mostly: others will close some.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Small messages that somebody waits for.
        drop(stream.set_nodelay(true));
        let Some(certificates) = &mut tls else {
            if into.send(Ok(Connection::Plain(stream))).await.is_err() {
                return;
            }
            continue;
        };
        let acceptor = TlsAcceptor::from(certificates.current());
        let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
        let into = into.clone();
        tokio::spawn(async move {
            let _permit = permit;
            match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(into.send(Ok(Connection::Tls(Box::new(stream)))).await),
                Ok(Err(error)) => tracing::info!("a client was not let in: {error}"),
                Err(_) => tracing::info!("a client did not finish its TLS handshake within {HANDSHAKE:?}"),
            }
        });
    }
}

/// The collector's certificates, read again when their files change.
pub struct Certificates {
    files: Tls,
    stamps: Vec<Option<SystemTime>>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads them.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(files: &Tls) -> Result<Self, TlsError> {
        Ok(Self { files: files.clone(), stamps: stamps(files), config: Arc::new(server_config(files)?) })
    }

    /// Those in force now. Files that have changed into something unusable are told, and the ones before stay in force.
    fn current(&mut self) -> Arc<ServerConfig> {
        let stamps = stamps(&self.files);
        if stamps != self.stamps {
            self.stamps = stamps;
            match server_config(&self.files) {
                Ok(config) => {
                    tracing::info!("certificates have changed on disk and are in force");
                    self.config = Arc::new(config);
                }
                Err(error) => tracing::error!("certificates have changed on disk and cannot be used, those before stay in force: {error}"),
            }
        }
        self.config.clone()
    }
}

fn stamps(files: &Tls) -> Vec<Option<SystemTime>> {
    let of = |path: &PathBuf| File::open(path).and_then(|file| file.metadata()).and_then(|metadata| metadata.modified()).ok();
    [&files.cert_file, &files.key_file, &files.client_ca_file].map(of).into()
}

fn server_config(files: &Tls) -> Result<ServerConfig, TlsError> {
    let chain = certificates("certFile", &files.cert_file)?;
    let bytes = read("keyFile", &files.key_file)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| TlsError::File {
        key: "keyFile",
        path: files.key_file.clone(),
        reason: error.to_string(),
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates("clientCAFile", &files.client_ca_file)? {
        roots.add(certificate).map_err(|error| TlsError::Unusable(format!("clientCAFile holds a certificate that is no CA: {error}")))?;
    }
    let verifier =
        WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| TlsError::Unusable(format!("clientCAFile: {error}")))?;
    let config = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key);
    let mut config = config.map_err(|error| TlsError::Unusable(format!("certFile and keyFile: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(key, path)?;
    let wrong = |reason: String| TlsError::File { key, path: path.to_owned(), reason };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("there is no PEM certificate in it".to_owned())) } else { Ok(found) }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::File { key, path: path.to_owned(), reason: error.to_string() })
}

/// Whether a collector answers at an address with the certificate in `files`: a handshake, no more, since the collector's own certificate
/// need not be one that lets a client in.
///
/// # Errors
/// What went wrong, in words.
pub async fn answers(address: SocketAddr, files: &Tls, patience: Duration) -> io::Result<()> {
    let own = certificates("certFile", &files.cert_file).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pinned = Arc::new(Pinned { leaf: own.into_iter().next(), provider: provider.clone() });
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = config.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = rustls::pki_types::ServerName::from(address.ip());
    let handshake = async { tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await };
    timeout(patience, handshake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(drop)
}

/// Accepts one certificate, whatever names it bears.
#[derive(Debug)]
struct Pinned {
    leaf: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.leaf.as_deref() == Some(&**end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("another certificate than the one in certFile".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
