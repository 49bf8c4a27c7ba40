//! Configuration file and kubeconfig.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::flags::Flags;

/// What this kubelet works with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) node: String,
    pub(crate) config: Config,
    pub(crate) root_dir: String,
    pub(crate) api: Option<Kubeconfig>,
    pub(crate) bootstrap: Option<String>,
}

/// Of the configuration file (kubelet.config.k8s.io/v1beta1) what is of interest here; defaults are the kubelet's.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) healthz_bind_address: String,
    pub(crate) healthz_port: u16,
    pub(crate) fail_swap_on: bool,
    pub(crate) container_runtime_endpoint: String,
    pub(crate) static_pod_path: Option<String>,
    #[serde(deserialize_with = "go_duration")]
    pub(crate) node_status_update_frequency: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: "0.0.0.0".to_owned(),
            port: 10250,
            healthz_bind_address: "127.0.0.1".to_owned(),
            healthz_port: 10248,
            fail_swap_on: true,
            container_runtime_endpoint: "unix:///run/containerd/containerd.sock".to_owned(),
            static_pod_path: None,
            node_status_update_frequency: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// The runtime's socket.
    pub(crate) fn socket(&self) -> &str {
        self.container_runtime_endpoint.strip_prefix("unix://").unwrap_or(&self.container_runtime_endpoint)
    }
}

/// Why the configuration cannot be used.
#[derive(Debug)]
pub(crate) enum ConfigError {
    Missing,
    /// With the line that the parser stopped at.
    Invalid(u64),
}

/// Reads the configuration; flags win over it.
pub(crate) fn read_config(flags: &Flags) -> Result<Config, ConfigError> {
    let mut config = match flags.get("config") {
        None | Some("") => Config::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|_| ConfigError::Missing)?;
            serde_saphyr::from_str::<Config>(&text).map_err(|error| ConfigError::Invalid(error.location().map_or(1, |at| at.line())))?
        }
    };
    if let Some(said) = flags.get("fail-swap-on") {
        config.fail_swap_on = said != "false";
    }
    if let Some(endpoint) = flags.get("container-runtime-endpoint").filter(|endpoint| !endpoint.is_empty()) {
        config.container_runtime_endpoint = endpoint.to_owned();
    }
    if let Some(port) = flags.get("port").and_then(|port| port.parse().ok()) {
        config.port = port;
    }
    Ok(config)
}

/// How to reach the API server, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Kubeconfig {
    pub(crate) path: String,
    pub(crate) server: String,
    pub(crate) ca: String,
    pub(crate) client: String,
}

#[derive(Deserialize)]
struct RawKubeconfig {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: String,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: String,
}

/// Reads the kubeconfig: `Ok(None)` where the kubelet runs standalone, `Err` with the line where it does not parse.
pub(crate) fn read_kubeconfig(flags: &Flags) -> Result<Option<Kubeconfig>, u64> {
    let Some(path) = flags.get("kubeconfig").filter(|path| Path::new(path).exists()) else { return Ok(None) };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let raw: RawKubeconfig = serde_saphyr::from_str(&text).map_err(|error| error.location().map_or(1, |at| at.line()))?;
    let (Some(cluster), Some(user)) = (raw.clusters.into_iter().next(), raw.users.into_iter().next()) else { return Err(1) };
    let (cluster, user) = (cluster.cluster, user.user);
    Ok(Some(Kubeconfig {
        path: path.to_owned(),
        server: cluster.server,
        ca: cluster.certificate_authority,
        client: user.client_certificate,
    }))
}

/// `10s`, `1m30s`, `0s`: zero means the default, which is for the caller to know.
fn go_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let span: jiff::SignedDuration = text.parse().map_err(serde::de::Error::custom)?;
    Ok(if span.is_zero() { Config::default().node_status_update_frequency } else { span.unsigned_abs() })
}
