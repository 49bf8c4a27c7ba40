//! The calls of `runtime.v1` that a pod takes, field numbers as in k8s.io/cri-api (1.36). What the runtime does not have to be told is left out.

use std::collections::HashMap;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// --runtime-request-timeout.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
    #[prost(uint32, tag = "4")]
    pub(super) attempt: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<PodSandboxMetadata>,
    #[prost(string, tag = "2")]
    pub(super) hostname: String,
    #[prost(string, tag = "3")]
    pub(super) log_directory: String,
    #[prost(map = "string, string", tag = "6")]
    pub(super) labels: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    pub(super) linux: Option<Empty>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<PodSandboxConfig>,
}

/// `CreateContainerResponse`, `RunPodSandboxResponse`, `StartContainerRequest`, `StopPodSandboxRequest`, `RemovePodSandboxRequest`,
/// `RemoveContainerRequest`, `ContainerStatusRequest`: an identity and no more.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Id {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(super) image: String,
}

/// `PullImageRequest` and `ImageStatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImageRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImageStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) image: Option<Id>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint32, tag = "2")]
    pub(super) attempt: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(super) image: Option<ImageSpec>,
    #[prost(string, repeated, tag = "3")]
    pub(super) command: Vec<String>,
    #[prost(map = "string, string", tag = "9")]
    pub(super) labels: HashMap<String, String>,
    #[prost(string, tag = "11")]
    pub(super) log_path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    pub(super) pod_sandbox_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    pub(super) sandbox_config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatus {
    #[prost(int32, tag = "3")]
    pub(super) state: i32,
    #[prost(int32, tag = "7")]
    pub(super) exit_code: i32,
    #[prost(string, tag = "10")]
    pub(super) reason: String,
}

impl ContainerStatus {
    /// `CONTAINER_EXITED`.
    pub(super) fn exited(&self) -> bool {
        self.state == 2
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}

/// A connection to the runtime.
#[derive(Debug, Clone)]
pub(super) struct Cri(Grpc<Channel>);

/// An error for an answer, in the words that Go's status package gives it.
#[derive(Debug, Clone)]
pub(super) struct Refused(pub(super) Status);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rpc error: code = {:?} desc = {}", self.0.code(), self.0.message())
    }
}

impl Cri {
    /// Connects.
    pub(super) async fn open(socket: &str) -> Option<Self> {
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost").timeout(ANSWERS_WITHIN);
        Some(Self(Grpc::new(endpoint.connect_with_connector(connector).await.ok()?)))
    }

    async fn call<Q, A>(&mut self, path: &'static str, question: Q) -> Result<A, Refused>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.0.ready().await.map_err(|error| Refused(Status::unavailable(error.to_string())))?;
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let answer = self.0.unary(Request::new(question), PathAndQuery::from_static(path), codec).await;
        answer.map(tonic::Response::into_inner).map_err(Refused)
    }

    pub(super) async fn run_pod_sandbox(&mut self, config: PodSandboxConfig) -> Result<String, Refused> {
        let asked = RunPodSandboxRequest { config: Some(config) };
        self.call::<_, Id>("/runtime.v1.RuntimeService/RunPodSandbox", asked).await.map(|answer| answer.id)
    }

    pub(super) async fn has_image(&mut self, image: &str) -> Result<bool, Refused> {
        let asked = ImageRequest { image: Some(ImageSpec { image: image.to_owned() }) };
        self.call::<_, ImageStatusResponse>("/runtime.v1.ImageService/ImageStatus", asked).await.map(|answer| answer.image.is_some())
    }

    pub(super) async fn pull_image(&mut self, image: &str) -> Result<(), Refused> {
        let asked = ImageRequest { image: Some(ImageSpec { image: image.to_owned() }) };
        self.call::<_, Empty>("/runtime.v1.ImageService/PullImage", asked).await.map(drop)
    }

    pub(super) async fn create_container(&mut self, asked: CreateContainerRequest) -> Result<String, Refused> {
        self.call::<_, Id>("/runtime.v1.RuntimeService/CreateContainer", asked).await.map(|answer| answer.id)
    }

    pub(super) async fn start_container(&mut self, id: &str) -> Result<(), Refused> {
        self.call::<_, Empty>("/runtime.v1.RuntimeService/StartContainer", Id { id: id.to_owned() }).await.map(drop)
    }

    pub(super) async fn container_status(&mut self, id: &str) -> Result<ContainerStatus, Refused> {
        let answer: ContainerStatusResponse = self.call("/runtime.v1.RuntimeService/ContainerStatus", Id { id: id.to_owned() }).await?;
        Ok(answer.status.unwrap_or_default())
    }

    /// Ends a sandbox with all that is in it.
    pub(super) async fn end_pod_sandbox(&mut self, id: &str) -> Result<(), Refused> {
        self.call::<_, Empty>("/runtime.v1.RuntimeService/StopPodSandbox", Id { id: id.to_owned() }).await?;
        self.call::<_, Empty>("/runtime.v1.RuntimeService/RemovePodSandbox", Id { id: id.to_owned() }).await.map(drop)
    }
}
