//! The link to the collector.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use nodewhy_proto::v1::alert_service_client::AlertServiceClient;
use nodewhy_proto::v1::query_service_client::QueryServiceClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Response, Status};

use crate::cli::Target;

/// How long connecting, and an answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer taken: a list of 1,000 nodes or a diagnosis with all its evidence is far below it.
const ANSWER_BYTES: usize = 64 << 20;

/// A link, and how to call it in messages.
pub(crate) struct Collector {
    pub(crate) query: QueryServiceClient<Channel>,
    pub(crate) alerts: AlertServiceClient<Channel>,
    address: String,
}

/// As for the agent: what is not encrypted does not leave the machine.
fn is_loopback(address: &str) -> bool {
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Target {
    pub(crate) async fn connect(&self) -> anyhow::Result<Collector> {
        let address = self.collector.clone();
        let secure = address.starts_with("https://");
        if !secure && !address.starts_with("http://") {
            bail!("--collector {address}: has to begin with http:// (loopback) or https://");
        }
        if !secure && !is_loopback(&address) {
            bail!("--collector {address}: http:// is for loopback only: use https:// with --ca-file, --cert-file and --key-file");
        }
        let endpoint = Endpoint::from_shared(address.clone()).with_context(|| format!("--collector {address}: no URL"))?;
        let mut endpoint = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE);
        if secure {
            endpoint = endpoint.tls_config(self.tls()?).with_context(|| format!("cannot set up TLS to {address}"))?;
        } else if self.ca_file.is_some() || self.cert_file.is_some() {
            bail!(
                "--collector {address}: certificates were given but the address begins with http://, which is not encrypted: use https://"
            );
        }
        let channel = endpoint.connect().await.with_context(|| {
            format!(
                "cannot reach the collector at {address}; is nodewhy-collector running there (systemctl status nodewhy-collector), \
                 and is --collector (or NODEWHY_COLLECTOR) right?"
            )
        })?;
        let query = QueryServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES);
        let alerts = AlertServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES);
        Ok(Collector { query, alerts, address })
    }

    fn tls(&self) -> anyhow::Result<ClientTlsConfig> {
        let read = |flag: &str, path: &Path| fs::read(path).with_context(|| format!("{flag} {}: cannot read it", path.display()));
        let Some(ca) = &self.ca_file else { bail!("--ca-file is missing: it says which CA signed the collector's certificate") };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca-file", ca)?));
        if let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) {
            tls = tls.identity(Identity::from_pem(read("--cert-file", cert)?, read("--key-file", key)?));
        }
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        Ok(tls)
    }
}

impl Collector {
    /// What it answered, or words for why it did not.
    pub(crate) fn answer<T>(&self, asked: &str, answer: Result<Response<T>, Status>) -> anyhow::Result<T> {
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            // The words say all that there is to say.
            Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Err(anyhow::anyhow!("{}", status.message())),
            Err(status) => Err(self.refused(asked, &status)),
        }
    }

    /// Words for what the collector refused, with what to do about it.
    pub(crate) fn refused(&self, asked: &str, status: &Status) -> anyhow::Error {
        let hint = match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => {
                ": --cert-file and --key-file say who asks; a node's own certificate may ask about that node only"
            }
            Code::DeadlineExceeded | Code::Cancelled => ": it did not answer in time; see its log (journalctl -u nodewhy-collector)",
            Code::Unimplemented => ": what listens there is not a nodewhy-collector, or one of another version",
            _ => "",
        };
        anyhow::anyhow!("{asked}: the collector at {} said {:?}: {}{hint}", self.address, status.code(), status.message())
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn plain_text_stays_on_the_machine() {
        for address in ["http://127.0.0.1:7870", "http://localhost:7870/", "http://[::1]:7870"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["http://10.0.0.1:7870", "http://example.org:7870", "http://localhost.example.org:1", "http://"] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
