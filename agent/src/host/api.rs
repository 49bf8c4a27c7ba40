//! The API server, step by step: TCP, TLS, HTTP. Names are the business of `dns`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::Host;
use super::files::os_words;

/// A Node object with many images is some hundred KiB.
const BODY_LIMIT: usize = 4 << 20;
/// So many addresses of a name are tried.
const ADDRESS_LIMIT: usize = 4;

/// The certificate that the API server showed last.
#[derive(Debug, Clone)]
pub struct Presented {
    /// The server's address.
    pub by: String,
    /// The certificate.
    pub der: Vec<u8>,
}

/// What is kept from one look to the next: the connection, so that a healthy node costs its API server no handshake at each look.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    client: Option<(Identity, reqwest::Client, Option<String>)>,
    presented: Option<Presented>,
}

/// What a client was made of; another one is made when any of it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Host name or address as the certificate is held against.
    pub name: String,
    /// Host name or address as the kubeconfig has it: what a proxy is asked for.
    pub name_asked: String,
    /// Port.
    pub port: u16,
    /// Addresses to connect to: of the name, or of the proxy.
    pub addresses: Vec<IpAddr>,
    /// Port of the proxy, if there is one between.
    pub proxy_port: Option<u16>,
    /// Any certificate is taken, as the kubeconfig wants it (insecure-skip-tls-verify).
    pub skips_verification: bool,
    /// Authorities, PEM.
    pub authorities: Vec<u8>,
    /// Certificate and key, PEM, if that is how the kubelet says who it is.
    pub pair: Option<(Vec<u8>, Vec<u8>)>,
}

/// How a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError {
    /// One of the words of the fact `apiserver.failure`; `None` if it is the agent that cannot tell (an algorithm it does not know).
    pub how: Option<&'static str>,
    /// In full.
    pub words: String,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct ApiAnswer {
    /// Status.
    pub status: u16,
    /// Date header.
    pub date: Option<Timestamp>,
    /// This node's clock when the answer's head came.
    pub received_at: Timestamp,
    /// Body, bounded.
    pub body: Vec<u8>,
}

impl Host {
    /// The certificate that the API server showed last, if it was connected to.
    pub fn presented_certificate(&self) -> Option<Presented> {
        self.api.0.lock().unwrap_or_else(PoisonError::into_inner).presented.clone()
    }

    /// The client of the last successful look, if it was made of the same, and the version of the API server it talks to.
    pub fn kept_client(&self, identity: &Identity) -> Option<(reqwest::Client, Option<String>)> {
        let slot = self.api.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.client.as_ref().filter(|(made_of, ..)| made_of == identity).map(|(_, client, version)| (client.clone(), version.clone()))
    }

    /// Keeps a client for the next look, or forgets the one there is.
    pub fn keep_client(&self, client: Option<(Identity, reqwest::Client, Option<String>)>) {
        self.api.0.lock().unwrap_or_else(PoisonError::into_inner).client = client;
    }

    /// TLS on a connection, and no more: it is closed after the handshake.
    ///
    /// # Errors
    /// Which part of it failed.
    pub async fn tls(&self, stream: TcpStream, identity: &Identity, config: Arc<ClientConfig>, until: Instant) -> Result<(), StepError> {
        let address = format!("{}:{}", identity.name, identity.port);
        let name = ServerName::try_from(identity.name.clone()).map_err(|_| StepError {
            how: Some("tls-error"),
            words: format!("{} is not a name that a certificate can have", identity.name),
        })?;
        match timeout_at(until, TlsConnector::from(config).connect(name, stream)).await {
            Err(_) => Err(StepError { how: Some("timed-out"), words: format!("TLS handshake with {address}: no answer in time") }),
            Ok(Err(error)) => Err(tls_error(&address, &error)),
            Ok(Ok(_)) => Ok(()),
        }
    }
}

/// Connects to the first of the addresses that answers.
///
/// # Errors
/// How the last of them failed.
pub async fn connect(addresses: &[IpAddr], port: u16, until: Instant) -> Result<TcpStream, StepError> {
    let addresses = &addresses[..addresses.len().min(ADDRESS_LIMIT)];
    let mut failed = StepError { how: Some("timed-out"), words: "there is no address to connect to".to_owned() };
    for (tried, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        let peer = SocketAddr::new(*address, port);
        match timeout_at(Instant::now() + share, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                failed = StepError { how: Some(tcp_failure(&error)), words: format!("connect to {peer}: {}", os_words(&error)) }
            }
            Err(_) => {
                failed =
                    StepError { how: Some("timed-out"), words: format!("connect to {peer}: no answer within {} ms", share.as_millis()) };
            }
        }
    }
    Err(failed)
}

/// Whether a host's name or address is the machine's own for certain.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host:port`, an IPv6 address in brackets.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(super) fn tcp_failure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut => "timed-out",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "reset",
        // EHOSTUNREACH, ENETUNREACH, ENETDOWN; EACCES and EPERM are a local firewall's or a prohibit route's, EADDRNOTAVAIL and EINVAL come
        // where no address of this node leads there.
        _ => "no-route",
    }
}

/// rustls hands its own error over inside an [`io::Error`].
fn tls_error(address: &str, error: &io::Error) -> StepError {
    let words = |words: &dyn std::fmt::Display| format!("TLS with {address}: {words}");
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        let how = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "reset",
            _ => "tls-error",
        };
        return StepError { how: Some(how), words: words(&os_words(error)) };
    };
    StepError { how: tls_failure(inner), words: words(inner) }
}

fn tls_failure(error: &rustls::Error) -> Option<&'static str> {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            C::Expired | C::ExpiredContext { .. } => Some("certificate-expired"),
            C::NotValidYet | C::NotValidYetContext { .. } => Some("certificate-not-yet-valid"),
            C::NotValidForName | C::NotValidForNameContext { .. } => Some("name-mismatch"),
            // A CA of the same name with another key: Go calls it an unknown authority too.
            C::UnknownIssuer | C::BadSignature => Some("unknown-authority"),
            C::BadEncoding | C::Revoked | C::InvalidPurpose | C::InvalidPurposeContext { .. } => Some("tls-error"),
            // The kubelet may well accept what this TLS library does not know.
            _ => None,
        },
        _ => Some("tls-error"),
    }
}

/// Verifies as rustls does, and keeps the certificate that was shown: an expired one is the evidence.
#[derive(Debug)]
struct Recording {
    verifier: Arc<WebPkiServerVerifier>,
    kept: Arc<Kept>,
    by: String,
    skips_verification: bool,
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = Presented { by: self.by.clone(), der: end_entity.to_vec() };
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).presented = Some(presented);
        if self.skips_verification {
            return Ok(ServerCertVerified::assertion());
        }
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The TLS configuration of an identity. A pair that cannot be used is left out: the steps can be told without it.
///
/// # Errors
/// There is no usable authority.
pub fn tls_config(host: &Host, identity: &Identity) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&identity.authorities).flatten().collect();
    let (usable, _) = roots.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err("there is no usable certificate among the cluster's authorities".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Recording {
            verifier,
            kept: host.api.clone(),
            by: format!("{}:{}", identity.name, identity.port),
            skips_verification: identity.skips_verification,
        }));
    if let Some((certificates, key)) = &identity.pair
        && let Ok((certificates, key)) = parse_pair(certificates, key)
        && let Ok(config) = builder.clone().with_client_auth_cert(certificates, key)
    {
        return Ok(config);
    }
    Ok(builder.with_no_client_auth())
}

fn parse_pair(certificates: &[u8], key: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificates).flatten().collect();
    if certificates.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "holds no private key in PEM form".to_owned())?;
    Ok((certificates, key))
}

/// What is wrong with a certificate's key, if anything is.
pub fn key_fault(certificates: &[u8], key: &[u8]) -> Option<String> {
    let (certificates, key) = match parse_pair(certificates, key) {
        Ok(pair) => pair,
        Err(fault) => return Some(fault),
    };
    let signing = match rustls::crypto::ring::sign::any_supported_type(&key) {
        Ok(signing) => signing,
        Err(error) => return Some(format!("the key cannot be used: {error}")),
    };
    match rustls::sign::CertifiedKey::new(certificates, signing).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Some("the key does not belong to the certificate".to_owned())
        }
        _ => None,
    }
}

/// A client for HTTP over that TLS, through the proxy at `via` if there is one.
///
/// # Errors
/// The library refuses the configuration.
pub fn client(identity: &Identity, config: ClientConfig, via: Option<SocketAddr>) -> Result<reqwest::Client, String> {
    let addresses: Vec<SocketAddr> = identity.addresses.iter().map(|address| SocketAddr::new(*address, identity.port)).collect();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(1)
        .user_agent(concat!("nodewhy-agent/", env!("CARGO_PKG_VERSION")));
    match via {
        Some(via) => builder = builder.proxy(reqwest::Proxy::https(format!("http://{via}")).map_err(|error| chain(&error))?),
        None if identity.name.parse::<IpAddr>().is_err() => builder = builder.resolve_to_addrs(&identity.name, &addresses),
        None => {}
    }
    builder.build().map_err(|error| chain(&error))
}

/// One GET.
///
/// # Errors
/// How it failed: `http-timeout`, `reset` or `tls-error`.
pub async fn get(
    client: &reqwest::Client,
    identity: &Identity,
    path: &str,
    token: Option<&str>,
    until: Instant,
) -> Result<ApiAnswer, StepError> {
    let address = format!("https://{}{path}", authority(&identity.name, identity.port));
    let mut request = client.get(address).header("Accept", "application/json, */*");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    match timeout_at(until, read(request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(http_error(path, &error)),
        Err(_) => Err(StepError { how: Some("http-timeout"), words: format!("GET {path}: no answer in time") }),
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<ApiAnswer, reqwest::Error> {
    let mut response = request.send().await?;
    let received_at = Timestamp::now();
    let status = response.status().as_u16();
    let date = response.headers().get("date").and_then(|date| date.to_str().ok()).and_then(http_date);
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece[..piece.len().min(BODY_LIMIT - body.len())]);
        if body.len() == BODY_LIMIT {
            break;
        }
    }
    Ok(ApiAnswer { status, date, received_at, body })
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

fn http_error(path: &str, error: &reqwest::Error) -> StepError {
    let words = format!("GET {path}: {}", chain(error));
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return StepError { how: tls_failure(error), words };
        }
        if let Some(inner) = inner.downcast_ref::<io::Error>() {
            if let Some(tls) = inner.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return StepError { how: tls_failure(tls), words };
            }
            return StepError { how: Some(tcp_failure_in_talk(inner)), words };
        }
        source = inner.source();
    }
    StepError { how: Some("reset"), words }
}

fn tcp_failure_in_talk(error: &io::Error) -> &'static str {
    match tcp_failure(error) {
        "no-route" => "reset",
        other => other,
    }
}

/// An error with all that lies beneath it, without saying anything twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = inner.source();
    }
    words
}

/// Time to give to a look's steps: less than its deadline, so that the step that hangs can be named.
pub fn patience(deadline: Duration) -> Duration {
    deadline.mul_f32(0.85)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Sat, 22 Nov 2025 00:00:00 GMT"), "2025-11-22T00:00:00Z".parse().ok());
        assert_eq!(http_date("yesterday"), None);
    }

    #[tokio::test]
    async fn refused_and_unreachable_are_two_things() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let until = || Instant::now() + Duration::from_secs(2);
        assert_eq!(connect(&["127.0.0.1".parse().unwrap()], free, until()).await.unwrap_err().how, Some("refused"));
        // The kernel lets no stream go to everybody (ENETUNREACH).
        assert_eq!(connect(&["255.255.255.255".parse().unwrap()], 1, until()).await.unwrap_err().how, Some("no-route"));
    }

    #[test]
    fn what_the_library_does_not_know_is_not_held_against_the_server() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnhandledCriticalExtension);
        assert_eq!(tls_failure(&unknown), None);
        assert_eq!(tls_failure(&rustls::Error::InvalidCertificate(CertificateError::BadSignature)), Some("unknown-authority"));
    }
}
