//! Certificates of a cluster, made for one test.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Seconds that a certificate lasts from now; negative: that it has been over for.
const LASTING: i64 = 365 * 24 * 3600;
const OVER: i64 = -3600;
/// Seconds since when a certificate is valid.
const MADE_BEFORE: i64 = 48 * 3600;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What a kubelet has been given to be let in by the API server.
#[derive(Debug, Clone)]
pub struct NodeCredentials {
    /// The cluster's CA, PEM.
    pub ca: String,
    /// Client certificate and key in one PEM.
    pub client: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate for these names and addresses.
    ///
    /// # Errors
    /// A name cannot be put into a certificate.
    pub fn server(&self, name: &str, dns_names: &[&str], addresses: &[IpAddr]) -> Result<Identity> {
        let mut params = CertificateParams::new(dns_names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.distinguished_name = named(name, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, LASTING)
    }

    /// A client's certificate. A kubelet's is `system:node:NAME` of the organisation `system:nodes`.
    ///
    /// # Errors
    /// No key can be made.
    pub fn client(&self, name: &str, organisation: Option<&str>) -> Result<Identity> {
        self.client_lasting(name, organisation, LASTING)
    }

    /// A client's certificate that ended an hour ago.
    ///
    /// # Errors
    /// No key can be made.
    pub fn expired_client(&self, name: &str, organisation: Option<&str>) -> Result<Identity> {
        self.client_lasting(name, organisation, OVER)
    }

    fn client_lasting(&self, name: &str, organisation: Option<&str>, seconds: i64) -> Result<Identity> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named(name, organisation);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, seconds)
    }

    fn sign(&self, mut params: CertificateParams, lasting: i64) -> Result<Identity> {
        let now = jiff::Timestamp::now().as_second();
        let at = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.unsigned_abs());
        params.not_before = at(now - MADE_BEFORE);
        params.not_after = at(now + lasting);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Judges client certificates as an API server does (`--client-ca-file`).
    ///
    /// # Errors
    /// The authority's own certificate cannot be used.
    pub fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        Ok(WebPkiClientVerifier::builder(Arc::new(roots)).build()?)
    }
}

impl Identity {
    /// Certificate and key in one PEM, as a kubelet keeps its own.
    pub fn bundle(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }

    /// Writes them to `NAME.crt` and `NAME.key` in a directory.
    ///
    /// # Errors
    /// The file system says no.
    pub fn write(&self, dir: &Path, name: &str) -> Result<()> {
        fs::write(dir.join(format!("{name}.crt")), &self.certificate).with_context(|| format!("cannot write {name}.crt"))?;
        fs::write(dir.join(format!("{name}.key")), &self.key).with_context(|| format!("cannot write {name}.key"))
    }

    /// As rustls takes it.
    ///
    /// # Errors
    /// The PEM holds something else.
    pub fn der(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>()?;
        Ok((chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes())?))
    }
}

fn named(name: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    if let Some(organisation) = organisation {
        subject.push(DnType::OrganizationName, organisation);
    }
    subject.push(DnType::CommonName, name);
    subject
}
