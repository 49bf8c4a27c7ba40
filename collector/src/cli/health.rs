//! `nodewhy-collector health`: asks the collector on its own address (grpc.health.v1), for probes that cannot speak TLS themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{exit, output, wait_for};
use crate::config::Config;
use crate::server::own_client;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn ask(config: &Config) -> anyhow::Result<u8> {
    let tls = config.tls.as_ref().map(own_client).transpose()?;
    let address = reachable(config.listen);
    let answer = wait_for(async {
        let asked = timeout(PATIENCE, serving(address, tls)).await;
        Ok(asked.unwrap_or_else(|_| Err(anyhow!("no answer within {PATIENCE:?}"))))
    })?;
    Ok(match answer {
        Ok(ServingStatus::Serving) => {
            output::line(&format!("{address}: serving"));
            exit::DONE
        }
        Ok(status) => {
            output::line(&format!("{address}: {}", status.as_str_name()));
            exit::NO
        }
        Err(error) => {
            output::line(&format!("{address}: {error:#}"));
            exit::NO
        }
    })
}

/// Who listens everywhere listens on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn serving(address: SocketAddr, tls: Option<Arc<rustls::ClientConfig>>) -> anyhow::Result<ServingStatus> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let connected = match tls {
        None => endpoint.connect().await,
        Some(config) => {
            let connector = TlsConnector::from(config);
            let connect = move |_| {
                let connector = connector.clone();
                async move {
                    let socket = TcpStream::connect(address).await?;
                    let stream = connector.connect(address.ip().into(), socket).await?;
                    Ok::<_, std::io::Error>(TokioIo::new(stream))
                }
            };
            endpoint.connect_with_connector(tower::service_fn(connect)).await
        }
    };
    let mut client = HealthClient::new(connected.context("cannot connect")?);
    let answer = client.check(HealthCheckRequest { service: String::new() }).await.map_err(|status| anyhow!("{status}"))?;
    Ok(answer.into_inner().status())
}
