//! Client certificates as an API server takes them: asked for in the handshake and never refused there; judged with each request, so that a
//! bad one gets a 401 (k8s.io/apiserver pkg/server/secure_serving.go: tls.RequestClientCert).

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates that a client has shown.
#[derive(Debug, Clone)]
pub(super) struct Shown(pub Arc<Vec<CertificateDer<'static>>>);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// Showed nothing: system:anonymous.
    Anonymous,
    /// The certificate's common name.
    Named(String),
    /// Showed a certificate that is not accepted.
    Refused,
}

/// Judges certificates.
#[derive(Debug)]
pub(super) struct Authenticator(Arc<dyn ClientCertVerifier>);

impl Authenticator {
    pub(super) fn new(clients: Arc<dyn ClientCertVerifier>) -> Self {
        Self(clients)
    }

    pub(super) fn user(&self, shown: &Shown) -> User {
        let Some((leaf, chain)) = shown.0.split_first() else { return User::Anonymous };
        if self.0.verify_client_cert(leaf, chain, UnixTime::now()).is_err() {
            return User::Refused;
        }
        let parsed = X509Certificate::from_der(leaf).ok();
        let name = parsed.and_then(|(_, certificate)| certificate.subject().iter_common_name().next()?.as_str().ok().map(str::to_owned));
        name.map_or(User::Refused, User::Named)
    }
}

/// Asks for a certificate and takes any: only that its holder has the key is made sure of.
#[derive(Debug)]
pub(super) struct AskForCertificate(CryptoProvider);

impl Default for AskForCertificate {
    fn default() -> Self {
        Self(crypto::ring::default_provider())
    }
}

impl ClientCertVerifier for AskForCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
