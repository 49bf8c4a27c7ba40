//! The container runtime over its CRI socket: the few messages of `runtime.v1` that are needed, field numbers as in
//! k8s.io/cri-api (1.36). A runtime that only speaks v1alpha2 answers Unimplemented.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout_at;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::Host;
use super::files::os_words;

/// `VersionRequest` and `RuntimeConfigRequest`, `ImageFsInfoRequest`: nothing needs to be said in them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Empty {}

/// `VersionResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionResponse {
    /// Name of the runtime.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
}

/// `StatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusResponse {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<RuntimeStatus>,
}

/// `RuntimeStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RuntimeStatus {
    /// RuntimeReady and NetworkReady at least.
    #[prost(message, repeated, tag = "1")]
    pub conditions: Vec<RuntimeCondition>,
}

/// `RuntimeCondition`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RuntimeCondition {
    /// Type.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Holds or not.
    #[prost(bool, tag = "2")]
    pub status: bool,
    /// One word.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// In full.
    #[prost(string, tag = "4")]
    pub message: String,
}

/// `RuntimeConfigResponse` (since 1.28).
#[derive(Clone, PartialEq, prost::Message)]
pub struct RuntimeConfigResponse {
    /// For Linux.
    #[prost(message, optional, tag = "1")]
    pub linux: Option<LinuxRuntimeConfiguration>,
}

/// `LinuxRuntimeConfiguration`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxRuntimeConfiguration {
    /// 0 is systemd, 1 cgroupfs.
    #[prost(int32, tag = "1")]
    pub cgroup_driver: i32,
}

/// `ImageFsInfoResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageFsInfoResponse {
    /// File systems of images.
    #[prost(message, repeated, tag = "1")]
    pub image_filesystems: Vec<FilesystemUsage>,
}

/// `FilesystemUsage`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FilesystemUsage {
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub fs_id: Option<FilesystemIdentifier>,
}

/// `FilesystemIdentifier`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FilesystemIdentifier {
    /// A directory on it.
    #[prost(string, tag = "1")]
    pub mountpoint: String,
}

/// `ListPodSandboxRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListSandboxes {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub filter: Option<SandboxFilter>,
}

/// `PodSandboxFilter`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SandboxFilter {
    /// In this state.
    #[prost(message, optional, tag = "2")]
    pub state: Option<SandboxState>,
}

/// `PodSandboxStateValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SandboxState {
    /// 0 is SANDBOX_READY.
    #[prost(int32, tag = "1")]
    pub state: i32,
}

/// `ListPodSandboxResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SandboxList {
    /// Sandboxes.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Sandbox>,
}

/// `PodSandbox`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sandbox {
    /// Its identity.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its pod.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<SandboxMetadata>,
}

/// `PodSandboxMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SandboxMetadata {
    /// The pod's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The pod's namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
}

/// `ListContainersResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerList {
    /// Containers in any state.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<ListedContainer>,
}

/// `Container`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListedContainer {
    /// The sandbox that it belongs to.
    #[prost(string, tag = "2")]
    pub sandbox: String,
}

/// Why the runtime cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// The endpoint is not a Unix socket.
    #[error("{0} is not a unix:// endpoint")]
    NotUnix(String),
    /// The socket cannot be connected to.
    #[error("connect to {path}")]
    Connect {
        /// The socket, as the node names it.
        path: String,
        /// What happened.
        source: io::Error,
    },
    /// What listens does not speak gRPC.
    #[error("speak gRPC on {path}")]
    Transport {
        /// The socket, as the node names it.
        path: String,
        /// What happened.
        source: tonic::transport::Error,
    },
    /// The call did not come back in time.
    #[error("{call} did not answer within {} ms", after.as_millis())]
    NoAnswer {
        /// `Version`, `Status`, ...
        call: &'static str,
        /// How long was waited in all.
        after: Duration,
    },
    /// The runtime answered with an error.
    #[error("{call}: {}: {}", status.code(), status.message())]
    Refused {
        /// `Version`, `Status`, ...
        call: &'static str,
        /// What it said.
        status: Box<Status>,
    },
}

impl CriError {
    /// In one line.
    pub fn sentence(&self) -> String {
        match self {
            Self::Connect { source, .. } => format!("{self}: {}", os_words(source)),
            Self::Transport { source, .. } => format!("{self}: {source}"),
            Self::NotUnix(_) | Self::NoAnswer { .. } | Self::Refused { .. } => self.to_string(),
        }
    }

    /// The runtime does not know the call.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code() == Code::Unimplemented)
    }
}

/// A connection to the runtime, for one look.
#[derive(Debug)]
pub struct Cri {
    grpc: Grpc<Channel>,
    until: tokio::time::Instant,
    patience: Duration,
}

/// The path in a CRI endpoint: `unix:///run/x.sock`, `unix:/run/x.sock` or a bare path, as the kubelet takes them.
pub fn socket_path(endpoint: &str) -> Option<&str> {
    let path = match endpoint.split_once(':') {
        Some(("unix", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        Some(_) => return None,
        None => endpoint,
    };
    path.starts_with('/').then_some(path)
}

impl Host {
    /// Connects to the runtime; all calls together may take `patience`.
    ///
    /// # Errors
    /// The socket is not there, refuses, or is none.
    pub async fn cri(&self, endpoint: &str, patience: Duration) -> Result<Cri, CriError> {
        let until = tokio::time::Instant::now() + patience;
        let path = socket_path(endpoint).ok_or_else(|| CriError::NotUnix(endpoint.to_owned()))?;
        let real = self.resolve(path).map_err(|error| CriError::Connect { path: path.to_owned(), source: error.source })?;
        let opening = open(path.to_owned(), real);
        let channel = timeout_at(until, opening).await.map_err(|_| CriError::NoAnswer { call: "the socket", after: patience })??;
        Ok(Cri { grpc: Grpc::new(channel), until, patience })
    }
}

async fn open(path: String, real: PathBuf) -> Result<Channel, CriError> {
    let stream = UnixStream::connect(real).await.map_err(|source| CriError::Connect { path: path.clone(), source })?;
    let mut once = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = once.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        async move { stream }
    });
    // The name is never resolved; it is what goes into :authority, and gRPC servers on Unix sockets expect this one.
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await.map_err(|source| CriError::Transport { path, source })
}

impl Cri {
    async fn call<A>(&mut self, call: &'static str, path: &'static str) -> Result<A, CriError>
    where
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.ask(call, path, Empty {}).await
    }

    async fn ask<Q, A>(&mut self, call: &'static str, path: &'static str, question: Q) -> Result<A, CriError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let asking = async {
            self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let codec: ProstCodec<Q, A> = ProstCodec::default();
            self.grpc.unary(Request::new(question), tonic::codegen::http::uri::PathAndQuery::from_static(path), codec).await
        };
        match timeout_at(self.until, asking).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(CriError::Refused { call, status: Box::new(status) }),
            Err(_) => Err(CriError::NoAnswer { call, after: self.patience }),
        }
    }

    /// Name and version.
    ///
    /// # Errors
    /// No answer, or an error for an answer.
    pub async fn version(&mut self) -> Result<VersionResponse, CriError> {
        self.call("Version", "/runtime.v1.RuntimeService/Version").await
    }

    /// Its conditions.
    ///
    /// # Errors
    /// No answer, or an error for an answer.
    pub async fn status(&mut self) -> Result<StatusResponse, CriError> {
        self.call("Status", "/runtime.v1.RuntimeService/Status").await
    }

    /// Its cgroup driver.
    ///
    /// # Errors
    /// No answer, or an error for an answer; Unimplemented before containerd 2.0 and CRI-O 1.28.
    pub async fn runtime_config(&mut self) -> Result<RuntimeConfigResponse, CriError> {
        self.call("RuntimeConfig", "/runtime.v1.RuntimeService/RuntimeConfig").await
    }

    /// Sandboxes that are ready.
    ///
    /// # Errors
    /// No answer, or an error for an answer.
    pub async fn ready_sandboxes(&mut self) -> Result<SandboxList, CriError> {
        let ready = SandboxFilter { state: Some(SandboxState { state: 0 }) };
        self.ask("ListPodSandbox", "/runtime.v1.RuntimeService/ListPodSandbox", ListSandboxes { filter: Some(ready) }).await
    }

    /// All containers.
    ///
    /// # Errors
    /// No answer, or an error for an answer.
    pub async fn containers(&mut self) -> Result<ContainerList, CriError> {
        self.call("ListContainers", "/runtime.v1.RuntimeService/ListContainers").await
    }

    /// Where its images lie.
    ///
    /// # Errors
    /// No answer, or an error for an answer.
    pub async fn image_fs_info(&mut self) -> Result<ImageFsInfoResponse, CriError> {
        self.call("ImageFsInfo", "/runtime.v1.ImageService/ImageFsInfo").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_taken_as_the_kubelet_takes_them() {
        assert_eq!(socket_path("unix:///run/containerd/containerd.sock"), Some("/run/containerd/containerd.sock"));
        assert_eq!(socket_path("unix:/run/x.sock"), Some("/run/x.sock"));
        assert_eq!(socket_path("/run/x.sock"), Some("/run/x.sock"));
        assert_eq!(socket_path("tcp://127.0.0.1:1"), None);
        assert_eq!(socket_path("npipe:////./pipe/x"), None);
        assert_eq!(socket_path(""), None);
    }
}
