//! Certificates: read, looked at, and read again when their files change.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};

use crate::own_file;

/// How often the files' times are looked at.
const LOOK: Duration = Duration::from_secs(4);
/// How long reading one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the certificates are.
pub type TlsFiles = crate::config::Tls;

/// A file that is of no use for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("tls.{key} {}: cannot read it: {reason}", path.display())]
    Read {
        /// Its key in the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It holds nothing of what is needed.
    #[error("tls.{key} {}: there is no {what} in it (PEM is needed)", path.display())]
    Empty {
        /// Its key in the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
    },
    /// What it holds cannot be used.
    #[error("tls.{key} {}: {source}", path.display())]
    Unusable {
        /// Its key in the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Error,
    },
    /// The client CA cannot be used.
    #[error("tls.clientCAFile {}: {source}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

/// Times and sizes of the files.
type Stamp = [Option<(SystemTime, u64)>; 3];
type Ready = (TlsAcceptor, Arc<[u8]>);

/// The certificates in force.
pub(super) struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    ready: Ready,
    stamp: Stamp,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamp = stamp(&files);
        let ready = load(&files)?;
        Ok(Self { files, state: Mutex::new(State { ready, stamp }) })
    }

    /// What the next handshake is done with, and our own certificate. No disk is asked: connections wait for none.
    pub(super) fn current(&self) -> Ready {
        self.state().ready.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the files until the task is dropped. A disk that hangs holds up this alone.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let this = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!("looking at the certificates broke off, those in force stay: {error}");
            }
        }
    }

    /// Renewed files are taken when they can be used; until then the old ones stay in force.
    fn look(&self) {
        let stamp = stamp(&self.files);
        if stamp == self.state().stamp {
            return;
        }
        self.state().stamp = stamp;
        match load(&self.files) {
            Ok(ready) => {
                self.state().ready = ready;
                tracing::info!("the certificates have changed and are in force");
            }
            Err(error) => tracing::error!("the certificates have changed and cannot be used, the old ones stay in force: {error}"),
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.cert_file, &files.key_file, &files.client_ca_file].map(|path| {
        let about = fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    })
}

fn load(files: &TlsFiles) -> Result<Ready, TlsError> {
    let chain = certificates("certFile", &files.cert_file)?;
    let own: Arc<[u8]> = chain.first().map_or(&[][..], |own| own.as_ref()).into();
    let key = key(&files.key_file)?;
    let mut roots = RootCertStore::empty();
    let path = &files.client_ca_file;
    for root in certificates("clientCAFile", path)? {
        roots.add(root).map_err(|source| TlsError::Unusable { key: "clientCAFile", path: path.clone(), source })?;
    }
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build();
    let clients = clients.map_err(|source| TlsError::ClientCa { path: path.clone(), source })?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(Arc::new(Clients { of_ca: clients, own: own.clone() }))
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Unusable { key: "certFile", path: files.cert_file.clone(), source })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), own))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    own_file::read_within(path, PATIENCE).map_err(|error| TlsError::Read { key, path: path.to_owned(), reason: error.to_string() })
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read("keyFile", path)?).map_err(|_| TlsError::Empty {
        key: "keyFile",
        path: path.to_owned(),
        what: "private key",
    })
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(key, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(TlsError::Empty { key, path: path.to_owned(), what: "certificate" }),
    }
}

/// TLS towards the collector itself, with its own certificate: for asking after its health.
///
/// # Errors
/// [`TlsError`].
pub fn own_client(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let chain = certificates("certFile", &files.cert_file)?;
    let own = chain.first().map_or(&[][..], |own| own.as_ref()).into();
    let mut config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Own { certificate: own, algorithms: algorithms() }))
        .with_client_auth_cert(chain, key(&files.key_file)?)
        .map_err(|source| TlsError::Unusable { key: "certFile", path: files.cert_file.clone(), source })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    tokio_rustls::rustls::crypto::ring::default_provider().signature_verification_algorithms
}

/// Trusts one certificate alone: our own, whatever names it bears.
#[derive(Debug)]
struct Own {
    certificate: Arc<[u8]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == &*self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("it shows another certificate than the one in tls.certFile".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Clients of the CA; and who shows the collector's own certificate and proves to have its key: the collector, asking for its health.
#[derive(Debug)]
struct Clients {
    of_ca: Arc<dyn ClientCertVerifier>,
    own: Arc<[u8]>,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.of_ca.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if end_entity.as_ref() == &*self.own {
            return Ok(ClientCertVerified::assertion());
        }
        self.of_ca.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_ca.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_ca.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.of_ca.supported_verify_schemes()
    }
}
